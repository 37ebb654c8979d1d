"""Long times in slabs: each part of time has a network of its own, trained one after the other.

One network over a long time must learn its end before its start is right, and gets stuck in
solutions that hold nearly everywhere. Marching forward keeps cause before effect (Wight & Zhao
2020; the sequence-to-sequence learning of Krishnapriyan et al. 2021).
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from pinnderiv.derivatives import partial
from pinnderiv.domains import SobolSampler, SpaceTime, TimeInterval
from pinnderiv.errors import ArgumentError, ConfigurationError
from pinnderiv.networks import Scaled, TrialSolution
from pinnderiv.problems import AnyCondition, Condition, Problem
from pinnderiv.training.ansatz import Ansatz, Given
from pinnderiv.training.piecewise import Past, Piecewise
from pinnderiv.training.unknowns import Unknowns


class TimeSlabs:
    """The solution of a problem, with time cut into equal slabs.

    Args:
        problem: to be solved.
        make_network: makes a trainable network from ``inputs`` and ``outputs``; called once for
            each slab.
        constraint: ``hard``, ``soft`` or ``auto``, see :class:`Ansatz`.
        count: how many slabs; 1 is an ordinary :class:`Ansatz`.

    Attributes:
        u: the solution over all of time, (N, D) -> (N, 1).
        ansatzes: of each slab, in their order. What one takes from those before it is read when
            it is asked for, so those must be trained by then.

    Raises:
        ConfigurationError: ``count`` is less than 1, or more and the problem has no time or a
            condition that is no matter of one slab after the other; or ``hard`` is asked for and
            the problem does not allow it.
    """

    def __init__(
        self,
        problem: Problem,
        make_network: Callable[..., nn.Module],
        constraint: str = "auto",
        count: int = 1,
    ) -> None:
        if count < 1:
            raise ConfigurationError(f"training.time_slabs must be at least 1, got {count}")
        first = Ansatz(problem, make_network, constraint)
        self.u: nn.Module = first.u
        self.ansatzes: list[Ansatz] = [first]
        if count > 1:
            self._cut(first, make_network, count)

    def _cut(self, whole: Ansatz, make_network: Callable[..., nn.Module], count: int) -> None:
        """Replaces an ansatz over all of time by ``count`` of them."""
        problem, domain = whole.problem, whole.problem.domain
        if not isinstance(domain, SpaceTime | TimeInterval):
            raise ConfigurationError(
                f"training.time_slabs={count} cuts time into parts, and problem {problem.name!r} "
                "has no time: leave it at 1"
            )
        if Unknowns(problem).any:
            raise ConfigurationError(
                f"training.time_slabs={count} trains one part of time after the other, and the "
                "unknown parameters of the equation belong to all of time: leave it at 1"
            )
        if whole.hard and (whole.conditions or whole.v is whole.u or len(problem.outputs) > 1):
            raise ConfigurationError(
                f"training.time_slabs={count} needs conditions that are all built into the network "
                "of a linear equation with one output, or none of them: take constraint=soft"
            )
        _require_marching(problem, count)
        start, end = domain.duration
        times = [start + (end - start) * k / count for k in range(count)] + [end]
        domains = [domain.during(*pair) for pair in pairwise(times)]
        networks = [
            Scaled(
                make_network(inputs=domain.dim, outputs=len(problem.outputs)),
                each.lower,
                each.upper,
            )
            for each in domains
        ]
        if isinstance(whole.u, TrialSolution):
            # walls and start are met by one lift over all of time, so the slabs' values are zero
            parts: list[nn.Module] = [
                whole.u.without_data(network, *each.duration)
                for network, each in zip(networks, domains, strict=True)
            ]
            order = problem.equation.time_order
            solution = Piecewise(parts, times[1:-1], order, whole.u.lift)
        else:
            parts = list(networks)
            solution = Piecewise(parts, times[1:-1], 0)
        self.u = solution
        self.ansatzes = []
        for k, each in enumerate(domains):
            conditions = tuple(_during(c, each) for c in whole.conditions)
            if k > 0:
                conditions = tuple(_handed_over(c, each, parts[k - 1]) for c in conditions)
            own = replace(problem, domain=each, conditions=conditions)
            self.ansatzes.append(_SlabAnsatz(own, solution, k, whole))


class _SlabAnsatz(Ansatz):
    """The form of the solution in one slab: what comes from those before it is known."""

    def __init__(self, problem: Problem, solution: Piecewise, slab: int, whole: Ansatz) -> None:
        self.problem = problem
        self.u = solution
        self.v = solution.slabs[slab]
        self.hard, self.why_soft = whole.hard, whole.why_soft
        self.conditions = problem.conditions
        self._solution, self._slab = solution, slab

    def _given(self) -> Given | None:
        if not self.hard:
            return None
        past = Past(self._solution, self._slab)
        return copy.deepcopy(past).double() if past.terms else None


@dataclass(frozen=True)
class _HandedOver:
    """∂^columns of a trained network, as it is when it is called: in float64, without gradient."""

    network: nn.Module
    columns: tuple[int, ...]
    output: int | None

    def __call__(self, x: Tensor) -> Tensor:
        frozen: Any = copy.deepcopy(self.network).double()
        with torch.no_grad():
            exact = x.double()
            found = partial(frozen, self.columns)(exact) if self.columns else frozen(exact)
        column = found if self.output is None else found[:, self.output, None]
        return column.to(x.dtype)


def _require_marching(problem: Problem, count: int) -> None:
    """Refuses conditions that cannot be met in one part of time after the other."""
    for each in problem.conditions:
        place = problem.domain.root(each.piece)
        why = ""
        if each.points is not None:
            why = "is at given times, most of which lie in other parts than the one that is trained"
        elif place == "final":
            why = "is at the end of time, which the parts before the last one do not reach"
        elif place == "initial" and type(each) is not Condition:
            why = "is no value at the start, which one part could hand over to the next"
        if why:
            raise ConfigurationError(
                f"training.time_slabs={count} trains one part of time after the other, and the "
                f"condition {each.name!r} {why}: leave it at 1"
            )


def _during(condition: AnyCondition, slab: SpaceTime | TimeInterval) -> AnyCondition:
    """The condition for one slab; it holds somewhere in it.

    Raises:
        ConfigurationError: it does not.
    """
    surface = condition.surface
    if isinstance(surface, SpaceTime):
        condition = replace(condition, surface=surface.during(*slab.duration))
    try:
        (condition.surface or slab).sample_piece(condition.piece, SobolSampler(0), 1)
    except ArgumentError as error:
        start, end = slab.duration
        raise ConfigurationError(
            f"training.time_slabs: the condition {condition.name!r} holds nowhere from t = "
            f"{start:g} to t = {end:g}, which is one of the parts: take fewer, or leave it at 1"
        ) from error
    return condition


def _handed_over(
    condition: AnyCondition, slab: SpaceTime | TimeInterval, before: nn.Module
) -> AnyCondition:
    """The condition for a later slab: at its start the values are those that ``before`` reached."""
    if slab.root(condition.piece) != "initial" or not isinstance(condition, Condition):
        return condition
    return replace(condition, value=_HandedOver(before, condition.partial, condition.output))
