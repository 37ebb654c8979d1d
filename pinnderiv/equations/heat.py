"""The heat equation."""

from __future__ import annotations

from collections.abc import Sequence

from pinnderiv.equations.equation import Equation, positive_number, space_coordinates
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
        coordinates = space_coordinates(space, time=True)
        axes = coordinates[:-1]
        if isinstance(diffusivity, Sequence) and not isinstance(diffusivity, str):
            values = list(diffusivity)
        else:
            values = [diffusivity] * len(axes)
        if len(values) != len(axes):
            raise ArgumentError(
                "diffusivity must be one number, or one for each of "
                f"({', '.join(axes)}); got {len(values)}: {values}."
            )
        self.diffusivity = tuple(positive_number("diffusivity", value) for value in values)
        if len(set(self.diffusivity)) == 1:
            super().__init__("u_t - kappa*laplacian(u)", coordinates, kappa=self.diffusivity[0])
        else:
            fluxes = ", ".join(
                f"-{k!r}*d(u,{x})" for x, k in zip(axes, self.diffusivity, strict=True)
            )
            super().__init__(f"u_t + div([{fluxes}])", coordinates)
