"""What is certain of how two domains lie to each other, so that measures can be exact."""

from __future__ import annotations

import torch
from torch import Tensor

from pinnderiv.domains.ball import Ball
from pinnderiv.domains.shape import Shape


def within(inner: Shape, outer: Shape) -> bool:
    """Whether ``inner`` is a subset of ``outer``; ``False`` where that is not certain."""
    parts = getattr(inner, "operands", None)
    if parts is not None:
        inside = [within(part, outer) for part in parts]
        if inner.operation == "union":  # type: ignore[attr-defined]
            if all(inside):
                return True
        elif inside[0] or (inner.operation == "intersection" and inside[1]):  # type: ignore[attr-defined]
            return True
    if (others := getattr(outer, "operands", None)) is not None:
        first, second = others
        if outer.operation == "union":  # type: ignore[attr-defined]
            return within(inner, first) or within(inner, second)
        if outer.operation == "intersection":  # type: ignore[attr-defined]
            return within(inner, first) and within(inner, second)
        return within(inner, first) and apart(inner, second)
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
    if (parts := getattr(other, "operands", None)) is not None:
        first, second = parts
        if other.operation == "union":  # type: ignore[attr-defined]
            return apart(one, first) and apart(one, second)
        if other.operation == "intersection":  # type: ignore[attr-defined]
            return apart(one, first) or apart(one, second)
        return apart(one, first) or within(one, second)
    if isinstance(one, Ball) and (depth := other._clearance(_centre(one))) is not None:
        return depth <= -one.radius
    return False


def _centre(ball: Ball) -> Tensor:
    return torch.tensor(ball.centre, dtype=torch.float64)
