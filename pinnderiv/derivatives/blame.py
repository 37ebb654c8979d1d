"""What an exception, or a wrong number, says about the operations of a function."""

from __future__ import annotations

import os
from collections.abc import Mapping
from types import TracebackType

from pinnderiv.errors import PinnderivError, UnsupportedOperationError

_HERE = os.path.dirname(os.path.abspath(__file__)) + os.sep
# What a slip in Python raises; PyTorch refuses with RuntimeError, also from a line of ours.
_SLIPS = (TypeError, AttributeError, NameError, LookupError, AssertionError, ZeroDivisionError)


def blame(error: BaseException, operations: Mapping[str, str]) -> str:
    """What was said, and the operations of f that it may have meant.

    Args:
        error: what an engine raised.
        operations: operation of f → the module that ran it first.
    """
    text = first_line(error)
    inplace = [n for n in operations if n.endswith("_")] if "inplace" in text else []
    named = ", ".join(inplace[:6]) or suspects(operations)
    if isinstance(error, UnsupportedOperationError):
        # The engine's own refusal; what to use in its place is said by the caller.
        return f"{text.partition('. Use method=')[0]}; f runs {named}"
    return f"{told(error)}; f runs {named}"


def told(error: BaseException) -> str:
    """Type and text of an error in one line, and where in this library if it is a slip of ours."""
    place = own_slip(error)
    ours = f" at {place}, an error in pinnderiv itself: please report it" if place else ""
    return f"{type(error).__name__}: {first_line(error)[:200]}{ours}"


def first_line(error: BaseException) -> str:
    """The first line of an error's text."""
    return next(iter(str(error).strip().splitlines()), "")


def own_slip(error: BaseException) -> str:
    """Where in this library an error was raised that no user's function can have caused, or "".

    That is a Python error whose innermost frame is ours: one of a user's function, and one
    that PyTorch raises in Python, end in a frame of theirs.
    """
    if isinstance(error, PinnderivError) and error.__cause__ is not None:
        return own_slip(error.__cause__)
    if isinstance(error, PinnderivError) or not isinstance(error, _SLIPS):
        return ""
    trace: TracebackType | None = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None or not trace.tb_frame.f_code.co_filename.startswith(_HERE):
        return ""
    path = trace.tb_frame.f_code.co_filename.removeprefix(_HERE).replace(os.sep, "/")
    return f"derivatives/{path}:{trace.tb_lineno}"


_HARMLESS = """
view _unsafe_view reshape expand permute transpose t select slice unsqueeze squeeze cat stack
clone _to_copy alias addmm mm bmm add sub mul neg sum mean zeros_like ones_like split unbind
movedim flatten detach tanh sin cos exp
"""


def suspects(operations: Mapping[str, str]) -> str:
    """The operations that most likely have the wrong formula, custom functions first."""
    custom = [n for n in operations if not n.startswith("aten.")]
    if custom:
        return ", ".join(custom)
    rare = [
        f"{n} in {m}" if m else n
        for n, m in operations.items()
        if n.rpartition(".")[2] not in _HARMLESS.split()
    ]
    if len(rare) == 1:
        return rare[0]
    return "one of " + ", ".join((rare or list(operations))[:6])
