"""How long a linear least-squares problem will take here, from how long a smaller one took."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Pace:
    """Seconds for each unit of work, on this machine as busy as it is.

    Making a matrix costs in proportion to its entries, solving in proportion to rows · columns².

    Attributes:
        matrix: seconds an entry.
        solution: seconds an entry and column.
    """

    matrix: float
    solution: float

    @staticmethod
    def measured(made: Tensor, making: float, solved: Tensor, solving: float) -> Pace:
        """From a matrix, the seconds it took to make, and the same of one that was solved with."""
        return Pace(making / made.numel(), solving / (solved.numel() * solved.shape[1]))

    def or_faster(self, other: Pace | None) -> Pace:
        """The better of two in each: whoever was kept waiting by other programs tells nothing."""
        if other is None:
            return self
        return Pace(min(self.matrix, other.matrix), min(self.solution, other.solution))

    def seconds(self, rows: int, columns: int) -> float:
        """For a matrix of that shape, made and solved with."""
        return rows * columns * (self.matrix + columns * self.solution)
