"""Sampling by proposal and acceptance, and estimates of how much is accepted."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from pinnderiv.domains.samplers import Sampler
from pinnderiv.errors import ArgumentError, ShapeError, UnsupportedOperationError

Predicate = Callable[[Tensor], Tensor]
"""Points (N, dim) -> bool (N,)."""

Proposal = Callable[[Tensor], tuple[Tensor, Tensor | None]]
"""Unit points (N, dim) -> points (N, dim), and which to keep (``None``: all)."""

# A draw of more would take much memory; several draws take none.
_LARGEST_DRAW = 1 << 20
# Rows at a time: a polygon looks at every edge for every row.
_CHUNK = 1 << 14
# A share that was estimated by 8,192 points is wrong by less than this factor.
_SLOW = 20

# Independent scramblings, and the logarithm of the points in each.
_REPLICATES = 16
_ROUGH, _EMPTY, _FINE = 9, 13, 14


def both(first: Tensor | None, second: Tensor | None) -> Tensor | None:
    """What two masks both keep; ``None`` keeps all."""
    if first is None or second is None:
        return second if first is None else first
    return first & second


def holds(predicate: Predicate, name: str, points: Tensor) -> Tensor:
    """Where a predicate is true, (N,).

    Raises:
        ShapeError: it does not return one boolean a point.
    """
    answer = predicate(points)
    if isinstance(answer, Tensor) and answer.shape == (len(points), 1):
        answer = answer.squeeze(1)
    if (
        not isinstance(answer, Tensor)
        or answer.dtype != torch.bool
        or answer.shape != (len(points),)
    ):
        got = (
            f"{answer.dtype} {tuple(answer.shape)}"
            if isinstance(answer, Tensor)
            else type(answer).__name__
        )
        raise ShapeError(
            f"predicate (of piece {name!r}) must map points (N, {points.shape[1]}) to booleans "
            f"(N,); got {got} for N = {len(points)}."
        )
    return answer


def choose(unit: Tensor, weights: Sequence[float] | Tensor) -> tuple[Tensor, Tensor]:
    """Spends column 0 of unit points on a choice in proportion to weights.

    What is left of the column is uniform again, so that a low-discrepancy set
    stays one in every part that it is dealt out to.

    Args:
        unit: (N, D) in [0, 1].
        weights: one number a choice, none negative.

    Returns:
        The choices (N,), and the unit points (N, D) to go on with.
    """
    if len(weights) == 1:
        return torch.zeros(len(unit), dtype=torch.int64, device=unit.device), unit
    ends = torch.as_tensor(weights, dtype=torch.float64, device=unit.device).cumsum(0)
    ends = ends / ends[-1]
    first = unit[:, 0].double().contiguous()
    chosen = torch.bucketize(first, ends[:-1].contiguous(), right=True)
    starts = torch.cat([torch.zeros_like(ends[:1]), ends[:-1]])
    rest = (first - starts[chosen]) / (ends - starts)[chosen]
    rest = rest.clamp(0.0, math.nextafter(1.0, 0.0)).to(unit.dtype)
    return chosen, torch.cat([rest[:, None], unit[:, 1:]], dim=1)


def draw_accepted(
    sampler: Sampler, n: int, dim: int, propose: Proposal, share: float, what: str
) -> Tensor:
    """Draws until n proposals are accepted.

    How many are drawn at a time depends on ``n`` and ``share`` alone, so that the
    state of the sampler says what comes next.

    Args:
        sampler: where the unit points come from.
        n: how many points to return.
        dim: columns of a unit point.
        propose: from unit points to points.
        share: part of the proposals that is accepted, about.
        what: what is sampled, for the message.

    Returns:
        float64 (n, dim).

    Raises:
        ArgumentError: what is sampled is empty, or nearly so.
    """
    if share <= 0:
        raise empty(what)
    accepted: list[Tensor] = []
    missing, budget = n, _SLOW * (n / share + 1000)
    while missing > 0:
        if budget < 0:
            raise empty(what)
        size = missing
        if share < 1:
            size = math.ceil((missing + 3 * math.sqrt(missing) + 8) / share)
        size = min(size, _LARGEST_DRAW)
        points = torch.cat(
            [_kept(*propose(unit)) for unit in sampler.draw(size, dim).split(_CHUNK)]
        )
        points = points[:missing]
        accepted.append(points)
        missing -= len(points)
        budget -= size
    return torch.cat(accepted)


def _kept(points: Tensor, keep: Tensor | None) -> Tensor:
    return points if keep is None else points[keep]


def empty(what: str) -> ArgumentError:
    """The error for a domain or a piece that has no points."""
    return ArgumentError(
        f"{what} is empty, or so thin that no point of it was found among "
        f"{_REPLICATES << _EMPTY:,}: check the shapes and the predicates that make it."
    )


def by_rejection(what: str) -> UnsupportedOperationError:
    """The error for a map from unit points that does not exist."""
    return UnsupportedOperationError(
        f"points of {what} are found by rejection, not one for one from unit points: use "
        "sample(sampler, n) or sample_piece(name, sampler, n)."
    )


def check_count(n: int) -> int:
    """A number of points, if it is one; an ArgumentError otherwise."""
    if isinstance(n, bool) or not isinstance(n, int) or n < 1:
        raise ArgumentError(f"n must be an integer of at least 1; got {n!r}.")
    return n


@dataclass(frozen=True)
class Share:
    """Part of the proposals that is accepted.

    Attributes:
        value: in [0, 1].
        error: standard error of the value.
    """

    value: float
    error: float


def rough_share(propose: Proposal, dim: int) -> Share:
    """Enough to plan a draw by, and to tell an empty set from a thin one; in milliseconds."""
    share = _estimate(propose, dim, _ROUGH)
    return share if share.value > 0 else _estimate(propose, dim, _EMPTY)


def fine_share(propose: Proposal, dim: int) -> Share:
    """A share by a quarter of a million points, to about four digits in few dimensions.

    Sixteen independent scramblings of a Sobol' set (Owen 1997) give sixteen estimates, whose
    spread is the error. The seeds are fixed, so that the same shapes have the same measure.
    """
    return _estimate(propose, dim, _FINE)


def _estimate(propose: Proposal, dim: int, size: int) -> Share:
    sets = []
    for seed in range(_REPLICATES):
        engine = torch.quasirandom.SobolEngine(dim, scramble=True, seed=seed)
        sets.append(engine.draw(1 << size, dtype=torch.float64))
    unit = torch.cat(sets).clamp(max=math.nextafter(1.0, 0.0))
    kept = []
    for rows in unit.split(_CHUNK):
        keep = propose(rows)[1]
        if keep is None:
            return Share(1.0, 0.0)
        kept.append(keep)
    values = torch.cat(kept).double().reshape(_REPLICATES, -1).mean(dim=1)
    error = float(values.std()) / math.sqrt(_REPLICATES)
    value = float(values.mean())
    # Estimates that agree to the last point say no more than that a point may be missing.
    return Share(value, max(error, 1.0 / (_REPLICATES << size)))
