"""How much an operator asks for, and what each engine would take for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pinnderiv.derivatives.request import MultiIndex


@dataclass(frozen=True)
class Circumstance:
    """What the cost depends on besides the request.

    Attributes:
        outputs: M.
        load: numbers that a call of f's operations works on, on average: rows times width.
        device: "cpu" or "cuda".
        generic: calls that Taylor mode treats generically, over all calls of f.
    """

    outputs: int
    load: float
    device: str
    generic: float = 0.0


@dataclass(frozen=True)
class Model:
    """A fit to the measurements on one kind of device.

    Attributes:
        load: the load of a call at which calling costs as much as computing.
        engines: (engine, of second order) → coefficients of the calls P and of the volume Q.
    """

    load: float
    engines: dict[tuple[str, bool], tuple[tuple[float, ...], tuple[float, ...]]]


# Written by `python experiments/engines/fit.py`. Devices that were not measured are treated
# like a CPU.
MODELS = {
    "cpu": Model(
        100000,
        {
            ("taylor", False): ((4.07, 0.277, 0.0), (2.34, 0.845, 0.0)),
            ("taylor", True): ((6.11, 0.275, 0.0), (1.64, 0.797, 0.0)),
            ("nested", False): ((16.6, 0.421, 0.0), (1.83, 0.911, 0.0)),
            ("nested", True): ((30.4, 0.213, 0.0), (1.51, 3.99, 0.0)),
            ("reverse", False): ((1.24, 2.47, 0.0), (2.2, 0.719, 0.0)),
            ("reverse", True): ((7.45, 2.4, 2.23), (3.61, 0.912, 1.65)),
        },
    ),
}


# What generic treatment of all of f would add for each channel, as P and Q above: some six
# evaluations of an operation, in forward mode of forward mode, where a rule takes one. Printed by
# `python experiments/engines/generic.py`.
GENERIC = (50.0, 2.5)


@dataclass(frozen=True)
class Work:
    """The size of a request, in what the engines count.

    Attributes:
        order: the highest order of differentiation.
        directions: tuples of directions that nested forward mode runs along.
        channels: tangents and curvature channels that Taylor mode carries beside the value.
        pulls: reverse passes through each gradient that reverse mode makes.
    """

    order: int
    directions: int
    channels: int
    pulls: int

    @classmethod
    def gradient(cls, columns: int) -> Work:
        """First derivatives in all columns."""
        return cls(1, columns, columns, 0)

    @classmethod
    def collapsed(cls, directions: int) -> Work:
        """A sum of second derivatives along so many directions."""
        return cls(2, directions, directions + 1, directions)

    @classmethod
    def diagonal(cls, columns: int) -> Work:
        """Unmixed second derivatives, each for itself."""
        return cls(2, columns, 2 * columns, columns)

    @classmethod
    def full(cls, columns: int) -> Work:
        """All second derivatives."""
        pairs = columns * (columns + 1) // 2
        return cls(2, pairs, columns + pairs, columns)

    @classmethod
    def product(cls, columns: int) -> Work:
        """A Hessian-vector product."""
        return cls(2, columns, 2 * columns + 1, 1)

    @classmethod
    def partials(cls, indices: Sequence[MultiIndex]) -> Work:
        """Several partial derivatives of any order."""
        order = max(map(len, indices))
        count = sum(1 for index in indices if index)
        columns = len({column for index in indices for column in index})
        # One reverse pass serves all indices that begin alike.
        starts = {index[:-1] for index in indices if len(index) > 1}
        return cls(order, count, columns + sum(len(i) > 1 for i in indices), len(starts))

    def cost(self, method: str, circumstance: Circumstance) -> float:
        """Estimated time in forward and backward passes of f.

        A pass of f is a number of calls and a volume of numbers that they work on; which of
        the two decides depends on the load ρ of a call. An engine needs P times the calls and
        Q times the volume of a pass, so that its cost is (P + ρ Q) / (1 + ρ). P and Q are
        linear in what the engine counts, with coefficients fitted to measurements
        (`experiments/engines/fit.py`). Each order above the second doubles the work.
        """
        model = MODELS.get(circumstance.device, MODELS["cpu"])
        calls, volume = model.engines[method, min(self.order, 2) == 2]
        counts = self.counts(method, circumstance.outputs)
        p = sum(c * n for c, n in zip(calls, counts, strict=True))
        q = sum(c * n for c, n in zip(volume, counts, strict=True))
        above = 2.0 ** max(self.order - 2, 0)
        if method == "taylor" and circumstance.generic:
            # First derivatives alone are two of the six evaluations.
            times = circumstance.generic * self.channels * (1.0 if self.order > 1 else 1 / 3)
            p, q = p + times * GENERIC[0], q + times * GENERIC[1]
        share = 1 / (1 + circumstance.load / model.load)
        return above * (share * p + (1 - share) * q)

    def counts(self, method: str, outputs: int) -> tuple[float, ...]:
        """What the time of an engine is linear in: a constant, and its own units of work."""
        if method == "taylor":
            return (1.0, self.channels, 0.0)
        if method == "nested":
            return (1.0, self.directions, 0.0)
        return (1.0, outputs, outputs * self.pulls)  # reverse mode pays for every output
