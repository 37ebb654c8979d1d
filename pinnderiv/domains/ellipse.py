"""Ellipses, and ellipsoids in any number of dimensions."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from pinnderiv.domains.arguments import check_number, check_point
from pinnderiv.domains.directions import ball_measure, directions, in_ball, sphere_measure
from pinnderiv.domains.domain import Domain
from pinnderiv.domains.sampling import Share, by_rejection, fine_share, rough_share
from pinnderiv.domains.shape import like
from pinnderiv.errors import ArgumentError

# Newton's method on the length of an arc: it converges from everywhere in fewer.
_NEWTON_STEPS = 60


class Ellipsoid(Domain):
    """{|A⁻¹ Rᵀ (x − centre)| ≤ 1}, A the semi-axes, R a rotation. Its boundary is ``"ellipsoid"``.

    Args:
        centre: one number a coordinate.
        semi_axes: one number above zero a coordinate.
        rotation: orthogonal (d, d), its columns the directions of the semi-axes; ``None``
            where they are those of the coordinates.
        name: what the boundary is called where the ellipsoid is part of another domain.

    Raises:
        ArgumentError: these are no finite numbers of one dimension, a semi-axis is not above
            zero, the rotation is not orthogonal, or the name is no word or taken.
    """

    whole: tuple[str, ...] = ("ellipsoid",)
    label = "ellipsoid"
    convex = True

    def __init__(
        self,
        centre: Sequence[float],
        semi_axes: Sequence[float],
        rotation: Sequence[Sequence[float]] | None = None,
        *,
        name: str | None = None,
    ) -> None:
        self.centre = check_point("centre", centre)
        self.semi_axes = check_point("semi_axes", semi_axes, len(self.centre))
        if min(self.semi_axes) <= 0:
            raise ArgumentError(f"semi_axes must all be above zero; got {list(semi_axes)!r}.")
        self.rotation = _check_rotation(rotation, len(self.centre))
        self._set_name(name)

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}(centre={list(self.centre)}, semi_axes={list(self.semi_axes)})"
        )

    @property
    def lower(self) -> tuple[float, ...]:
        return tuple(c - e for c, e in zip(self.centre, self._extent(), strict=True))

    @property
    def upper(self) -> tuple[float, ...]:
        return tuple(c + e for c, e in zip(self.centre, self._extent(), strict=True))

    @property
    def pieces(self) -> tuple[str, ...]:
        return self.whole

    @property
    def measure(self) -> float:
        return ball_measure(self.dim) * math.prod(self.semi_axes)

    def _extent(self) -> list[float]:
        scaled = np.asarray(self.rotation) * np.asarray(self.semi_axes)
        return [float(each) for each in np.sqrt((scaled**2).sum(axis=1))]

    def _interior(self, unit: Tensor) -> Tensor:
        return self._place(in_ball(unit))

    def _on_piece(self, name: str, unit: Tensor) -> Tensor:
        if self.dim > 2:
            raise by_rejection("an ellipsoid's boundary")
        return self._propose_piece(name, unit)[0]

    def _propose_piece(self, name: str, unit: Tensor) -> tuple[Tensor, Tensor | None]:
        if self.dim == 1:
            return self._place(directions(unit)[0]), None
        if self.dim == 2:
            return self._place(_by_arc_length(unit[:, 0], *self.semi_axes)), None
        # The sphere's points crowd where the map from it shrinks areas; they are thinned by the
        # factor det(A)·|A⁻¹ y| of areas, whose largest value belongs to the shortest axis.
        direction, free = directions(unit)
        factor = (direction / like(self.semi_axes, unit)).norm(dim=1)
        return self._place(direction), free <= factor * min(self.semi_axes)

    def _piece_proposal_measure(self, name: str) -> float:
        if self.dim <= 2:
            return self._piece_measure(name)
        return sphere_measure(self.dim) * math.prod(self.semi_axes) / min(self.semi_axes)

    def _piece_share(self, name: str) -> float:
        if self.dim <= 2:
            return 1.0
        return self._once("rough", lambda: rough_share(self._accept, self.dim).value)

    def _piece_measure(self, name: str) -> float:
        if self.dim == 1:
            return 2.0
        if self.dim == 2:
            return float(_arc(np.array(2 * math.pi), *self.semi_axes))
        if self.dim == 3:
            return _surface(*self.semi_axes)
        return self._piece_proposal_measure(name) * self._fine().value

    def _piece_measure_error(self, name: str) -> float:
        if self.dim <= 3:
            return 0.0
        return self._piece_proposal_measure(name) * self._fine().error

    def _accept(self, unit: Tensor) -> tuple[Tensor, Tensor | None]:
        return self._propose_piece("boundary", unit)

    def _fine(self) -> Share:
        return self._once("fine", lambda: fine_share(self._accept, self.dim))

    def _within(self, x: Tensor, slack: float) -> Tensor:
        return self._level(x)[..., 0] >= -slack

    def _normals(self, name: str, x: Tensor) -> Tensor:
        normal = (self._local(x) / like(self.semi_axes, x).square()) @ self._rotation(x).T
        return normal / normal.norm(dim=1, keepdim=True)

    def _gap(self, name: str, x: Tensor) -> Tensor:
        return self._level(x)[..., 0].abs()

    def _level(self, x: Tensor) -> Tensor:
        # ω/√(|∇ω|² + (2ω/a)²) with ω = 1 − |A⁻¹y|² has slope 1 on the boundary (Shapiro 2007,
        # normalisation to first order); the second term keeps the root off zero at the centre.
        axes = like(self.semi_axes, x)
        scaled = self._local(x) / axes
        level = 1 - (scaled * scaled).sum(dim=-1, keepdim=True)
        slope = 2 * scaled / axes
        square = (slope * slope).sum(dim=-1, keepdim=True)
        return level / (square + (2 / min(self.semi_axes) * level) ** 2).sqrt()

    def _smooth(self, name: str, inside: bool) -> bool:
        return True

    def _place(self, local: Tensor) -> Tensor:
        scaled = local * like(self.semi_axes, local)
        return like(self.centre, local) + scaled @ self._rotation(local).T

    def _local(self, x: Tensor) -> Tensor:
        return (x - like(self.centre, x)) @ self._rotation(x)

    def _rotation(self, x: Tensor) -> Tensor:
        return torch.tensor(self.rotation, dtype=x.dtype, device=x.device)


class Ellipse(Ellipsoid):
    """An ellipse in the plane. Its boundary is ``"ellipse"``.

    Args:
        centre: two numbers.
        semi_axes: two numbers above zero.
        angle: by which the first semi-axis is turned from the first coordinate towards the
            second, in radians.
        name: what the boundary is called where the ellipse is part of another domain.

    Raises:
        ArgumentError: as for :class:`Ellipsoid`.
    """

    whole = ("ellipse",)
    label = "ellipse"

    def __init__(
        self,
        centre: Sequence[float],
        semi_axes: Sequence[float],
        angle: float = 0.0,
        *,
        name: str | None = None,
    ) -> None:
        self.angle = check_number("angle", angle)
        cos, sin = math.cos(self.angle), math.sin(self.angle)
        rotation = None if self.angle == 0 else [[cos, -sin], [sin, cos]]
        check_point("centre", centre, 2)
        super().__init__(centre, semi_axes, rotation, name=name)


def _check_rotation(
    rotation: Sequence[Sequence[float]] | None, dim: int
) -> tuple[tuple[float, ...], ...]:
    if rotation is None:
        return tuple(tuple(float(i == j) for j in range(dim)) for i in range(dim))
    try:
        matrix = np.asarray(rotation, dtype=float)
    except (TypeError, ValueError):
        matrix = np.empty(0)
    if matrix.shape != (dim, dim) or not np.allclose(matrix @ matrix.T, np.eye(dim), atol=1e-9):
        raise ArgumentError(
            f"rotation must be an orthogonal {dim} x {dim} matrix, its columns the directions of "
            f"the semi-axes; got {rotation!r}."
        )
    return tuple(tuple(float(each) for each in row) for row in matrix)


def _by_arc_length(unit: Tensor, a: float, b: float) -> Tensor:
    """Points (cos t, sin t) whose images (a cos t, b sin t) are uniform by length."""
    total = _arc(np.array(2 * math.pi), a, b)
    target = unit.double().cpu().numpy() * total
    t = target / total * 2 * math.pi
    low, high = np.zeros_like(t), np.full_like(t, 2 * math.pi)
    for _ in range(_NEWTON_STEPS):
        excess = _arc(t, a, b) - target
        low, high = np.where(excess <= 0, t, low), np.where(excess >= 0, t, high)
        step = t - excess / np.hypot(a * np.sin(t), b * np.cos(t))
        # Where Newton would leave the bracket, halve it.
        following = np.where((step > low) & (step < high), step, (low + high) / 2)
        moved, t = np.abs(following - t).max(initial=0.0), following
        if moved < 1e-14:
            break
    return torch.from_numpy(np.stack([np.cos(t), np.sin(t)], axis=1)).to(unit)


def _arc(t: np.ndarray, a: float, b: float) -> np.ndarray:
    """Length of (a cos s, b sin s) from s = 0 to t: an elliptic integral of the second kind."""
    from scipy.special import ellipeinc

    return b * ellipeinc(t, 1 - (a / b) ** 2)


def _surface(*semi_axes: float) -> float:
    """Area of an ellipsoid, 2πc² + 2πab/sin φ (E(φ, m) sin²φ + F(φ, m) cos²φ), cos φ = c/a.

    With a ≥ b ≥ c and m = a²(b² − c²)/(b²(a² − c²)) (Legendre; NIST DLMF 19.33).
    """
    from scipy.special import ellipeinc, ellipkinc

    c, b, a = sorted(semi_axes)
    if a - c <= 1e-5 * a:
        # Where the integral loses digits, the mean of ab, ac and bc is right to second order.
        return 4 * math.pi * (a * b + a * c + b * c) / 3
    phi = math.acos(c / a)
    m = min(a**2 * (b**2 - c**2) / (b**2 * (a**2 - c**2)), 1.0)
    sin, cos = math.sin(phi), math.cos(phi)
    integral = ellipeinc(phi, m) * sin**2 + ellipkinc(phi, m) * cos**2
    return 2 * math.pi * (c**2 + a * b / sin * float(integral))
