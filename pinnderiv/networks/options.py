"""Checks that every network makes of what it is given, before anything is built."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pinnderiv.errors import ArgumentError, did_you_mean


def check_sizes(**sizes: int) -> None:
    """Requires each named size to be an integer of at least 1.

    Raises:
        ArgumentError: one is not; names it.
    """
    for name, value in sizes.items():
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise ArgumentError(f"{name} must be an integer of at least 1; got {value!r}.")


def check_axes(name: str, axes: Sequence[int], columns: int) -> tuple[int, ...]:
    """Requires columns from 0, or negative ones from the end, each at most once.

    Returns:
        The columns from 0, in rising order.

    Raises:
        ArgumentError: one is none, or is named twice; says ``name``.
    """
    whole = all(isinstance(axis, int) and not isinstance(axis, bool) for axis in axes)
    if not whole or not all(-columns <= axis < columns for axis in axes):
        raise ArgumentError(
            f"{name} must list columns from 0 to {columns - 1}, such as [0]; got {list(axes)!r}."
        )
    found = tuple(sorted({axis % columns for axis in axes}))
    if len(found) < len(axes):
        raise ArgumentError(f"{name} must name each column once; got {list(axes)!r}.")
    return found


def unknown_option(kind: str, got: object, known: Iterable[str]) -> ArgumentError:
    """Builds the error for an option that does not exist, naming the nearest that does.

    Args:
        kind: what is chosen, such as "activation".
        got: what was asked for.
        known: the options there are.

    Returns:
        The exception, for the caller to raise.
    """
    names = sorted(known)
    hint = did_you_mean(str(got).lower(), names)
    return ArgumentError(f"there is no {kind} {got!r}.{hint} Known: {', '.join(names)}.")
