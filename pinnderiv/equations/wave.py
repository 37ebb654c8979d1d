"""The wave equation."""

from __future__ import annotations

from collections.abc import Sequence

from pinnderiv.equations.equation import Equation, positive_number
from pinnderiv.equations.linear import LinearOperator, d_tt, laplace


class Wave(Equation):
    """u_tt − c² Δu = f, columns (x_1, …, x_d, t); c in length/time.

    Args:
        space: names of the coordinates of space.
        speed: c, above zero.

    Raises:
        ArgumentError: the speed is not above zero.
    """

    def __init__(self, space: Sequence[str], speed: float = 1.0) -> None:
        super().__init__(space, time=True)
        self.speed = positive_number("speed", speed)

    def operator(self) -> LinearOperator:
        return d_tt - self.speed**2 * laplace(self.space)
