"""The form of the solution: u = g + v, g known beforehand and v trained.

With hard constraints g is the lift of the boundary and initial values and v is the network times
a factor that vanishes there; with soft ones g is zero and v the network. The equations here are
linear, so L u = f is L v = f − L g. The right-hand side depends on the points alone: the lift, of
3^d evaluations of the data a point, is differentiated once for each set of points and not at
every step.
"""

from __future__ import annotations

import copy
import logging
import time
from collections.abc import Callable
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from pinnderiv.errors import ArgumentError, ConfigurationError
from pinnderiv.networks import HardConstraint, Scaled
from pinnderiv.problems import Problem

# Rows at a time for lifts of few terms; of more, fewer rows.
_ROWS = 1024
_FEW_TERMS = 81
# Seconds of silence after which a user wants to know.
_LONG = 2.0
_log = logging.getLogger(__name__)


class Given(Protocol):
    """A known part g, (N, D) -> (N, 1); ``terms`` is how many evaluations it takes a point."""

    @property
    def terms(self) -> int: ...

    def __call__(self, x: Tensor) -> Tensor: ...


class Ansatz:
    """A network as the solution of a problem.

    Args:
        problem: gives the bounds of the coordinates and the conditions.
        make_network: makes the trainable network from ``inputs`` and ``outputs``, and from
            ``periodic_axes`` where conditions of the problem are periodic and are not to be soft.
        constraint: ``hard``, ``soft``, or ``auto`` (hard where the problem allows it).

    Attributes:
        u: the solution, (N, D) -> (N, 1).
        v: its trained part, (N, D) -> (N, 1).
        hard: whether u meets the conditions by construction.
        why_soft: what stood against it if ``auto`` took soft constraints, else empty.

    Raises:
        ConfigurationError: ``hard`` is asked for and the problem does not allow it.
    """

    def __init__(
        self, problem: Problem, make_network: Callable[..., nn.Module], constraint: str = "auto"
    ) -> None:
        self.problem = problem
        lower, upper = problem.domain.lower, problem.domain.upper
        sizes: dict[str, Any] = {"inputs": problem.domain.dim, "outputs": len(problem.outputs)}
        if problem.periodic_axes and constraint != "soft":
            sizes["periodic_axes"] = problem.periodic_axes
        scaled = Scaled(make_network(**sizes), lower, upper)
        self.u: nn.Module = scaled
        self.v: nn.Module = scaled
        self.why_soft = ""
        if constraint != "soft":
            try:
                constrained = HardConstraint(scaled, **problem.constraint())
                self.u, self.v = constrained, _TrainedPart(constrained)
            except ArgumentError as error:
                if constraint == "hard":
                    raise ConfigurationError(
                        f"constraint=hard cannot be used here: {error} (constraint=soft)"
                    ) from error
                self.why_soft = str(error)
        self.hard = isinstance(self.u, HardConstraint)

    def source(self, points: Tensor) -> Tensor:
        """f − L g at the points, (N, D) -> (N, 1), in the dtype of ``points``."""
        # in float32, second derivatives of the lift would add noise to the right-hand side
        exact = points.double()
        source = self.problem.source(exact).detach()
        given = self._given()
        if given is not None:
            apply = self.problem.equation.apply
            source = source - _by_rows(
                "the equation applied to the boundary values",
                lambda rows: apply(given, rows).detach(),
                exact,
                given.terms,
            )
        return source.to(points.dtype)

    def known(self, points: Tensor) -> Tensor:
        """g at the points, float64 (N, 1)."""
        given = self._given()
        exact = points.double()
        if given is None:
            return torch.zeros_like(exact[:, :1])
        with torch.no_grad():
            return _by_rows("the boundary values continued inside", given, exact, given.terms)

    def _given(self) -> Given | None:
        """g as a module of its own in float64, or None where it is zero."""
        lift = self.u.lift if isinstance(self.u, HardConstraint) else None
        return None if lift is None else copy.deepcopy(lift).double()


def _by_rows(what: str, function: Callable[[Tensor], Tensor], points: Tensor, terms: int) -> Tensor:
    """The function at the points, some rows at a time; says so where that takes long."""
    parts, began, first, said = [], time.perf_counter(), 0.0, False
    chunks = points.split(max(64, min(_ROWS, _ROWS * _FEW_TERMS // terms)))
    for number, rows in enumerate(chunks, start=1):
        parts.append(function(rows))
        spent = time.perf_counter() - began
        # the first rows also pay for what is done but once, so they tell nothing of the others
        first = spent if number == 1 else first
        left = (spent - first) / max(number - 1, 1) * (len(chunks) - number)
        if not said and spent + left > _LONG and left > _LONG / 2:
            said = True
            # a warning, since the console shows no less
            _log.warning(
                "before training: %s, %d terms at each of %d points, takes about %.0f s",
                what,
                terms,
                len(points),
                spent + left,
            )
    return torch.cat(parts)


class _TrainedPart(nn.Module):
    """The second summand of a :class:`HardConstraint`: its factor times its network."""

    def __init__(self, constraint: HardConstraint) -> None:
        super().__init__()
        self.constraint = constraint

    def forward(self, x: Tensor) -> Tensor:
        return self.constraint.factor(x) * self.constraint.network(x)
