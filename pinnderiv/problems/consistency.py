"""Whether the numbers of a problem make sense together, looked at in a few points."""

from __future__ import annotations

import logging
from collections.abc import Callable

import torch
from torch import Tensor

from pinnderiv.domains import SobolSampler
from pinnderiv.errors import ArgumentError, ConfigurationError
from pinnderiv.problems.conditions import AnyCondition
from pinnderiv.problems.problem import Problem

_PROBES = 32
# An exact solution may be given to some digits only.
_TOLERANCE = 1e-3
_log = logging.getLogger(__name__)


def check_values(problem: Problem) -> None:
    """Refuses values that are no numbers, and warns of an exact solution that is none.

    Raises:
        ConfigurationError: a source, a value or the exact solution is not finite somewhere.
    """
    inside = _some(lambda n: problem.domain.sample(SobolSampler(0), n))
    solution = problem.solution
    # with unknowns nobody knows what it fulfils
    known = solution is not None and next(problem.equation.unknowns.parameters(), None) is None
    if problem.right_hand_side is not None:
        _require_finite("source", problem.right_hand_side(inside), inside, problem)
    if solution is not None:
        values = solution(inside)
        _require_finite("exact", values, inside, problem)
        if known:
            residual = problem.residual(solution, inside, check=False)
            _warn("the equation", residual, float(values.abs().max()))
    for each in problem.conditions:
        points, data = _at(problem, each)
        _require_finite(f"conditions.{each.name}", data, points, problem)
        if known and solution is not None:
            residual = each.residual(solution, points, data, check=False)
            _warn(f"conditions.{each.name}", residual, float(solution(points).abs().max()))


def _at(problem: Problem, condition: AnyCondition) -> tuple[Tensor, Tensor]:
    """Points of a condition, and what is known there."""
    surface, points = condition.surface or problem.domain, condition.points
    if points is None:
        points = _some(lambda n: surface.sample_piece(condition.piece, SobolSampler(0), n))
    normals = surface.normals(condition.piece, points) if condition.needs_normals else None
    return points, condition.data(points, normals)


def _some(draw: Callable[[int], Tensor]) -> Tensor:
    """Points, as many as are looked at; a cloud may have but a few."""
    for count in (_PROBES, 4):
        try:
            return draw(count)
        except ArgumentError:
            continue
    return draw(1)


def _require_finite(what: str, values: Tensor, points: Tensor, problem: Problem) -> None:
    bad = torch.nonzero(~torch.isfinite(values).all(dim=-1))
    if len(bad):
        at = points[int(bad[0])].tolist()
        where = ", ".join(f"{n} = {c:.4g}" for n, c in zip(problem.coordinates, at, strict=True))
        raise ConfigurationError(f"{what} is no finite number at {where}")


def _warn(what: str, residual: Tensor, size: float) -> None:
    worst = float(residual.detach().abs().max())
    if not worst <= _TOLERANCE * (1.0 + size):
        _log.warning(
            "exact does not fulfil %s: it is off by up to %.3g, so the error that will be "
            "reported means little; correct one of them",
            what,
            worst,
        )
