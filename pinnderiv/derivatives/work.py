"""How much an operator asks for, and what each engine would take for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pinnderiv.derivatives.request import MultiIndex


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

    def cost(self, method: str, outputs: int) -> float:
        """Estimated time in forward and backward passes of f, for f with so many outputs.

        The numbers are fits to experiments/engines on a CPU (tanh networks, one thread).
        Reverse mode pays for every output, the others do not; each order above the second
        doubles the work of all.
        """
        above = 2.0 ** max(self.order - 2, 0)
        if method == "taylor":
            return 2.4 + 0.3 * self.channels * above
        if method == "nested":
            each = 0.65 if self.order < 2 else 2.6
            return (3.9 if self.order < 2 else 6.0) + each * self.directions * above
        return 2.0 + outputs * (0.6 + 1.4 * self.pulls * above)
