"""Intervals: boxes with one coordinate."""

from __future__ import annotations

from pinnderiv.domains.box import Box


class Interval(Box):
    """The interval [start, end]. Its ends are ``"walls"``, or ``"x_min"`` and ``"x_max"``.

    Args:
        start: a finite number.
        end: a finite number above ``start``.
        coordinate: what the axis is called in the names of the ends.
        name: what the ends are called where the interval is part of another domain.

    Raises:
        ArgumentError: ``start`` is not below ``end``, or one of them is no finite number; or a
            name is no word or taken.
    """

    def __init__(
        self, start: float, end: float, *, coordinate: str = "x", name: str | None = None
    ) -> None:
        super().__init__([start], [end], coordinates=(coordinate,), name=name)

    def __repr__(self) -> str:
        return f"Interval({self.lower[0]}, {self.upper[0]})"
