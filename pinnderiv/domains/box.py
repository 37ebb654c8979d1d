"""Axis-aligned boxes in any number of dimensions."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from pinnderiv.domains.domain import Domain
from pinnderiv.errors import ArgumentError


class Box(Domain):
    """The box ``[lower_1, upper_1] × … × [lower_d, upper_d]``; an interval for d = 1.

    Its boundary is one piece, ``"walls"``: all 2·d faces together.

    Args:
        lower: lower corner, one number an axis.
        upper: upper corner, one number an axis; each above its ``lower``.

    Raises:
        ArgumentError: the two differ in length, are empty, are no lists of
            finite numbers, or ``lower`` is not below ``upper`` somewhere.
    """

    def __init__(self, lower: Sequence[float], upper: Sequence[float]) -> None:
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
        lower, upper = _like(self._lower, unit), _like(self._upper, unit)
        # Rounding can carry lower + unit·width one bit past upper.
        return (lower + unit * (upper - lower)).clamp(lower, upper)

    def _on_piece(self, name: str, unit: Tensor) -> Tensor:
        # Column 0 chooses the face, the others are the position on it.
        shares = _like(self._face_measures(), unit)
        edges = (shares.cumsum(0) / shares.sum())[:-1]
        face = torch.bucketize(unit[:, 0].contiguous(), edges, right=True)
        axis, is_upper = face // 2, face % 2 == 1
        coordinate = torch.arange(self.dim, device=unit.device)
        points = self._interior(unit.gather(1, coordinate + (coordinate < axis[:, None])))
        bound = torch.where(
            is_upper, _like(self._upper, unit)[axis], _like(self._lower, unit)[axis]
        )
        return points.scatter(1, axis[:, None], bound[:, None])

    def _piece_measure(self, name: str) -> float:
        return sum(self._face_measures())

    def _face_measures(self) -> tuple[float, ...]:
        """Measure of each face, in the order axis 0 lower, axis 0 upper, axis 1 lower, …"""
        across = [
            math.prod(width for other, width in enumerate(self.widths) if other != axis)
            for axis in range(self.dim)
        ]
        return tuple(measure for measure in across for _ in range(2))

    def _contains(self, x: Tensor) -> Tensor:
        return ((x >= _like(self._lower, x)) & (x <= _like(self._upper, x))).all(dim=-1)


def _like(numbers: Sequence[float], x: Tensor) -> Tensor:
    return torch.tensor(numbers, dtype=x.dtype, device=x.device)


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
