"""Smooth functions that vanish where shapes end: the algebra of R-functions.

A level is zero on a boundary, positive inside and negative outside. Levels
combine as the sets do (Rvachev's R₀ system: Shapiro, "Semi-analytic geometry
with R-functions", Acta Numerica 2007), and remain normalised: slope 1 where a
boundary is smooth, if the parts have that.
"""

from __future__ import annotations

import torch
from torch import Tensor

from pinnderiv.errors import UnsupportedOperationError


def no_distance(name: str) -> UnsupportedOperationError:
    """What is raised where the distance to a piece with a predicate is asked for."""
    return UnsupportedOperationError(
        f"the piece {name!r} is where a predicate holds, and no smooth distance is known to that: "
        "make its condition soft, or cut the boundary by shapes."
    )


def root(square: Tensor) -> Tensor:
    """√s, exactly 0 with finite derivatives at s = 0, where √ itself has none.

    Off zero it is √s to rounding as soon as √s is above 1e-12 (float64) or 1e-6 (float32) times
    the numbers that s was made of.
    """
    # The fifth power of the result still has an inverse in the dtype's range.
    guard = 1e-40 if square.dtype == torch.float64 else 1e-20
    return (square + guard).sqrt() - guard**0.5


def conjunction(a: Tensor, b: Tensor) -> Tensor:
    """Level of an intersection: a + b − √(a² + b²)."""
    return a + b - root(a * a + b * b)


def disjunction(a: Tensor, b: Tensor) -> Tensor:
    """Level of a union: a + b + √(a² + b²)."""
    return a + b + root(a * a + b * b)


def trimmed(level: Tensor, trim: Tensor, length: float) -> Tensor:
    """Distance to the part of {level = 0} where trim ≥ 0.

    φ = √(f² + ((√(t² + f⁴/ℓ²) − t)/2)²) (Sukumar and Srivastava, "Exact imposition of boundary
    conditions with distance functions in physics-informed deep neural networks", CMAME 2022).

    Args:
        level: f, of order one in its slope.
        trim: t, likewise.
        length: ℓ, the size of the shape, so that the result scales with it.
    """
    square = level * level
    beyond = (root(trim * trim + square * square / length**2) - trim) / 2
    return root(square + beyond * beyond)
