"""Every exception that a user of pinnderiv can catch, and what messages share.

All derive from :class:`PinnderivError`, and each also from the built-in that
fits, so that both ``except PinnderivError`` and ``except ValueError`` work.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class PinnderivError(Exception):
    """Base class of everything that pinnderiv raises on purpose."""


class ArgumentError(PinnderivError, ValueError):
    """An argument has the right kind but a value that makes no sense."""


class ShapeError(ArgumentError):
    """A tensor, or what a function returned, has the wrong shape."""


class DtypeError(PinnderivError, TypeError):
    """A tensor has a dtype that cannot be differentiated, or is no tensor at all."""


class BatchMixingError(PinnderivError, ValueError):
    """Row i of f(x) depends on another row of x, so "per row" has no meaning."""


class UnsupportedOperationError(PinnderivError, NotImplementedError):
    """The method asked for would be wrong, or cannot run, for this function."""


class ConfigurationError(PinnderivError, ValueError):
    """A run was configured in a way that cannot work."""


class NonFiniteLossError(PinnderivError, ArithmeticError):
    """The training loss became infinite or NaN; names the step and the term."""


class CheckpointError(PinnderivError, RuntimeError):
    """A checkpoint is missing, damaged, or belongs to another configuration."""


def nearest(got: object, known: Iterable[str]) -> str | None:
    """The name among ``known`` that was likely meant, or None."""
    close = alike(got, known, most=1)
    return close[0] if close else None


def alike(got: object, known: Iterable[str], most: int, cutoff: float = 0.6) -> list[str]:
    """The names among ``known`` that are most like ``got``, the nearest first."""
    return difflib.get_close_matches(str(got), list(known), n=most, cutoff=cutoff)


def did_you_mean(got: object, known: Iterable[str]) -> str:
    """The sentence " Did you mean …?" for a name that is not known, or ""."""
    name = nearest(got, known)
    return "" if name is None else f" Did you mean {name!r}?"
