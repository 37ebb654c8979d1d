"""Time alone: where ordinary differential equations hold."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Self

import torch
from torch import Tensor

from pinnderiv.domains.domain import Domain
from pinnderiv.domains.shape import BOUNDARY, like
from pinnderiv.errors import ArgumentError, UnsupportedOperationError


class TimeInterval(Domain):
    """The times from ``start`` to ``end``, one column t.

    It is what is left of :class:`SpaceTime` where there is no space. So there is no boundary; the
    only piece is ``"initial"``, the start, and the end has the name ``"final"``. Both are points.

    Args:
        start: a finite number.
        end: a finite number above ``start``.

    Raises:
        ArgumentError: they are not two finite numbers in rising order.
    """

    convex = True

    def __init__(self, start: float, end: float) -> None:
        self.duration = check_duration((start, end))

    def __repr__(self) -> str:
        return f"TimeInterval({self.duration[0]}, {self.duration[1]})"

    def during(self, start: float, end: float) -> Self:
        """The same for other times, with all names.

        Raises:
            ArgumentError: see :class:`TimeInterval`.
        """
        made = self._copy()
        made.duration = check_duration((start, end))
        return made

    @property
    def lower(self) -> tuple[float, ...]:
        return (self.duration[0],)

    @property
    def upper(self) -> tuple[float, ...]:
        return (self.duration[1],)

    @property
    def pieces(self) -> tuple[str, ...]:
        return ("initial",)

    @property
    def names(self) -> tuple[str, ...]:
        """``"initial"``, ``"final"``, and those that :meth:`piece_where` added."""
        return tuple(name for name in super().names if name != BOUNDARY)

    @property
    def time_axis(self) -> int:
        return 0

    @property
    def measure(self) -> float:
        return self.duration[1] - self.duration[0]

    def _faces(self) -> tuple[str, ...]:
        return ("final",)

    def _interior(self, unit: Tensor) -> Tensor:
        start, end = like(self.duration, unit)
        # Rounding can carry start + unit·duration one bit past the end.
        return (start + unit * (end - start)).clamp(start, end)

    def _on_piece(self, name: str, unit: Tensor) -> Tensor:
        return torch.full_like(unit, self._at(name))

    def _piece_measure(self, name: str) -> float:
        return 1.0

    def _contains(self, x: Tensor) -> Tensor:
        return self._within(x, 0.0)

    def _within(self, x: Tensor, slack: float) -> Tensor:
        start, end = like(self.duration, x)
        return ((x >= start - slack) & (x <= end + slack))[..., 0]

    def _normals(self, name: str, x: Tensor) -> Tensor:
        return torch.full_like(x, -1.0 if name == "initial" else 1.0)

    def _gap(self, name: str, x: Tensor) -> Tensor:
        return (x[:, 0] - self._at(name)).abs()

    def _inside(self, x: Tensor) -> Tensor:
        raise UnsupportedOperationError(
            "time alone has no boundary to be distant from: use piece_distance('initial', x)."
        )

    def _piece_inside(self, names: Sequence[str], x: Tensor) -> Tensor:
        # in units of time, as that of a single end is
        ends = [(x - self.duration[0])] * ("initial" in names)
        ends += [(self.duration[1] - x)] * ("final" in names)
        return math.prod(ends[1:], start=ends[0]) / self.measure ** (len(ends) - 1)

    def _at(self, name: str) -> float:
        return self.duration[0 if name == "initial" else 1]


def check_duration(duration: Sequence[float]) -> tuple[float, float]:
    """The start and the end of time, as two numbers.

    Raises:
        ArgumentError: they are not two finite numbers in rising order.
    """
    try:
        start, end = (float(value) for value in duration)
    except (TypeError, ValueError) as error:
        raise ArgumentError(
            "duration must be two numbers, the start and the end of time, such as "
            f"[0.0, 1.0]; got {duration!r}."
        ) from error
    if not (math.isfinite(start) and math.isfinite(end) and start < end):
        raise ArgumentError(
            f"duration must start before it ends, both finite; got {start:g} to {end:g}."
        )
    return start, end
