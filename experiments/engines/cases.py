"""What is measured: input dimension, width, outputs and points of each training step."""

from __future__ import annotations

import itertools
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

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

    def layers(self) -> list[tuple[int, int]]:
        """(inputs, outputs) of each linear layer."""
        sizes = [self.inputs, *[self.width] * HIDDEN_LAYERS, self.outputs]
        return list(itertools.pairwise(sizes))

    def arrays(self, dtype: str) -> dict[str, np.ndarray]:
        """Weights (outputs, inputs) and biases of each layer, points and source.

        The same numbers in every process and every framework.
        """
        random = np.random.default_rng(0)
        made = {}
        for number, (inputs, outputs) in enumerate(self.layers()):
            bound = (6 / (inputs + outputs)) ** 0.5
            made[f"weight{number}"] = random.uniform(-bound, bound, (outputs, inputs))
            made[f"bias{number}"] = random.uniform(-0.1, 0.1, outputs)
        made["points"] = random.uniform(0, 1, (self.points, self.inputs))
        made["source"] = random.uniform(0, 1, (self.points, self.outputs))
        return {name: array.astype(dtype) for name, array in made.items()}


# The table that the README's targets speak of.
MAIN = [Case(2, 64, 4096), Case(3, 128, 2048), Case(10, 256, 512), Case(100, 256, 64)]

# Fewer points where each costs more, so that every step takes tens to hundreds of milliseconds on
# a CPU: long enough to time, short enough to repeat.
POINTS = {
    64: {1: 4096, 2: 4096, 3: 4096, 10: 2048, 50: 512, 100: 256},
    128: {3: 2048, 1000: 16},
    256: {1: 1024, 2: 1024, 3: 1024, 10: 512, 50: 128, 100: 64},
}
FULL = [Case(d, width, n) for width, row in POINTS.items() for d, n in row.items()]
FULL += [Case(2, 64, n) for n in (256, 1024, 16384, 65536)]

QUICK = [Case(2, 64, 1024), Case(10, 64, 256)]

# For CUDA: the same table with as many points as keep a GPU busy, up to a million.
CUDA = [Case(c.inputs, c.width, 16 * c.points) for c in FULL if c.points <= 4096]
CUDA += [Case(2, 64, n) for n in (4096, 262_144, 1_000_000)]

# For the cost model by which "auto" chooses: the number of outputs decides as much as the
# dimension, because reverse mode pays for each output and forward mode does not.
RULE = [Case(d, 64, 1024, m) for d in (1, 2, 3, 10) for m in (1, 2, 4, 16)]
RULE += [Case(d, 256, 256, m) for d in (2, 10) for m in (1, 4)]
RULE += [Case(30, 64, 256, m) for m in (1, 4)]
# Few points, where the cost is that of calling PyTorch, and many columns.
RULE += [Case(d, 64, 32, m) for d in (1, 2, 10) for m in (1, 2, 4)]
RULE_QUICK = [Case(d, 64, 256, m) for d in (1, 3, 10) for m in (1, 4)]
