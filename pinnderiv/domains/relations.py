"""What is certain of how two domains lie to each other, so that measures can be exact."""

from __future__ import annotations

import torch
from torch import Tensor

from pinnderiv.domains.ball import Ball
from pinnderiv.domains.half_space import HalfSpace
from pinnderiv.domains.shape import Shape


def within(inner: Shape, outer: Shape) -> bool:
    """Whether ``inner`` is a subset of ``outer``; ``False`` where that is not certain."""
    if inner.operands:
        first, second = (within(part, outer) for part in inner.operands)
        if first and (second or inner.operation != "union"):
            return True
        if second and inner.operation == "intersection":
            return True
    if outer.operands:
        one, two = outer.operands
        if outer.operation == "union":
            return within(inner, one) or within(inner, two)
        if outer.operation == "intersection":
            return within(inner, one) and within(inner, two)
        return within(inner, one) and apart(inner, two)
    if isinstance(inner, Ball) and (depth := outer._clearance(_centre(inner))) is not None:
        return depth >= inner.radius
    hull = inner._hull()
    return outer.convex and hull is not None and bool(outer._within(hull, 0.0).all())


def apart(one: Shape, other: Shape) -> bool:
    """Whether the two have no inner point in common; ``False`` where that is not certain."""
    bounds = zip(one.lower, one.upper, other.lower, other.upper, strict=True)
    if any(high <= start or end <= low for low, high, start, end in bounds):
        return True
    return _apart(one, other) or _apart(other, one)


def _apart(one: Shape, other: Shape) -> bool:
    if other.operands:
        first, second = other.operands
        if other.operation == "union":
            return apart(one, first) and apart(one, second)
        if other.operation == "intersection":
            return apart(one, first) or apart(one, second)
        return apart(one, first) or within(one, second)
    if isinstance(one, Ball) and (depth := other._clearance(_centre(one))) is not None:
        return depth <= -one.radius
    if isinstance(other, HalfSpace) and (hull := one._hull()) is not None:
        return not bool((other._level(hull) > 0).any())
    return False


def _centre(ball: Ball) -> Tensor:
    return torch.tensor(ball.centre, dtype=torch.float64)
