"""The collocation points of a run, and what is known at them beforehand.

The source term and the values of the conditions depend on the points alone. They are computed
when the points are drawn, not at every step.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pinnderiv.domains import Sampler
from pinnderiv.errors import ArgumentError, CheckpointError, ConfigurationError
from pinnderiv.problems import AnyCondition, Problem
from pinnderiv.training.adaptive import Adaptive, Known, Supply
from pinnderiv.training.ansatz import Ansatz
from pinnderiv.training.seeding import child_seed

INTERIOR, WALLS = "interior", "walls"
# Places that one configuration gives numbers for, whatever the problem.
COMMON = (INTERIOR, WALLS, "initial")


@dataclass(frozen=True)
class Points:
    """One set of collocation points.

    Attributes:
        interior: (N, D), where the equation is asked to hold.
        source: (N, equations), what L v must be there (see :mod:`pinnderiv.training.ansatz`).
        pieces: for each place where a condition holds, points (N_place, D).
        values: for each condition in use, what is known at the points of its place.
    """

    interior: Tensor
    source: Tensor
    pieces: dict[str, Tensor]
    values: dict[str, Tensor]

    @property
    def count(self) -> int:
        """How many points there are in all."""
        return len(self.interior) + sum(len(points) for points in self.pieces.values())


class Collocation:
    """Draws the points, and draws them anew every so many steps.

    Args:
        problem: what the points are for.
        ansatz: gives the right-hand side; if it is hard, no condition needs points.
        sampler: makes a sampler from a keyword ``seed``; each piece gets one of its own.
        counts: number of points in ``interior`` and on each piece of the boundary; a piece that is
            a single point, such as an end of an interval, has one whatever is asked for.
        seed: the run's seed.
        resample_every: steps between two draws; 0 keeps the first points for the whole run.
        adaptive: chooses the interior points from the second draw on; None draws them all alike.
        dtype, device: of the points.

    Raises:
        ConfigurationError: a count is missing or not positive, or names no piece; or the points
            are adaptive and never drawn anew.
    """

    def __init__(
        self,
        problem: Problem,
        ansatz: Ansatz,
        sampler: Callable[..., Sampler],
        counts: Mapping[str, int],
        seed: int,
        resample_every: int = 0,
        dtype: torch.dtype = torch.float64,
        device: torch.device | str = "cpu",
        adaptive: Adaptive | None = None,
    ) -> None:
        if resample_every < 0:
            raise ConfigurationError(
                f"sampler.resample_every must be at least 0 (0: never), got {resample_every}"
            )
        if adaptive is not None and resample_every == 0:
            raise ConfigurationError(
                "sampler.adaptive chooses points anew every sampler.resample_every steps, which is "
                "0 (never): give it a number, such as sampler.resample_every=100"
            )
        self.problem = problem
        self.ansatz = ansatz
        self.conditions = ansatz.conditions
        self.resample_every = resample_every
        self.dtype, self.device = dtype, torch.device(device)
        # what is drawn in each place: a condition with points of its own draws nothing
        self._drawn = {each.place: each for each in self.conditions if each.points is None}
        names = [INTERIOR, *self._drawn]
        counts = {**_by_place(counts, self.conditions), **counts}
        self.counts = {name: _count(counts, name) for name in names}
        self.samplers = {name: sampler(seed=child_seed(seed, "points", name)) for name in names}
        self.adaptive = adaptive
        self._choices = {"seed": child_seed(seed, "points", "adaptive"), "made": 0}
        if adaptive is not None:
            adaptive.begin(self.counts[INTERIOR])
        interior = self._fresh(self.counts[INTERIOR])
        self.points = self._with_pieces(Points(interior.points, interior.source, {}, {}))

    def due(self, step: int) -> bool:
        """Whether the points are to be drawn anew before step number ``step`` (from 0)."""
        return self.resample_every > 0 and step > 0 and step % self.resample_every == 0

    def resample(self, residual: Callable[[Tensor, Tensor], Tensor] | None = None) -> None:
        """Draws the next points.

        Args:
            residual: of the equation, out of points (N, D) and the source there (N, 1), (N,);
                needed where the points are adaptive.

        Raises:
            ArgumentError: it is needed and not given.
        """
        if self.adaptive is None:
            interior = self._fresh(self.counts[INTERIOR])
        elif residual is None:
            raise ArgumentError(
                "residual must be given where the points are adaptive: "
                "collocation.resample(loss.equation_residual)"
            )
        else:
            interior = self._adapt(self.adaptive, residual)
        self.points = self._with_pieces(Points(interior.points, interior.source, {}, {}))

    def state_dict(self) -> dict[str, Any]:
        """The points, and the samplers' places in their sequences."""
        return {
            "interior": self.points.interior,
            "source": self.points.source,
            "pieces": dict(self.points.pieces),
            "values": dict(self.points.values),
            "samplers": {name: each.state_dict() for name, each in self.samplers.items()},
            "choices": dict(self._choices),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Goes on with the points of :meth:`state_dict` and draws what would have come next.

        Raises:
            CheckpointError: the state has points on other pieces, or another sampler's.
        """
        if set(state["samplers"]) != set(self.samplers):
            raise CheckpointError(
                f"the checkpoint has points on {', '.join(state['samplers'])}, this configuration "
                f"asks for {', '.join(self.samplers)}: resume with the problem and the constraint "
                "that the run began with"
            )
        for name, sampler in self.samplers.items():
            sampler.load_state_dict(state["samplers"][name])
        # checkpoints of before there were adaptive points have none
        self._choices.update(state.get("choices", {}))
        self.points = Points(
            self._cast(state["interior"]),
            self._cast(state["source"]),
            {name: self._cast(points) for name, points in state["pieces"].items()},
            {name: self._cast(values) for name, values in state["values"].items()},
        )

    def _adapt(self, adaptive: Adaptive, residual: Callable[[Tensor, Tensor], Tensor]) -> Known:
        # no more rows at a time than a step of the run has, since they are all that is sure to fit
        rows = self.counts[INTERIOR]

        @torch.no_grad()
        def error(at: Known) -> Tensor:
            found = [
                residual(points, source).abs()
                for points, source in zip(*(each.split(rows) for each in at), strict=True)
            ]
            # a residual that is not finite is the loop's to report, and no place to go to
            return torch.cat(found).nan_to_num(nan=0.0, posinf=0.0)

        generator = np.random.default_rng([self._choices["seed"], self._choices["made"]])
        self._choices["made"] += 1
        present = Known(self.points.interior, self.points.source)
        return adaptive.next(present, Supply(self._fresh, error, generator))

    def _fresh(self, count: int) -> Known:
        domain = self.problem.domain
        points = self._cast(domain.sample(self.samplers[INTERIOR], count))
        return Known(points, self.ansatz.source(points))

    def _with_pieces(self, points: Points) -> Points:
        """The points with new ones on the boundary."""
        exact = {
            place: _one_of_copies(
                (each.surface or self.problem.domain).sample_piece(
                    each.piece, self.samplers[place], self.counts[place]
                )
            )
            for place, each in self._drawn.items()
        }
        exact |= {each.place: each.points for each in self.conditions if each.points is not None}
        values = {}
        for each in self.conditions:
            at, normals = exact[each.place].to(self.device), None
            if each.needs_normals:
                surface = each.surface or self.problem.domain
                normals = surface.normals(each.piece, exact[each.place]).to(self.device)
            values[each.name] = self._cast(self.ansatz.data(each, at, normals))
        pieces = {place: self._cast(points) for place, points in exact.items()}
        return replace(points, pieces=pieces, values=values)

    def _cast(self, tensor: Tensor) -> Tensor:
        return tensor.to(device=self.device, dtype=self.dtype)


def _one_of_copies(points: Tensor) -> Tensor:
    """A piece that is a single point needs it once: terms are means, which copies do not change."""
    return points[:1] if bool((points == points[0]).all()) else points


def _by_place(counts: Mapping[str, int], conditions: Iterable[AnyCondition]) -> dict[str, int]:
    """Numbers that were given by names of conditions, by their places; the largest of several."""
    found: dict[str, int] = {}
    for each in conditions:
        if each.name in counts and each.name not in COMMON:
            found[each.place] = max(found.get(each.place, 0), counts[each.name])
    return found


def _count(counts: Mapping[str, int], name: str) -> int:
    """How many points are drawn in a place; on a piece that is not named as many as on walls."""
    found = counts.get(name) if name in COMMON else counts.get(name, counts.get(WALLS))
    if found is None:
        raise ConfigurationError(
            f"sampler.points says nothing of '{name}': add +sampler.points.{name}=<number>; "
            f"it has {', '.join(counts) or 'no entries'}"
        )
    if found < 1:
        raise ConfigurationError(f"sampler.points.{name} must be at least 1, got {found}")
    return int(found)
