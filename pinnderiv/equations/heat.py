"""The heat equation."""

from __future__ import annotations

from collections.abc import Sequence

from pinnderiv.equations.equation import Equation, positive_number
from pinnderiv.equations.linear import LinearOperator, d_t, laplace
from pinnderiv.errors import ArgumentError


class Heat(Equation):
    """u_t − Σ_i κ_i ∂²u/∂x_i² = f, columns (x_1, …, x_d, t); κ in length²/time.

    Args:
        space: names of the coordinates of space.
        diffusivity: κ, above zero: one number, or one an axis where heat spreads
            at different rates.

    Raises:
        ArgumentError: a diffusivity is not above zero, or there is not one an axis.
    """

    def __init__(self, space: Sequence[str], diffusivity: float | Sequence[float] = 1.0) -> None:
        super().__init__(space, time=True)
        if isinstance(diffusivity, Sequence) and not isinstance(diffusivity, str):
            values = list(diffusivity)
        else:
            values = [diffusivity] * len(self.space)
        if len(values) != len(self.space):
            raise ArgumentError(
                "diffusivity must be one number, or one for each of "
                f"({', '.join(self.space)}); got {len(values)}: {values}."
            )
        self.diffusivity = tuple(positive_number("diffusivity", value) for value in values)

    def operator(self) -> LinearOperator:
        return d_t - laplace(self.space, weights=self.diffusivity)
