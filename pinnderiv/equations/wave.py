"""The wave equation."""

from __future__ import annotations

from collections.abc import Sequence

from pinnderiv.equations.equation import Equation, positive_number, space_coordinates


class Wave(Equation):
    """u_tt − c² Δu = f, columns (x_1, …, x_d, t); c in length/time.

    Args:
        space: names of the coordinates of space.
        speed: c, above zero.

    Raises:
        ArgumentError: the speed is not above zero.
    """

    def __init__(self, space: Sequence[str], speed: float = 1.0) -> None:
        coordinates = space_coordinates(space, time=True)
        self.speed = positive_number("speed", speed)
        super().__init__("d(u, t, t) - c**2*laplacian(u)", coordinates, c=self.speed)
