"""Poisson's equation."""

from __future__ import annotations

from collections.abc import Sequence

from pinnderiv.equations.equation import Equation, space_coordinates


class Poisson(Equation):
    """−Δu = f, columns (x_1, …, x_d).

    Args:
        space: names of the coordinates.
    """

    def __init__(self, space: Sequence[str]) -> None:
        super().__init__("-laplacian(u)", space_coordinates(space, time=False))
