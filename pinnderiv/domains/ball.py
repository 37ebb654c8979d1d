"""Balls in any number of dimensions."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from pinnderiv.domains.arguments import check_point, check_positive
from pinnderiv.domains.directions import ball_measure, directions, in_ball, sphere_measure
from pinnderiv.domains.domain import Domain
from pinnderiv.domains.shape import like


class Ball(Domain):
    """The ball {|x − centre| ≤ radius}: a disc for d = 2. Its boundary is ``"sphere"``.

    Args:
        centre: one number a coordinate.
        radius: above zero.
        name: what the sphere is called where the ball is part of another domain.

    Raises:
        ArgumentError: the centre is no list of finite numbers, the radius no finite
            number above zero, or the name no word or taken.
    """

    whole = ("sphere",)
    label = "sphere"
    convex = True

    def __init__(self, centre: Sequence[float], radius: float, *, name: str | None = None) -> None:
        self.centre = check_point("centre", centre)
        self.radius = check_positive("radius", radius)
        self._set_name(name)

    def __repr__(self) -> str:
        return f"Ball(centre={list(self.centre)}, radius={self.radius})"

    @property
    def lower(self) -> tuple[float, ...]:
        return tuple(each - self.radius for each in self.centre)

    @property
    def upper(self) -> tuple[float, ...]:
        return tuple(each + self.radius for each in self.centre)

    @property
    def pieces(self) -> tuple[str, ...]:
        return ("sphere",)

    @property
    def measure(self) -> float:
        return ball_measure(self.dim) * self.radius**self.dim

    def _interior(self, unit: Tensor) -> Tensor:
        return like(self.centre, unit) + self.radius * in_ball(unit)

    def _on_piece(self, name: str, unit: Tensor) -> Tensor:
        return like(self.centre, unit) + self.radius * directions(unit)[0]

    def _piece_measure(self, name: str) -> float:
        return sphere_measure(self.dim) * self.radius ** (self.dim - 1)

    def _within(self, x: Tensor, slack: float) -> Tensor:
        return self._distance_to_centre(x) <= self.radius + slack

    def _normals(self, name: str, x: Tensor) -> Tensor:
        offset = x - like(self.centre, x)
        return offset / offset.norm(dim=1, keepdim=True)

    def _gap(self, name: str, x: Tensor) -> Tensor:
        return (self._distance_to_centre(x) - self.radius).abs()

    def _level(self, x: Tensor) -> Tensor:
        # (R² − r²)/(2R) is a polynomial: smooth at the centre, where r is not.
        offset = x - like(self.centre, x)
        square = (offset * offset).sum(dim=-1, keepdim=True)
        return (self.radius**2 - square) / (2 * self.radius)

    def _smooth(self, name: str, inside: bool) -> bool:
        return True

    def _clearance(self, point: Tensor) -> float | None:
        return self.radius - float(self._distance_to_centre(point))

    def _distance_to_centre(self, x: Tensor) -> Tensor:
        return torch.linalg.vector_norm(x - like(self.centre, x), dim=-1)
