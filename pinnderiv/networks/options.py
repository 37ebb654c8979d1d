"""Checks that every network makes of what it is given, before anything is built."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

from pinnderiv.errors import ArgumentError


def check_sizes(**sizes: int) -> None:
    """Requires each named size to be an integer of at least 1.

    Raises:
        ArgumentError: one is not; names it.
    """
    for name, value in sizes.items():
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise ArgumentError(f"{name} must be an integer of at least 1; got {value!r}.")


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
    close = get_close_matches(str(got).lower(), names, n=1)
    hint = f" Did you mean {close[0]!r}?" if close else ""
    return ArgumentError(f"there is no {kind} {got!r}.{hint} Known: {', '.join(names)}.")
