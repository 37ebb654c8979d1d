"""The message for a name that is not known: what there is, and what was likely meant."""

from __future__ import annotations

from collections.abc import Iterable

from pinnderiv.errors import ArgumentError, did_you_mean


def unknown_name(kind: str, got: object, known: Iterable[str]) -> ArgumentError:
    """Builds the error for a name that a table does not hold.

    Args:
        kind: what the name stands for, as it reads in a sentence ("case of heat_case").
        got: the name that was given.
        known: the names that would have been right.

    Returns:
        The exception, for the caller to raise.
    """
    names = sorted(known)
    hint = did_you_mean(got, names)
    return ArgumentError(f"there is no {kind} named {got!r}.{hint} Known: {', '.join(names)}.")
