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
# A share that was estimated by 8,192 points is wrong by less than this factor.
_SLOW = 20

_REPLICATES = 8
_ROUGH, _EMPTY, _FINE = 10, 14, 16
_ACCURACY = 1e-4


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


def choose(unit: Tensor, weights: Sequence[float]) -> tuple[Tensor, Tensor]:
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
    ends = torch.tensor(weights, dtype=torch.float64, device=unit.device).cumsum(0)
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
        points, keep = propose(sampler.draw(size, dim))
        points = (points if keep is None else points[keep])[:missing]
        accepted.append(points)
        missing -= len(points)
        budget -= size
    return torch.cat(accepted)


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
    """Good to a relative standard error of 1e-4, or what half a million points give.

    Eight independent scramblings of a Sobol' set (Owen 1997) give eight estimates, whose
    spread is the error. The seeds are fixed, so that the same shapes have the same measure.
    """
    for size in range(_ROUGH + 2, _FINE + 1):
        share = _estimate(propose, dim, size)
        if share.value > 0 and share.error <= _ACCURACY * share.value:
            break
    return share


def _estimate(propose: Proposal, dim: int, size: int) -> Share:
    shares = []
    for seed in range(_REPLICATES):
        engine = torch.quasirandom.SobolEngine(dim, scramble=True, seed=seed)
        unit = engine.draw(1 << size, dtype=torch.float64).clamp(max=math.nextafter(1.0, 0.0))
        keep = propose(unit)[1]
        shares.append(1.0 if keep is None else float(keep.double().mean()))
    values = torch.tensor(shares, dtype=torch.float64)
    error = float(values.std()) / math.sqrt(_REPLICATES)
    value = float(values.mean())
    if value == 1.0:
        return Share(1.0, 0.0)
    # Estimates that agree to the last point say no more than that a point may be missing.
    return Share(value, max(error, 1.0 / (_REPLICATES << size)))
