"""Finds where the frequencies of a random-feature network lie, judged by the residual alone."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from pinnderiv.errors import ConfigurationError
from pinnderiv.networks import RandomFeatureNetwork
from pinnderiv.training.collocation import Points
from pinnderiv.training.loss_objective import LossObjective, loss_of_run
from pinnderiv.training.objective import Evaluation, Objective
from pinnderiv.training.optimisers.feature_bands import Band, FeatureBands, tones_of_data
from pinnderiv.training.optimisers.least_squares import minimum_norm
from pinnderiv.training.optimisers.linear_part import LinearPart, take
from pinnderiv.training.optimisers.optimiser import Optimiser, StepReport
from pinnderiv.training.optimisers.pace import Pace

# Rows for each feature, and every how many of them one is kept back to judge by.
_ROWS_PER_FEATURE = 3
_JUDGE = 3
# Along each axis; two are what a wave needs at the least.
_POINTS_PER_HALF_WAVE = 2.0
# Little is left to choose where this share of the right-hand side is left.
_GOOD_ENOUGH = 1e-10
_REFINEMENT = (0.7, 1.4)
# All features fill a wider band than some of them.
_WIDENING = (1.0, 1.25, 1.6)
# The axes that are not being searched, before anything is known of them: a third of a wave.
_SMOOTH = 1.0
# Around tones of the data: for solutions made of these very waves, and of others near them.
_SPREADS = (0.01, 0.1, 1.0)
_SPREAD_REFINEMENT = (0.3, 3.0)


@dataclass(frozen=True)
class _Trial:
    """What one band gives: the share left at points kept back, and what led there."""

    left: float
    coefficients: Tensor
    loss: Tensor
    terms: dict[str, Tensor]


class FeatureSearch(Optimiser):
    """Chooses :class:`RandomFeatureNetwork`'s ``scale`` by the residual at points kept back.

    A trial takes some of the features, solves for their output layer by linear least squares at
    two thirds of the points, and takes the residual's norm at the other third. The ladder ⅛, ¼,
    ½, … is climbed by all axes together, and by each alone while the others are smooth; then by
    each axis from the best so far; then in smaller steps; and last with all features and wider
    bands, as long as these leave less. One step of the optimiser is one trial, and the network
    always has the best band so far. Nothing but the equation, its source and the conditions
    enters. Waves too short for the points are not tried. A trial that by the pace of those before
    would go beyond the time of the phase is not begun.

    Where the conditions are terms of the loss, the features are u itself, and much of u oscillates
    as what is given does: initial values, say, of twelve half-waves along x and two along y. One
    axis at a time would miss what helps only together. So the frequencies of the source and of the
    values are found (:func:`find_tones`), and bands around these are tried too. A network
    that is multiplied by a factor of zeros on the walls, as with hard constraints, has others.

    Args:
        features: how many of the network's features a trial uses.
        rungs: numbers on the ladder.
        first: the lowest of them, in radians per unit of input scaled to [-1, 1].
        max_axes: with more coordinates than this, all keep one common scale.
        steps, time_share: the length of the phase, see :class:`Optimiser`.

    Raises:
        ConfigurationError: a number is out of range.
    """

    name = "feature_search"

    def __init__(
        self,
        features: int = 400,
        rungs: int = 11,
        first: float = 0.125,
        max_axes: int = 6,
        steps: int | None = None,
        time_share: float | None = None,
    ) -> None:
        super().__init__(steps, time_share)
        if features < 1 or rungs < 1 or not first > 0.0 or max_axes < 1:
            raise ConfigurationError(
                "features, rungs, first and max_axes of the feature_search phase must be positive, "
                f"got {features}, {rungs}, {first} and {max_axes}"
            )
        self.features = features
        self.ladder = [first * 2.0**rung for rung in range(rungs)]
        self.max_axes = max_axes

    def begin(self, objective: Objective) -> None:
        """Prepares the trials.

        Raises:
            ConfigurationError: the network has no scale to search, or there is no network.
        """
        objective = loss_of_run(objective, self.name)
        found = [
            module
            for module in objective.loss.network.modules()
            if isinstance(module, RandomFeatureNetwork)
        ]
        if len(found) != 1:
            raise ConfigurationError(
                "the feature_search phase needs network=random_features: it searches that "
                "network's scale. Leave the phase out for other networks"
            )
        self._network = found[0]
        self._linear = LinearPart(objective.loss, objective.collocation.points)
        self._linear.require_affine(objective.collocation.points)
        # evaluated at the first need: in many dimensions that takes longer than a trial
        self._here: Evaluation | None = None
        self._pace: Pace | None = None
        self._best = float("inf")
        self._outdated = False
        self._bands = FeatureBands(self._network)
        self._looked = False
        self._base = self._winner = Band(tuple(self._network.scale.tolist()))
        self._stage = self._tried = self._climbs = 0

    def points_changed(self) -> None:
        # what a scale left at other points is no measure for the next ones
        self._outdated = True
        self._here = None

    def step(self, objective: Objective) -> StepReport:
        objective = loss_of_run(objective, self.name)
        if self._linear.nothing_left(objective.collocation.points):
            note = "feature_search: the boundary values alone solve the equation, to rounding"
            return self._report(objective, note)
        self._look_for_tones(objective)
        candidates, whole = self._stages()[self._stage]
        if self._too_long(objective.collocation.points, whole):
            return self._report(objective, f"{self._note()} (there was no time for larger trials)")
        if whole and self._tried == 0 and self._climbs == 0:
            self._best = float("inf")  # what fewer features left is no measure for all of them
        if self._outdated and self._best < float("inf"):
            self._best = float("inf")
            self._compare(objective, self._winner, whole)
        self._outdated = False
        self._compare(objective, candidates[self._tried], whole)
        self._bands.put(self._winner)
        self._tried += 1
        if self._tried == len(candidates):
            # the candidates of a stage are all made from the scale that it began with
            higher = whole and len(candidates) > 1 and self._winner == candidates[-1]
            self._base, self._tried = self._winner, 0
            if higher and max(self._base.scale) < self.ladder[-1]:
                self._climbs += 1  # some of the features had judged for a band too narrow
            else:
                self._stage += 1
        # the common ladder is climbed to its end: higher rungs are better conditioned than low ones
        common = self._stage == 0 and self._tried < len(self.ladder)
        good = self._best <= _GOOD_ENOUGH and not common
        done = self._stage == len(self._stages()) or good
        return self._report(objective, self._note() if done else "")

    def _look_for_tones(self, objective: LossObjective) -> None:
        """Once, before the first trial."""
        if self._looked:
            return
        self._looked = True
        each_axis = len(self._base.scale) == objective.loss.problem.domain.dim
        all_axes = bool((self._bands.drawn != 0.0).all())
        if each_axis and all_axes and not objective.collocation.ansatz.hard:
            points = objective.collocation.points
            tones = tones_of_data(self._linear, points, self.ladder[-1])
            self._bands.tones = tones.to(self._bands.drawn)

    def _compare(self, objective: LossObjective, band: Band, whole: bool) -> None:
        """Tries a band; keeps it, and its solution, where it leaves less than the best so far."""
        found = self._try(objective.collocation.points, band, whole)
        if found is None or not found.left < self._best:
            return
        self._best, self._winner = found.left, band
        self._linear.set_coefficients(self._linear.padded(found.coefficients))
        gradient = torch.zeros_like(objective.vector())  # a search has no use for it
        self._here = Evaluation(found.loss, found.terms, gradient)

    def _report(self, objective: Objective, note: str) -> StepReport:
        """What a step did; with a note it was the last one."""
        if self._here is None:
            self._here = objective.evaluate()
        return StepReport(self._here, learning_rate=0.0, stalled=bool(note), note=note)

    def _too_long(self, points: Points, whole: bool) -> bool:
        """Whether the next trial would go beyond the time that is left."""
        if self._pace is None or self.seconds_left == math.inf:
            return False
        count = self._count(whole)
        few = take(points, _ROWS_PER_FEATURE * count)
        rows = self._linear.rows(few)
        outputs = len(self._linear.loss.problem.outputs)
        return self._pace.seconds(rows, outputs * (count + 1)) > self.seconds_left

    def _count(self, whole: bool) -> int:
        width = self._network.hidden.out_features
        return width if whole else min(self.features, width)

    def _note(self) -> str:
        if self._best == float("inf"):
            return (
                "feature_search: no scale gave a finite solution; check the source and the "
                "conditions for numbers that are not finite"
            )
        note = f"feature_search: {self._winner} leaves {self._best:.1e} of the right-hand side"
        if self._best <= 0.1:
            return note
        return (
            f"{note}. That is little gained: try more features and points, or in many dimensions "
            "network.orders=[1,2]"
        )

    def _stages(self) -> list[tuple[list[Band], bool]]:
        """Each stage's candidates, made from the present base; and whether all features enter."""
        here, count = self._base, len(self._base.scale)
        axes = list(range(count)) if count <= self.max_axes else []
        first = [Band.even(rung, count) for rung in self.ladder]
        if len(axes) > 1:
            smooth = Band.even(_SMOOTH, count)
            first += [smooth.along(axis, rung) for axis in axes for rung in self.ladder]
        stages = [(first, False)]
        if len(self._bands.tones):
            stages.append((self._around_tones(), False))
        if here.spread is not None:
            axes = [axis for axis in axes if axis in self._bands.free]
        for values in (None, _REFINEMENT):
            for axis in axes:
                own = here.scale[axis]
                rungs = self.ladder if values is None else [factor * own for factor in values]
                stages.append(([here.along(axis, rung) for rung in rungs], False))
        if here.spread is not None:
            spreads = [factor * here.spread for factor in _SPREAD_REFINEMENT]
            stages.append(([replace(here, spread=each) for each in spreads], False))
        elif not axes:
            stages.append(([here.wider(factor) for factor in _REFINEMENT], False))
        fixed = here.spread is not None and not self._bands.free
        stages.append(([here] if fixed else [here.wider(factor) for factor in _WIDENING], True))
        return stages

    def _around_tones(self) -> list[Band]:
        """Bands around the data's frequencies, each with the whole ladder on the other axes."""
        found = []
        for spread in _SPREADS:
            for rung in self.ladder if self._bands.free else [_SMOOTH]:
                band = Band.even(_SMOOTH, len(self._base.scale), spread)
                for axis in self._bands.free:
                    band = band.along(axis, rung)
                found.append(band)
        return found

    def _try(self, points: Points, band: Band, whole: bool) -> _Trial | None:
        """Solves with one band; None where there is no finite solution, or one of no meaning."""
        count = self._count(whole)
        few = take(points, _ROWS_PER_FEATURE * count)
        if not self._resolved(band, len(few.interior)):
            return None
        self._bands.put(band)
        began = time.perf_counter()
        with self._bands.narrowed(count):
            matrix, target = self._linear.matrix(few), self._linear.target(few)
        made = time.perf_counter()
        kept_back = self._linear.every(_JUDGE, few)
        found = minimum_norm(matrix[~kept_back], target[~kept_back])
        pace = Pace.measured(matrix, made - began, matrix, time.perf_counter() - made)
        self._pace = pace.or_faster(self._pace)
        if found is None:
            return None
        residual = matrix @ found - target
        # terms of a single point, such as the start of an ordinary equation, are never kept back
        size = float(target[kept_back].norm() or target.norm() / _JUDGE**0.5)
        # with a source and values of zero, u = 0 is right whatever the scale
        left = float(residual[kept_back].norm()) / size if size > 0.0 else 0.0
        terms = self._linear.terms(residual, few)
        return _Trial(left, found, residual.square().sum(), terms)

    def _resolved(self, band: Band, interior: int) -> bool:
        """Whether points that are solved with lie close enough for all waves of a band.

        Between points that do not, a residual that vanishes at them says nothing: neither the
        solution nor the points kept back beside them would see it.
        """
        half_waves = 2 * self._bands.reach(band) / math.pi
        half_waves = half_waves.clamp(min=1.0).sort(descending=True).values
        # features of few coordinates each have waves in those alone
        together = int((self._bands.drawn != 0).sum(dim=1).max())
        wanted = _POINTS_PER_HALF_WAVE ** int((half_waves > 1.0).sum().clamp(max=together))
        return interior * (_JUDGE - 1) / _JUDGE >= wanted * float(half_waves[:together].prod())

    def state_dict(self) -> dict[str, Any]:
        return {
            "best": self._best,
            "outdated": self._outdated,
            "base": self._base.state(),
            "winner": self._winner.state(),
            "bands": self._bands.state_dict(),
            "looked": self._looked,
            "stage": self._stage,
            "tried": self._tried,
            "climbs": self._climbs,
            "here": None if self._here is None else self._here.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._best = float(state["best"])
        self._outdated = bool(state.get("outdated", False))
        self._base, self._winner = Band.of(state["base"]), Band.of(state["winner"])
        self._bands.load_state_dict(state.get("bands", {}))
        self._looked = bool(state.get("looked", True))
        self._stage, self._tried = int(state["stage"]), int(state["tried"])
        self._climbs = int(state.get("climbs", 0))
        here = state["here"]
        self._here = None if here is None else Evaluation.from_state(here)
