"""Collapsed Taylor mode: one forward pass carries value, tangents and one curvature channel.

A function of one's own takes part once a rule is registered for it, by algebraic class:
:func:`elementwise`, :func:`elementwise2`, :func:`linear`, :func:`bilinear`, :func:`composite`,
:func:`constant`, or :func:`rule` for anything else. It must be one that PyTorch hands over to
carriers: a PyTorch function, a custom operator, or a function wrapped by :func:`primitive`.
:func:`check_rule` compares a rule with finite differences. All of them are reached as
``pinnderiv.taylor``: ``pinnderiv.derivatives`` is a function.
"""

from pinnderiv.derivatives.taylor import rules  # noqa: F401
from pinnderiv.derivatives.taylor.algebra import (
    bilinear,
    composite,
    constant,
    elementwise,
    elementwise2,
    linear,
    primitive,
    rule,
)
from pinnderiv.derivatives.taylor.check import check_rule
from pinnderiv.derivatives.taylor.engine import TaylorEngine
from pinnderiv.derivatives.taylor.registry import unregister

__all__ = [
    "TaylorEngine",
    "bilinear",
    "check_rule",
    "composite",
    "constant",
    "elementwise",
    "elementwise2",
    "linear",
    "primitive",
    "rule",
    "unregister",
]
