"""Checks of what shapes are made from."""

from __future__ import annotations

import math
from collections.abc import Sequence

from pinnderiv.errors import ArgumentError


def check_point(name: str, values: Sequence[float], dim: int | None = None) -> tuple[float, ...]:
    """A list of finite numbers, one a coordinate.

    Raises:
        ArgumentError: it is none, or has not ``dim`` entries.
    """
    try:
        point = tuple(float(value) for value in values)
    except (TypeError, ValueError) as error:
        raise ArgumentError(
            f"{name} must be a list with one number a coordinate, such as [0.0, 0.0]; "
            f"got {values!r}."
        ) from error
    if not point or not all(map(math.isfinite, point)):
        raise ArgumentError(f"{name} must hold at least one number, all finite; got {values!r}.")
    if dim is not None and len(point) != dim:
        raise ArgumentError(f"{name} must have {dim} entries; got {len(point)} in {values!r}.")
    return point


def check_positive(name: str, value: float) -> float:
    """A finite number above zero.

    Raises:
        ArgumentError: it is none.
    """
    number = check_number(name, value)
    if not number > 0:
        raise ArgumentError(f"{name} must be above zero; got {value!r}.")
    return number


def check_number(name: str, value: float) -> float:
    """A finite number.

    Raises:
        ArgumentError: it is none.
    """
    try:
        number = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        raise ArgumentError(f"{name} must be a finite number; got {value!r}.")
    return number
