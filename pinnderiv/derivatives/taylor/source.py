"""Where in the user's own code an operation was called."""

from __future__ import annotations

import linecache
import os
import sys
from types import FrameType

import torch

_TORCH = os.path.dirname(torch.__file__) + os.sep
_LONGEST = 60
_OURS = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep


def user_line() -> str:
    """The innermost line outside of PyTorch and of this library: ``net.py:12: return det(a)``.

    "" where there is none, and while torch.compile traces, which has no frames to look at.
    """
    if torch.compiler.is_compiling():
        return ""
    module = ""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        file = frame.f_code.co_filename
        # a look at its locals makes the frame hold on to them, so only methods are looked at
        if not module and frame.f_code.co_varnames[:1] == ("self",):
            owner = frame.f_locals.get("self")
            module = type(owner).__name__ if isinstance(owner, torch.nn.Module) else ""
        if not file.startswith((_TORCH, _OURS, "<frozen")):
            text = linecache.getline(file, frame.f_lineno).strip()
            if len(text) > _LONGEST:  # what follows it in the message must not be lost
                text = text[: _LONGEST - 1] + "…"
            where = f"{os.path.basename(file)}:{frame.f_lineno}"
            line = f"{where}: {text}" if text else where
            return f"{line} (in {module})" if module else line
        frame = frame.f_back
    return ""


_APPLY = torch.autograd.Function.apply.__func__.__code__


def inside_custom_function() -> bool:
    """Whether the forward of an ``autograd.Function`` is running inside f."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        code = frame.f_code
        if code is _APPLY:
            return True
        if code.co_name == "_pass" and code.co_filename.startswith(_OURS):
            return False  # what is further out has called the engine
        frame = frame.f_back
    return False
