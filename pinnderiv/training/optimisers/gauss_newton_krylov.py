"""Gauss–Newton for large networks: damped steps through products with J and Jᵀ alone."""

from __future__ import annotations

from typing import Any

import torch

from pinnderiv.errors import ConfigurationError
from pinnderiv.training.objective import Evaluation, Objective
from pinnderiv.training.optimisers.bidiagonal import Bidiagonalisation, Products
from pinnderiv.training.optimisers.damping import Damping, gain_ratio
from pinnderiv.training.optimisers.optimiser import Optimiser, StepReport

# Directions added between two looks at how exact the step is.
_LOOK = 4


class GaussNewtonKrylov(Optimiser):
    """Levenberg–Marquardt steps without J: δ minimises ‖r + J δ‖² + λ‖δ‖² in a Krylov space.

    An inexact Gauss–Newton method (Dembo, Eisenstat and Steihaug 1982): the space grows until
    ‖Jᵀ(r + J δ) + λ δ‖ ≤ ``forcing`` ‖Jᵀ r‖, or to ``iterations`` directions. Each direction is one
    J v and one Jᵀ v, about the cost of one gradient. The space does not depend on λ, so all trials
    of λ share it (see :class:`~pinnderiv.training.optimisers.bidiagonal.Bidiagonalisation`). λ is a
    share of the largest eigenvalue of JᵀJ that the space knows, and follows the gain ratio (see
    :class:`~pinnderiv.training.optimisers.damping.Damping`).

    ``forcing`` is a constant, and small. Rules that loosen it far from the solution (Eisenstat and
    Walker 1996) save directions where JᵀJ is well conditioned; here Jᵀr is nearly all along a few
    directions, and what is left of it after them is where the loss has yet to fall: 1e-4 takes
    some five times the directions of 0.1 for a step, and for equal work reaches a fifth of its
    loss (Poisson's equation, 205 parameters, 150 points).

    Memory: ``iterations`` vectors of the parameters, and the graph of the residuals. The Jacobian,
    residuals × parameters, is never formed.

    Args:
        iterations: directions of one step at most.
        forcing: how exactly the damped system is solved, in (0, 1).
        damping: the first λ, as a share of the largest eigenvalue of JᵀJ.
        lowest: λ never falls below this share.
        max_trials: values of λ that one step may try; the phase has stalled when all fail.
        steps, time_share: the length of the phase, see :class:`Optimiser`.

    Raises:
        ConfigurationError: a number is out of range.
    """

    name = "gauss_newton_krylov"

    def __init__(
        self,
        iterations: int = 100,
        forcing: float = 1e-4,
        damping: float = 1e-3,
        lowest: float = 1e-18,
        max_trials: int = 20,
        steps: int | None = None,
        time_share: float | None = None,
    ) -> None:
        super().__init__(steps, time_share)
        if iterations < 1:
            raise ConfigurationError(
                f"iterations of the gauss_newton_krylov phase must be at least 1, got {iterations}"
            )
        if not 0.0 < forcing < 1.0:
            raise ConfigurationError(
                f"forcing of the gauss_newton_krylov phase must lie in (0, 1), got {forcing}: "
                "take one such as 1e-4"
            )
        self.iterations = iterations
        self.forcing = forcing
        self._damping = Damping(self.name, damping, lowest, max_trials)

    def begin(self, objective: Objective) -> None:
        self._damping.begin()

    def step(self, objective: Objective) -> StepReport:
        origin = objective.vector()
        products = Products.of(objective.residuals, origin)
        loss = products.residual.square().sum()
        space = Bidiagonalisation(products, self.iterations)
        evaluation = objective.evaluation_at(Evaluation(loss, {}, space.gradient))
        if not evaluation.finite:
            return StepReport(evaluation, learning_rate=0.0)
        self._grow(space)
        spent, before = 1 + space.dimension, float(loss)
        size = space.largest() ** 2
        trials = self._damping.max_trials
        if not space.dimension:
            note = f"Gauss-Newton-Krylov: the gradient is zero, at a loss of {before:.3g}"
            return StepReport(evaluation, 0.0, spent, stalled=True, note=note)
        for trial in range(1, trials + 1):
            solution = space.solve(self._damping.of(size))
            vector = origin + space.step(solution)
            with torch.no_grad():
                after = float(objective.residuals(vector).square().sum())
            if self._damping.accepts(gain_ratio(before, solution.foretold, after)):
                objective.set_vector(vector)
                return StepReport(objective.evaluation_at(evaluation), 1.0, spent + trial)
        self.begin(objective)
        return StepReport(
            evaluation,
            learning_rate=0.0,
            evaluations=spent + trials,
            stalled=True,
            note=(
                f"Gauss-Newton-Krylov: no damping out of {trials} lowers the loss of {before:.3g}. "
                "Either rounding is reached, or this is a local minimum: try more points, a wider "
                "network or another seed"
            ),
        )

    def _grow(self, space: Bidiagonalisation) -> None:
        """Adds directions until the step for the present λ is exact enough."""
        while not space.complete:
            space.extend()
            if space.dimension % _LOOK:
                continue
            damping = self._damping.of(space.largest() ** 2)
            if space.solve(damping).error <= self.forcing:
                return

    def state_dict(self) -> dict[str, Any]:
        return self._damping.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._damping.load_state_dict(state)
