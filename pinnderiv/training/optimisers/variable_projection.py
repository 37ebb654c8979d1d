"""Variable projection: the output layer solved for exactly, the rest by Gauss–Newton."""

from __future__ import annotations

import math
import time
from typing import Any

import torch
from torch import Tensor

from pinnderiv.errors import ConfigurationError
from pinnderiv.training.collocation import Points
from pinnderiv.training.loss_objective import LossObjective, loss_of_run
from pinnderiv.training.objective import Evaluation, Objective
from pinnderiv.training.optimisers.least_squares import damped, minimum_norm
from pinnderiv.training.optimisers.linear_part import LinearPart, take
from pinnderiv.training.optimisers.optimiser import Optimiser, StepReport, positive
from pinnderiv.training.optimisers.pace import Pace

# Where time allows but a part of the points: the share of it to plan with, and the least rows that
# a solution is worth having from.
_MARGIN = 0.8
_ROWS_PER_COEFFICIENT = 1.25
# A step that lowers the loss by less than this share is not worth another Jacobian.
_WORTHWHILE = 1e-3
_PROBE_ROWS = 64


class VariableProjection(Optimiser):
    """Golub & Pereyra 1973, with Kaufman's Jacobian (1975), damped like Levenberg–Marquardt.

    The equation is linear and the network linear in its last layer's parameters c, so the
    residual is A c − b, and the best c comes from one linear least-squares problem. The first step
    solves it: with a wide layer of well-spread features nothing else is needed. Each later step
    (``train_hidden``) moves the other parameters w by the damped Gauss–Newton step of
    min over c of ‖A(w) c − b‖, whose Jacobian is that of the residual, projected away from the
    columns of A; c is solved for anew at every trial.

    Args:
        train_hidden: move the hidden parameters too; else the phase ends after its first step.
        cutoff: singular values of A below this share of the largest count as zero; null for
            rounding.
        damping: the first λ, as a share of the mean diagonal entry.
        max_trials: values of λ that one step may try.
        steps, time_share: the length of the phase, see :class:`Optimiser`.

    Raises:
        ConfigurationError: a number is out of range.
    """

    name = "variable_projection"

    def __init__(
        self,
        train_hidden: bool = False,
        cutoff: float | None = None,
        damping: float = 1e-2,
        max_trials: int = 12,
        steps: int | None = None,
        time_share: float | None = None,
    ) -> None:
        super().__init__(steps, time_share)
        if cutoff is not None and not 0.0 < cutoff < 1.0:
            raise ConfigurationError(
                f"cutoff of the variable_projection phase must lie in (0, 1) or be null, "
                f"got {cutoff}"
            )
        if max_trials < 1:
            raise ConfigurationError(
                f"max_trials of the variable_projection phase must be at least 1, got {max_trials}"
            )
        self.train_hidden = train_hidden
        self.cutoff = cutoff
        self.damping = positive("damping of the variable_projection phase", damping)
        self.max_trials = max_trials

    def begin(self, objective: Objective) -> None:
        objective = loss_of_run(objective, self.name)
        points = objective.collocation.points
        self._linear = LinearPart(objective.loss, points)
        self._linear.require_affine(points)
        self._hidden = _columns_of_others(objective, self._linear)
        self._share = self.damping
        self._solved = False
        self._here: Evaluation | None = None

    def points_changed(self) -> None:
        self._solved = False
        self._here = None

    def step(self, objective: Objective) -> StepReport:
        objective = loss_of_run(objective, self.name)
        if not self._solved:
            return self._first_step(objective)
        if not self.train_hidden:
            evaluation = objective.evaluate() if self._here is None else self._here
            return StepReport(evaluation, 0.0, stalled=True, note=self._note(objective, evaluation))
        return self._hidden_step(objective)

    def _first_step(self, objective: LossObjective) -> StepReport:
        if self._linear.nothing_left(objective.collocation.points):
            self._linear.set_coefficients(torch.zeros_like(self._linear.coefficients))
            note = "variable_projection: the boundary values alone solve the equation, to rounding"
            return StepReport(objective.evaluate(), 0.0, stalled=True, note=note)
        points = objective.collocation.points
        takes = self._seconds_needed(points)
        if takes > self.seconds_left:
            affordable = self._affordable(points, takes)
            if affordable is None:
                return self._without_time(objective, takes)
            points = affordable
        kept = self._linear.coefficients
        matrix, target = self._linear.matrix(points), self._linear.target(points)
        found = minimum_norm(matrix, target, self.cutoff)
        residual = matrix @ kept - target
        if found is not None:
            after = matrix @ found - target
            # else the coefficients that are there are as good: rounding, or a matrix of no use
            if after.square().sum() <= residual.square().sum():
                self._linear.set_coefficients(found)
                residual = after
        self._solved = True
        evaluation = self._linear.evaluation(residual, points, ~self._hidden, matrix)
        self._here = evaluation
        if found is None:
            note = (
                "variable_projection: the least-squares problem of the output layer has no finite "
                "solution; check the source and the conditions, or take dtype=float64"
            )
            return StepReport(evaluation, 0.0, stalled=True, note=note)
        return StepReport(evaluation, learning_rate=1.0)

    def _seconds_needed(self, points: Points) -> float:
        """What the linear problem will take, by a small one; without a limit, zero, unmeasured."""
        if self.seconds_left == math.inf:
            return 0.0
        few = take(points, max(1, len(points.interior) // 8))
        pace = self._pace(few).or_faster(self._pace(few))
        columns = len(self._linear.coefficients)
        return pace.seconds(len(self._linear.target(points)), columns)

    def _affordable(self, points: Points, takes: float) -> Points | None:
        """As many of the points as there is time for; None if they are too few to solve with."""
        most = _MARGIN * self.seconds_left / takes * self._linear.rows(points)
        count = len(points.interior)
        while count > 1 and self._linear.rows(take(points, count)) > most:
            count = count * 9 // 10
        few = take(points, count)
        enough = _ROWS_PER_COEFFICIENT * len(self._linear.coefficients)
        return few if self._linear.rows(few) >= enough else None

    def _pace(self, few: Points) -> Pace:
        began = time.perf_counter()
        part = self._linear.matrix(few)
        made = time.perf_counter()
        narrow = part[:, : max(1, part.shape[1] // 4)]
        minimum_norm(narrow, part[:, 0], self.cutoff)
        return Pace.measured(part, made - began, narrow, time.perf_counter() - made)

    def _without_time(self, objective: LossObjective, takes: float) -> StepReport:
        """The network as it is, with its loss at some of the points."""
        few = take(objective.collocation.points, _PROBE_ROWS)
        matrix, target = self._linear.matrix(few), self._linear.target(few)
        residual = matrix @ self._linear.coefficients - target
        note = (
            f"variable_projection: the solution for {matrix.shape[1]} coefficients takes about "
            f"{takes:.0f} s here, and {self.seconds_left:.0f} s were left, so the output layer is "
            "as it was before: raise training.max_seconds, or take a smaller network.width"
        )
        evaluation = self._linear.evaluation(residual, few, ~self._hidden, matrix)
        return StepReport(evaluation, 0.0, stalled=True, out_of_time=True, note=note)

    def _solve(self, objective: LossObjective) -> float | None:
        """Puts the best output layer in; the loss there, or None if there is none."""
        points = objective.collocation.points
        matrix, target = self._linear.matrix(points), self._linear.target(points)
        found = minimum_norm(matrix, target, self.cutoff)
        if found is None:
            return None
        self._linear.set_coefficients(found)
        return float((matrix @ found - target).square().sum())

    def _hidden_step(self, objective: LossObjective) -> StepReport:
        here = objective.linearise()
        evaluation = here.evaluation()
        if not evaluation.finite:
            return StepReport(evaluation, learning_rate=0.0)
        projected = self._projected(objective, here.jacobian[:, self._hidden])
        size = float(projected.square().sum(dim=0).mean())
        origin, before = objective.vector(), float(evaluation.loss)
        for trial in range(1, self.max_trials + 1):
            move = damped(projected, here.residual, max(self._share * size, 1e-300))
            if move is not None:
                vector = origin.clone()
                vector[self._hidden] += move
                objective.set_vector(vector)
                after = self._solve(objective)
                if after is not None and after < before:
                    self._share = max(self._share / 4, 1e-16)
                    if after > (1 - _WORTHWHILE) * before:
                        break
                    return StepReport(objective.evaluate(), 1.0, evaluations=trial + 1)
            objective.set_vector(origin)
            self._share *= 4
        evaluation = objective.evaluate()
        self._share = self.damping
        note = self._note(objective, evaluation)
        return StepReport(evaluation, 0.0, self.max_trials + 1, stalled=True, note=note)

    def _projected(self, objective: LossObjective, jacobian: Tensor) -> Tensor:
        """The Jacobian without its part in the range of A."""
        matrix = self._linear.matrix(objective.collocation.points)
        scale = matrix.norm(dim=0)
        left, values, _ = torch.linalg.svd(
            matrix / torch.where(scale > 0, scale, torch.ones_like(scale)), full_matrices=False
        )
        share = 4 * torch.finfo(matrix.dtype).eps if self.cutoff is None else self.cutoff
        basis = left[:, values > share * values[0]]
        return jacobian - basis @ (basis.mT @ jacobian)

    def _note(self, objective: LossObjective, evaluation: Evaluation) -> str:
        target = float(self._linear.target(objective.collocation.points).norm())
        left = float(evaluation.loss) ** 0.5
        share = left / target if target > 0.0 else 0.0
        done = f"variable_projection: {share:.1e} of the right-hand side is left"
        if share <= 1e-10:
            return done
        if self.train_hidden:
            return f"{done}; try a wider network, more points or another seed"
        return (
            f"{done}; try a wider network (with three points a feature), or "
            "optimiser.variable_projection.train_hidden=true"
        )

    def state_dict(self) -> dict[str, Any]:
        here = None if self._here is None else self._here.state_dict()
        return {"share": self._share, "solved": self._solved, "here": here}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._share = float(state["share"])
        self._solved = bool(state["solved"])
        here = state.get("here")
        self._here = None if here is None else Evaluation.from_state(here)


def _columns_of_others(objective: Objective, linear: LinearPart) -> Tensor:
    """Which entries of the objective's vector do not belong to the output layer."""
    own = {id(each) for each in linear.layer.parameters()}
    parts = [
        torch.full((each.numel(),), id(each) not in own, device=each.device)
        for each in objective.parameters
    ]
    return torch.cat(parts)
