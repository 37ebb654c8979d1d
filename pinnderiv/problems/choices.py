"""How a user's choices are laid over the defaults of a case, and checked."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from pinnderiv.domains import Box
from pinnderiv.domains.naming import unknown_name
from pinnderiv.errors import ArgumentError
from pinnderiv.problems.cases import Case, E, Numbers, Setting

Frequencies = Sequence[Numbers]
"""One entry a mode."""


def choose(
    table: Mapping[str, Case[E]],
    case: str,
    *,
    dimension: int | None,
    lower: Numbers,
    upper: Numbers,
    frequencies: Frequencies | None,
    amplitudes: Sequence[float] | None,
    most: int,
    final_time: float | None = None,
) -> tuple[Case[E], Setting]:
    """Finds a case and settles its choices; ``None`` stands for the case's default.

    Args:
        table: the cases there are.
        case: the name of one.
        dimension: coordinates of space.
        lower: lower corner, one number for all axes or one an axis.
        upper: upper corner, likewise.
        frequencies: half-waves, one number or one list a mode.
        amplitudes: one number a mode.
        most: the largest dimension that the equation is solved in, unless the case itself has
            more.
        final_time: the end of time.

    Returns:
        The row of the table, and the setting.

    Raises:
        ArgumentError: there is no such case, or a choice does not fit it.
    """
    if case not in table:
        raise unknown_name("case", case, table)
    row = table[case]
    size = _dimension(case, row, dimension, most)
    waves = _frequencies(case, row, frequencies, size)
    end = row.final_time if final_time is None else final_time
    if not (_is_number(end) and math.isfinite(end) and end > 0):
        raise ArgumentError(f"final_time must be a finite number above zero; got {final_time!r}.")
    box = Box(_per_axis("lower", lower, size), _per_axis("upper", upper, size))
    name = case if size == row.dimension else f"{case}_{size}d"
    return row, Setting(
        name, box, float(end), waves, _amplitudes(case, row, amplitudes, len(waves))
    )


def _dimension(case: str, row: Case[Any], dimension: int | None, most: int) -> int:
    if dimension is None:
        return row.dimension
    if isinstance(dimension, bool) or not isinstance(dimension, int) or dimension < 1:
        raise ArgumentError(f"dimension must be an integer of at least 1; got {dimension!r}.")
    if row.fixed_dimension and dimension != row.dimension:
        raise ArgumentError(
            f"case {case!r} has {row.dimension} dimension{'s' * (row.dimension > 1)} of space; got "
            f"dimension={dimension}. Leave dimension out, or choose a case that takes any."
        )
    if dimension > max(most, row.dimension):
        raise ArgumentError(
            f"case {case!r} is solved in 1 to {max(most, row.dimension)} dimensions of space; got "
            f"dimension={dimension}."
        )
    return dimension


def _frequencies(
    case: str, row: Case[Any], frequencies: Frequencies | None, size: int
) -> tuple[tuple[float, ...], ...]:
    if frequencies is None:
        return tuple(_per_axis("frequencies", mode, size) for mode in row.frequencies)
    if not row.frequencies:
        raise ArgumentError(f"case {case!r} has no modes to choose: leave frequencies out.")
    if _is_number(frequencies) or isinstance(frequencies, str) or not len(frequencies):
        raise ArgumentError(
            "frequencies must be a list with one entry a mode, such as [1, 4] or "
            f"[[1, 2], [3, 1]]; got {frequencies!r}."
        )
    modes = tuple(_per_axis("each entry of frequencies", mode, size) for mode in frequencies)
    if not all(math.isfinite(k) for mode in modes for k in mode):
        raise ArgumentError(f"frequencies must be finite; got {frequencies!r}.")
    return modes


def _amplitudes(
    case: str, row: Case[Any], amplitudes: Sequence[float] | None, modes: int
) -> tuple[float, ...]:
    if amplitudes is None:
        # The amplitudes of the case go with as many modes as the case has.
        return row.amplitudes if modes == len(row.amplitudes) else (1.0,) * modes
    if not row.frequencies:
        raise ArgumentError(f"case {case!r} has no modes to choose: leave amplitudes out.")
    values = _per_axis("amplitudes", amplitudes, modes, "modes")
    if not all(map(math.isfinite, values)):
        raise ArgumentError(f"amplitudes must be finite; got {amplitudes!r}.")
    return values


def _per_axis(name: str, value: Numbers, size: int, what: str = "axes") -> tuple[float, ...]:
    try:
        entries: list[Any] = [value] * size if isinstance(value, int | float) else list(value)
        if any(isinstance(each, bool) for each in entries):
            raise TypeError("true and false are no numbers")
        values = tuple(float(each) for each in entries)
    except (TypeError, ValueError) as error:
        raise ArgumentError(f"{name} must be numbers; got {value!r}.") from error
    if len(values) != size:
        raise ArgumentError(
            f"{name} must be one number, or one for each of {size} {what}; got {value!r}."
        )
    return values


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
