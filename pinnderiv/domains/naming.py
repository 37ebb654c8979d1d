"""Names: which are allowed, and the message for one that is not known, with what was meant."""

from __future__ import annotations

import re
from collections.abc import Iterable

from pinnderiv.errors import ArgumentError, did_you_mean

# In a sentence; more would hide it.
_MOST_LISTED = 20

_NAME = re.compile(r"[A-Za-z]\w*")
# Names that mean the same for every domain.
RESERVED = ("boundary", "interior", "initial", "final")


def check_name(name: object, taken: Iterable[str] = ()) -> str:
    """Makes sure that a name can stand for a piece.

    Args:
        name: to be looked at.
        taken: names that mean something already.

    Returns:
        The name.

    Raises:
        ArgumentError: it is no word, or is taken.
    """
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise ArgumentError(
            f"name must be a word of letters, digits and underscores that begins with a letter, "
            f"such as 'hole_1'; got {name!r}."
        )
    if name in RESERVED or name in taken:
        raise ArgumentError(f"name {name!r} is taken: it stands for a piece already.")
    return name


def unknown_name(
    kind: str, got: object, known: Iterable[str], also: Iterable[str] = ()
) -> ArgumentError:
    """Builds the error for a name that a table does not hold.

    Args:
        kind: what the name stands for, as it reads in a sentence ("case of heat_case").
        got: the name that was given.
        known: the names that would have been right.
        also: further names that would have been, but are of second interest.

    Returns:
        The exception, for the caller to raise.
    """
    names, more = sorted(known), [name for name in also if name not in set(known)]
    hint = did_you_mean(got, [*names, *more])
    rest = f"; also {_listed(more)}" if more else ""
    return ArgumentError(f"there is no {kind} named {got!r}.{hint} Known: {_listed(names)}{rest}.")


def _listed(names: list[str]) -> str:
    shown = names[:_MOST_LISTED]
    return ", ".join(shown) + (
        f" and {len(names) - len(shown)} more" if len(names) > len(shown) else ""
    )
