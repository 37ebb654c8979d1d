"""The elementary functions of the language: how each is computed, folded and differentiated."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True)
class Elementary:
    """A function of one or two numbers.

    Attributes:
        arity: how many arguments it takes.
        tensor: on tensors, at least one argument being one.
        number: on Python's numbers; raises ``ValueError`` or ``OverflowError`` where undefined.
    """

    arity: int
    tensor: Callable[..., Any]
    number: Callable[..., float]


def _sign(x: float) -> float:
    return float((x > 0) - (x < 0))


def _step(x: Tensor) -> Tensor:
    # torch.heaviside has no derivative; this has one, and it is zero.
    return 0.5 * (torch.sign(x) + 1)


def _with_tensors(function: Callable[[Tensor, Tensor], Tensor]) -> Callable[[Any, Any], Tensor]:
    """A function of two tensors, for a tensor and a number too."""

    def apply(a: Any, b: Any) -> Tensor:
        if isinstance(a, float):
            a = torch.zeros_like(b) + a
        elif isinstance(b, float):
            b = torch.zeros_like(a) + b
        elif a.ndim < b.ndim:
            a = torch.zeros_like(b) + a
        elif b.ndim < a.ndim:
            b = torch.zeros_like(a) + b
        return function(a, b)

    return apply


FUNCTIONS = {
    "sin": Elementary(1, torch.sin, math.sin),
    "cos": Elementary(1, torch.cos, math.cos),
    "tan": Elementary(1, torch.tan, math.tan),
    "asin": Elementary(1, torch.asin, math.asin),
    "acos": Elementary(1, torch.acos, math.acos),
    "atan": Elementary(1, torch.atan, math.atan),
    "sinh": Elementary(1, torch.sinh, math.sinh),
    "cosh": Elementary(1, torch.cosh, math.cosh),
    "tanh": Elementary(1, torch.tanh, math.tanh),
    "exp": Elementary(1, torch.exp, math.exp),
    "log": Elementary(1, torch.log, math.log),
    "sqrt": Elementary(1, torch.sqrt, math.sqrt),
    "erf": Elementary(1, torch.erf, math.erf),
    "abs": Elementary(1, torch.abs, abs),
    "sign": Elementary(1, torch.sign, _sign),
    "heaviside": Elementary(1, _step, lambda x: 0.5 * (_sign(x) + 1)),
    "atan2": Elementary(2, _with_tensors(torch.atan2), math.atan2),
    "min": Elementary(2, _with_tensors(torch.minimum), min),
    "max": Elementary(2, _with_tensors(torch.maximum), max),
    "pow": Elementary(2, torch.pow, math.pow),
}
"""By the names that texts use."""

ALIASES = {"ln": "log", "arcsin": "asin", "arccos": "acos", "arctan": "atan", "step": "heaviside"}

CONSTANTS = {"pi": math.pi, "e": math.e}
