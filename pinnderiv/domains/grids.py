"""Regular grids over a box."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from pinnderiv.errors import ArgumentError

# A grid is held in memory at once; beyond this it is a mistake in nearly every case.
MAX_GRID_POINTS = 20_000_000


def regular_grid(
    lower: Sequence[float], upper: Sequence[float], n_per_axis: int | Sequence[int]
) -> Tensor:
    """Float64 (n_1·…·n_d, d), both ends of each axis included, the first coordinate slowest.

    Raises:
        ArgumentError: fewer than 2 points an axis, a wrong number of entries, more than 20 million
            points in all, or a corner at infinity.
    """
    if not all(map(math.isfinite, (*lower, *upper))):
        raise ArgumentError("there is no grid over an unbounded domain: intersect it with a box.")
    counts = _counts(n_per_axis, len(lower))
    axes = [
        torch.linspace(low, high, n, dtype=torch.float64)
        for low, high, n in zip(lower, upper, counts, strict=True)
    ]
    mesh = torch.meshgrid(*axes, indexing="ij")
    return torch.stack([column.reshape(-1) for column in mesh], dim=-1)


def _counts(n_per_axis: int | Sequence[int], dim: int) -> list[int]:
    counts = [n_per_axis] * dim if isinstance(n_per_axis, int) else list(n_per_axis)
    if len(counts) != dim or any(n < 2 for n in counts):
        raise ArgumentError(
            f"n_per_axis must be one integer of at least 2, or {dim} of them (one an "
            f"axis); got {n_per_axis}."
        )
    total = math.prod(counts)
    if total > MAX_GRID_POINTS:
        raise ArgumentError(
            f"a grid of {' x '.join(map(str, counts))} has {total:,} points, more than "
            f"{MAX_GRID_POINTS:,}. In {dim} dimensions use fewer points an axis, or "
            "sample: domain.sample(sampler, n)."
        )
    return counts
