"""The frequencies of values at scattered points: a sum of few waves, found one after the other."""

from __future__ import annotations

import math
from functools import reduce

import torch
from torch import Tensor

from pinnderiv.training.optimisers.least_squares import damped

# Three coordinates have 82³ frequencies up to 128 to look at.
MOST_COORDINATES = 3
_MOST_TONES = 8
# What is left of the values once they are found, and unknowns for each value at the most.
_ENOUGH = 1e-8
_UNKNOWNS = 0.25
# Between two frequencies of the periodogram: half of what [-1, 1] can tell apart.
_SPACING = math.pi / 2
_REFINEMENTS = 30
_WORTHWHILE = 1e-3


def find_tones(points: Tensor, values: Tensor, highest: float) -> Tensor:
    """ω_k of values ≈ Σ_k Σ_φ a_kφ ∏_i φ_i(ω_ki x_i), each φ_i a cosine or a sine.

    The strongest frequency of the periodogram of what is left (Lomb 1976, in several coordinates)
    is added, and then all of them are fitted anew together, as RELAX does (Li & Stoica 1996), the
    amplitudes by linear and the frequencies by Gauss–Newton steps (Golub & Pereyra 1973). So a sum
    of few waves is found to rounding, however near they are, from points that lie anywhere.

    Args:
        points: x, (N, d) in [-1, 1], d at most ``MOST_COORDINATES``.
        values: (N, C), all columns of the same frequencies.
        highest: the largest ω_ki to look for, in radians.

    Returns:
        ω, (K, d), none negative; (0, d) where the values are zero, not finite, or too few.
    """
    axes = points.shape[1]
    tones = points.new_zeros(0, axes)
    size = float(values.norm())
    if not math.isfinite(size) or size == 0.0:
        return tones
    # not from 0, where no slope says in which direction less is left
    grid = torch.arange(_SPACING / 2, highest, _SPACING).to(points)
    unknowns = 2**axes * values.shape[1] + axes
    most = min(_MOST_TONES, int(_UNKNOWNS * values.numel() / unknowns))
    fit = _Fit(points, values, tones)
    while len(fit.tones) < most and float(fit.residual.norm()) > _ENOUGH * size:
        strongest = _strongest(points, fit.residual, grid)
        fit = _Fit(points, values, torch.cat([fit.tones, strongest[None]])).refined()
    return fit.tones


class _Fit:
    """The best amplitudes for given frequencies."""

    def __init__(self, points: Tensor, values: Tensor, tones: Tensor) -> None:
        self.points, self.values, self.tones = points, values, tones
        waves = [_waves(points, tone) for tone in tones]
        matrix = torch.cat(waves, dim=1) if waves else points.new_zeros(len(points), 0)
        # left singular vectors, since at ω = 0 a sine is no wave, and two tones may meet
        left, singular, right = torch.linalg.svd(matrix, full_matrices=False)
        kept = singular > 1e-10 * singular.max() if len(singular) else singular > 0
        self.basis = left[:, kept]
        inside = self.basis.mT @ values
        self.amplitudes = right[kept].mT @ (inside / singular[kept, None])
        self.residual = values - self.basis @ inside

    def refined(self) -> _Fit:
        """The fit with frequencies moved to where less is left."""
        here, damping = self, 1e-3
        for _ in range(_REFINEMENTS):
            slopes = here._slopes()
            size = float(slopes.square().sum(dim=0).mean())
            before, after = float(here.residual.norm()), None
            while size > 0.0 and damping < 1e6 and after is None:
                move = damped(slopes, -here.residual.flatten(), damping * size)
                if move is not None:
                    # the basis is the same for ω and −ω
                    moved = (here.tones + move.view_as(here.tones)).abs()
                    trial = _Fit(self.points, self.values, moved)
                    after = trial if float(trial.residual.norm()) < before else None
                damping = damping / 10 if after is not None else damping * 4
            if after is None:
                break
            here = after
            if float(here.residual.norm()) > (1 - _WORTHWHILE) * before:
                break
        return here

    def _slopes(self) -> Tensor:
        """Of the fitted values by the frequencies, less what the amplitudes follow, (N C, K d)."""
        columns = []
        for tone, amplitudes in zip(
            self.tones, self.amplitudes.chunk(len(self.tones)), strict=True
        ):
            for axis in range(len(tone)):
                slope = _waves(self.points, tone, by=axis) @ amplitudes
                columns.append((slope - self.basis @ (self.basis.mT @ slope)).flatten())
        return torch.stack(columns, dim=1)


def _waves(points: Tensor, tone: Tensor, by: int | None = None) -> Tensor:
    """∏_i of cos(ω_i x_i) or sin(ω_i x_i), all 2^d of them, (N, 2^d); or their slopes by ω_by."""
    factors = []
    for axis, x in enumerate(points.unbind(dim=1)):
        cosine, sine = torch.cos(tone[axis] * x), torch.sin(tone[axis] * x)
        pair = (-x * sine, x * cosine) if axis == by else (cosine, sine)
        factors.append(torch.stack(pair, dim=1))
    return reduce(lambda left, right: (left[:, :, None] * right[:, None]).flatten(1), factors)


def _strongest(points: Tensor, residual: Tensor, grid: Tensor) -> Tensor:
    """The frequency of the grid (G,) in each coordinate whose waves hold most of it, (d,)."""
    factors = [
        torch.cat([torch.cos(x[:, None] * grid), torch.sin(x[:, None] * grid)], dim=1)
        for x in points.unbind(dim=1)
    ]
    # waves on scattered points are nearly orthogonal
    factors = [each / each.norm(dim=0) for each in factors]
    columns = [_power(factors, each, len(grid)) for each in residual.unbind(dim=1)]
    power = torch.stack(columns).sum(dim=0)
    places = torch.unravel_index(power.argmax(), power.shape)
    return torch.stack([grid[place] for place in places])


def _power(factors: list[Tensor], values: Tensor, size: int) -> Tensor:
    """Σ_φ (Σ_n values_n ∏_i φ_i(ω_i x_ni))² for all frequencies of a grid, (G, …, G)."""
    first, *others = factors
    if not others:
        power = (first.mT @ values).square()
    elif len(others) == 1:
        power = ((first * values[:, None]).mT @ others[0]).square()
        power = power.unflatten(1, (2, size)).sum(dim=1)
    else:
        each = (_power(others, values * wave, size) for wave in first.unbind(dim=1))
        power = torch.stack(list(each))
    return power.unflatten(0, (2, size)).sum(dim=0)
