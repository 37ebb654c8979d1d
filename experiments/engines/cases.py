"""What is measured: input dimension, width, outputs and points of each training step."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

HIDDEN_LAYERS = 4


@dataclass(frozen=True)
class Case:
    """One training step of a tanh network: D inputs, four equal hidden layers, M outputs."""

    inputs: int
    width: int
    points: int
    outputs: int = 1

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    def __str__(self) -> str:
        return f"D={self.inputs} width={self.width} M={self.outputs} N={self.points}"


# Fewer points where each costs more, so that every step takes tens to hundreds of milliseconds on
# a CPU: long enough to time, short enough to repeat.
POINTS = {
    64: {1: 4096, 2: 4096, 3: 4096, 10: 2048, 100: 256},
    256: {1: 1024, 2: 1024, 3: 1024, 10: 512, 100: 64},
}

FULL = [Case(d, width, n) for width, row in POINTS.items() for d, n in row.items()]
FULL.append(Case(3, 128, 2048))

QUICK = [Case(2, 64, 1024), Case(10, 64, 256)]

# For the rule by which "auto" chooses: the number of outputs decides as much as the dimension,
# because reverse mode pays for each output and forward mode does not.
RULE = [
    Case(d, width, points if d < 10 else points // 4, outputs)
    for width, points in ((64, 1024), (256, 256))
    for d in (1, 2, 3, 5, 10, 30)
    for outputs in (1, 2, 3, 4, 16)
]
# Few points, where the cost is that of calling PyTorch, and many columns.
RULE += [Case(d, 64, 64, outputs) for d in (2, 10) for outputs in (1, 2, 4)]
RULE += [Case(100, 64, 64, outputs) for outputs in (1, 2, 4)]

RULE_QUICK = [Case(d, 64, 256, m) for d in (1, 3, 10) for m in (1, 4)]
