"""Axis-aligned boxes in any number of dimensions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import reduce

import torch
from torch import Tensor

from pinnderiv.domains.distance import conjunction, trimmed
from pinnderiv.domains.domain import Domain
from pinnderiv.domains.naming import check_name
from pinnderiv.domains.shape import BOUNDARY, like
from pinnderiv.errors import ArgumentError


class Box(Domain):
    """The box ``[lower_1, upper_1] × … × [lower_d, upper_d]``; an interval for d = 1.

    Its boundary is one piece, ``"walls"``: all 2·d faces together. Each face has
    a name too: ``"x_min"``, ``"x_max"``, ``"y_min"``, …

    Args:
        lower: lower corner, one number an axis.
        upper: upper corner, one number an axis; each above its ``lower``.
        coordinates: what the axes are called; x, y, z by default, and x1, x2, …
            where there are more than three.
        name: what the walls are called where the box is part of another domain.

    Raises:
        ArgumentError: the two differ in length, are empty, are no lists of
            finite numbers, or ``lower`` is not below ``upper`` somewhere; or a name is
            no word or taken.
    """

    whole = ("walls",)
    label = "walls"
    convex = True

    def __init__(
        self,
        lower: Sequence[float],
        upper: Sequence[float],
        *,
        coordinates: Sequence[str] | None = None,
        name: str | None = None,
    ) -> None:
        self._lower = _corner("lower", lower)
        self._upper = _corner("upper", upper)
        if len(self._lower) != len(self._upper):
            raise ArgumentError(
                "lower and upper must have one number an axis each; got "
                f"{len(self._lower)} in lower and {len(self._upper)} in upper."
            )
        for axis, (low, high) in enumerate(zip(self._lower, self._upper, strict=True)):
            if not low < high:
                raise ArgumentError(
                    f"lower must be below upper on every axis; on axis {axis} lower is {low:g} "
                    f"and upper is {high:g}."
                )
        self._coordinates = _names(coordinates, len(self._lower))
        self._set_name(name)

    def __repr__(self) -> str:
        return f"Box(lower={list(self._lower)}, upper={list(self._upper)})"

    @property
    def lower(self) -> tuple[float, ...]:
        return self._lower

    @property
    def upper(self) -> tuple[float, ...]:
        return self._upper

    @property
    def pieces(self) -> tuple[str, ...]:
        return ("walls",)

    @property
    def widths(self) -> tuple[float, ...]:
        """Extent along each axis."""
        return tuple(high - low for low, high in zip(self._lower, self._upper, strict=True))

    @property
    def measure(self) -> float:
        return math.prod(self.widths)

    def _interior(self, unit: Tensor) -> Tensor:
        lower, upper = like(self._lower, unit), like(self._upper, unit)
        # Rounding can carry lower + unit·width one bit past upper.
        return (lower + unit * (upper - lower)).clamp(lower, upper)

    def _faces(self) -> tuple[str, ...]:
        return tuple(f"{axis}_{end}" for axis in self._coordinates for end in ("min", "max"))

    def _on_piece(self, name: str, unit: Tensor) -> Tensor:
        if name == BOUNDARY:
            # Column 0 chooses the face, the others are the position on it.
            shares = like(self._face_measures(), unit)
            edges = (shares.cumsum(0) / shares.sum())[:-1]
            face = torch.bucketize(unit[:, 0].contiguous(), edges, right=True)
        else:
            face = torch.full((len(unit),), self._faces().index(name), device=unit.device)
        axis, is_upper = face // 2, face % 2 == 1
        coordinate = torch.arange(self.dim, device=unit.device)
        points = self._interior(unit.gather(1, coordinate + (coordinate < axis[:, None])))
        bound = torch.where(is_upper, like(self._upper, unit)[axis], like(self._lower, unit)[axis])
        return points.scatter(1, axis[:, None], bound[:, None])

    def _piece_measure(self, name: str) -> float:
        return sum(self._face_measures()[face] for face in self._face_numbers(name))

    def _face_numbers(self, name: str) -> list[int]:
        """Faces that a name stands for, numbered axis 0 lower, axis 0 upper, axis 1 lower, …"""
        return list(range(2 * self.dim)) if name == BOUNDARY else [self._faces().index(name)]

    def _face_measures(self) -> tuple[float, ...]:
        """Measure of each face, in the order axis 0 lower, axis 0 upper, axis 1 lower, …"""
        across = [
            math.prod(width for other, width in enumerate(self.widths) if other != axis)
            for axis in range(self.dim)
        ]
        return tuple(measure for measure in across for _ in range(2))

    def _contains(self, x: Tensor) -> Tensor:
        return self._within(x, 0.0)

    def _within(self, x: Tensor, slack: float) -> Tensor:
        lower, upper = like(self._lower, x) - slack, like(self._upper, x) + slack
        return ((x >= lower) & (x <= upper)).all(dim=-1)

    def _normals(self, name: str, x: Tensor) -> Tensor:
        faces = torch.tensor(self._face_numbers(name), device=x.device)
        face = faces[self._face_gaps(x)[:, faces].argmin(dim=1)]
        normals = torch.zeros_like(x)
        sign = (2 * (face % 2) - 1).to(x.dtype)
        return normals.scatter(1, (face // 2)[:, None], sign[:, None])

    def _gap(self, name: str, x: Tensor) -> Tensor:
        return self._face_gaps(x)[:, self._face_numbers(name)].min(dim=1).values

    def _face_gaps(self, x: Tensor) -> Tensor:
        """Euclidean distance to each face, (N, 2·dim)."""
        lower, upper = like(self._lower, x), like(self._upper, x)
        beyond = (x - x.clamp(lower, upper)).square()
        others = beyond.sum(dim=1, keepdim=True) - beyond
        squares = [others + (x - lower).square(), others + (x - upper).square()]
        return torch.stack(squares, dim=-1).reshape(len(x), 2 * self.dim).sqrt()

    def _level(self, x: Tensor) -> Tensor:
        return reduce(conjunction, self._axis_levels(x))

    def _axis_levels(self, x: Tensor) -> list[Tensor]:
        """(x − l)(u − x)/(u − l) for each axis, (*batch, 1) each."""
        columns = zip(self._lower, self._upper, strict=True)
        return [
            (x[..., axis, None] - low) * (high - x[..., axis, None]) / (high - low)
            for axis, (low, high) in enumerate(columns)
        ]

    def _inside(self, x: Tensor) -> Tensor:
        return self._piece_inside((BOUNDARY,), x)

    def _piece_inside(self, names: Sequence[str], x: Tensor) -> Tensor:
        # A product: unlike any normalised distance it is smooth in the corners as well, where
        # solutions with values given on both sides are.
        faces = {face for name in names for face in self._face_numbers(name)}
        sizes, factors = [], []
        for axis, (low, high) in enumerate(zip(self._lower, self._upper, strict=True)):
            column, width = x[..., axis, None], high - low
            ends = [column - low] * (2 * axis in faces) + [high - column] * (2 * axis + 1 in faces)
            if ends:
                sizes.append(width / 4 if len(ends) == 2 else width)
                factors.append(math.prod(ends[1:], start=ends[0]) / width ** len(ends))
                if len(ends) == 2:
                    factors[-1] = 4 * factors[-1]
        return min(sizes) * math.prod(factors[1:], start=factors[0])

    def _piece_anywhere(self, name: str, x: Tensor) -> Tensor:
        if name == BOUNDARY:
            return self._level(x)
        axis, is_upper = divmod(self._face_numbers(name)[0], 2)
        level = x[..., axis, None] - (self._upper if is_upper else self._lower)[axis]
        others = [each for k, each in enumerate(self._axis_levels(x)) if k != axis]
        if not others:
            return level
        return trimmed(level, reduce(conjunction, others), max(self.widths))

    def _smooth(self, name: str, inside: bool) -> bool:
        return inside

    def _clearance(self, point: Tensor) -> float | None:
        lower, upper = like(self._lower, point), like(self._upper, point)
        if bool(self._within(point, 0.0)):
            return float(torch.minimum(point - lower, upper - point).min())
        return -float((point - point.clamp(lower, upper)).norm())


def _names(coordinates: Sequence[str] | None, dim: int) -> tuple[str, ...]:
    if coordinates is None:
        return ("x", "y", "z")[:dim] if dim <= 3 else tuple(f"x{k + 1}" for k in range(dim))
    names = (coordinates,) if isinstance(coordinates, str) else tuple(coordinates)
    if len(names) != dim or len(set(names)) != dim:
        raise ArgumentError(
            f"coordinates must be {dim} different names, one an axis; got {coordinates!r}."
        )
    return tuple(check_name(name) for name in names)


def _corner(name: str, values: Sequence[float]) -> tuple[float, ...]:
    try:
        corner = tuple(float(value) for value in values)
    except (TypeError, ValueError) as error:
        raise ArgumentError(
            f"{name} must be a list with one number an axis, such as [0.0, 0.0] (an interval "
            f"has one: [0.0]); got {values!r}."
        ) from error
    if not corner or not all(math.isfinite(value) for value in corner):
        raise ArgumentError(f"{name} must hold at least one number, all finite; got {values!r}.")
    return corner
