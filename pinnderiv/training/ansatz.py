"""The form of the solution: u = g + v, g known beforehand and v trained.

With hard constraints g is the lift of the boundary and initial values and v is the network times
a factor that vanishes there; with soft ones g is zero and v the network. Where the equation is
linear, L u = f is L v = f − L g. The right-hand side depends on the points alone: the lift, of
3^d evaluations of the data a point, is differentiated once for each set of points and not at
every step. A nonlinear equation takes u as a whole.
"""

from __future__ import annotations

import copy
import logging
import time
from collections.abc import Callable
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from pinnderiv.domains import SobolSampler
from pinnderiv.errors import ArgumentError, ConfigurationError
from pinnderiv.networks import (
    DistanceConstraint,
    HardConstraint,
    OutputConstraints,
    Scaled,
    TrialSolution,
)
from pinnderiv.problems import AnyCondition, HardPart, Problem
from pinnderiv.training.unknowns import Unknowns

# Rows at a time for lifts of few terms; of more, fewer rows.
_ROWS = 1024
_FEW_TERMS = 81
# Seconds of silence after which a user wants to know.
_LONG = 2.0
_UNEVEN = (
    "boundary values on a domain with corners, or that are no constants, are more often met "
    "accurately by the loss. constraint=hard builds them in."
)
_PROBES = 64
_SAME = 1e-9
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
        u: the solution, (N, D) -> (N, M).
        v: its trained part, (N, D) -> (N, M); all of u where the equation or a condition that is
            left to the loss is not linear, or the problem has unknowns of its own.
        hard: whether u meets conditions by construction.
        conditions: those that are left to the loss.
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
        self.u: nn.Module = Scaled(make_network(**sizes), lower, upper)
        self.why_soft = ""
        met: set[str] = set()
        if constraint != "soft":
            try:
                met = self._build_in(self.u, only_advised=constraint == "auto")
            except ArgumentError as error:
                if constraint == "hard":
                    raise ConfigurationError(
                        f"constraint=hard cannot be used here: {error} (constraint=soft)"
                    ) from error
                self.why_soft = str(error)
        self.hard = bool(met)
        self.conditions = tuple(each for each in problem.conditions if each.name not in met)
        self.v: nn.Module = self.u
        linear = problem.equation.linear and all(each.splits for each in self.conditions)
        # with an unknown in L, L g is not known beforehand: it moves with the unknown
        fixed = linear and not Unknowns(problem).any
        if fixed and isinstance(self.u, TrialSolution | OutputConstraints):
            self.v = _TrainedPart(self.u)

    def _build_in(self, network: nn.Module, only_advised: bool) -> set[str]:
        """Gives u the form that meets conditions; returns their names.

        Raises:
            ArgumentError: nothing can be built in, or nothing that is advised.
        """
        problem = self.problem
        every = [problem.hard(output) for output in range(len(problem.outputs))]
        parts = {output: part for output, part in enumerate(every) if part is not None}
        if not parts:
            problem.constraint()  # says why
        if only_advised and not all(part.advised for part in parts.values()):
            raise ArgumentError(_UNEVEN)
        if len(problem.outputs) == 1:
            self.u = _form(parts[0])(network)
        else:
            forms = {output: _form(part) for output, part in parts.items()}
            self.u = OutputConstraints(network, forms, len(problem.outputs))
        self._warn_of_the_solution()
        return {name for part in parts.values() for name in part.met}

    def _warn_of_the_solution(self) -> None:
        """Says so where the boundary values, continued inside by their formula, are the solution.

        On a box the lift knows of values on the walls alone.
        """
        problem = self.problem
        if problem.on_box or problem.solution is None:
            return
        points = problem.domain.sample(SobolSampler(0), _PROBES)
        given = _lift_of(self.u)
        with torch.no_grad():
            exact = problem.exact(points)
            known = torch.zeros_like(exact) if given is None else given(points)
        if float((exact - known).norm()) <= _SAME * float(exact.norm()):
            _log.warning(
                "the boundary values, which constraint=hard continues inside by their formula, "
                "are the exact solution itself: the errors say nothing of the training"
            )

    def source(self, points: Tensor) -> Tensor:
        """f − L g at the points, (N, D) -> (N, equations), in the dtype of ``points``."""
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

    def data(self, condition: AnyCondition, points: Tensor, normals: Tensor | None) -> Tensor:
        """What is known for a condition at points (N, D) of its piece: its own data, less B g."""
        exact = points.double()
        data = condition.data(exact, normals)
        given = self._given()
        if given is not None:
            output = getattr(condition, "output", 0)
            known = condition.apply(given, exact, data).detach()
            column = known if output is None or known.shape[1] == 1 else known[:, output, None]
            data = torch.cat([data[:, :1] - column, data[:, 1:]], dim=1)
        return data.to(points.dtype)

    def known(self, points: Tensor) -> Tensor:
        """g at the points, float64 (N, M)."""
        given = self._given()
        exact = points.double()
        if given is None:
            return exact.new_zeros(len(exact), len(self.problem.outputs))
        with torch.no_grad():
            return _by_rows("the boundary values continued inside", given, exact, given.terms)

    def _given(self) -> Given | None:
        """g, or None where it is zero or a part of v."""
        return None if self.v is self.u else _lift_of(self.u)


def _lift_of(u: nn.Module) -> Given | None:
    """The lift of a form as a module of its own in float64, or None where it is zero."""
    if isinstance(u, OutputConstraints):
        return _LiftOf(copy.deepcopy(u).double()) if u.terms else None
    lift = u.lift if isinstance(u, TrialSolution) else None
    return None if lift is None else copy.deepcopy(lift).double()


def _form(part: HardPart) -> Callable[[nn.Module], TrialSolution]:
    """What makes the form of u from a network."""
    kind = {"box": HardConstraint, "distance": DistanceConstraint}[part.form]
    return lambda network: kind(network, **part.arguments)


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
    """The second summand of a constraint: its factor times its network."""

    def __init__(self, constraint: TrialSolution | OutputConstraints) -> None:
        super().__init__()
        self.constraint = constraint

    def forward(self, x: Tensor) -> Tensor:
        return self.constraint.factor(x) * self.constraint.network(x)


class _LiftOf(nn.Module):
    """The first summand of the constraints of several outputs."""

    def __init__(self, constraint: OutputConstraints) -> None:
        super().__init__()
        self.constraint = constraint

    @property
    def terms(self) -> int:
        return self.constraint.terms

    def forward(self, x: Tensor) -> Tensor:
        return self.constraint.lift(x)
