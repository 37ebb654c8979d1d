"""The method of Levenberg and Marquardt on the residual vector."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from pinnderiv.training.objective import Objective
from pinnderiv.training.optimisers.damping import Damping, gain_ratio
from pinnderiv.training.optimisers.least_squares import damped
from pinnderiv.training.optimisers.optimiser import Optimiser, StepReport
from pinnderiv.training.optimisers.row_jacobian import Linearisation, evaluation_at, linearise


class LevenbergMarquardt(Optimiser):
    """Gauss–Newton steps, damped: δ minimises ‖r + J δ‖² + λ‖δ‖².

    λ is a share of the largest diagonal entry of JᵀJ, and follows the gain ratio (see
    :class:`~pinnderiv.training.optimisers.damping.Damping`). One step of the optimiser is one
    Jacobian, with as many trials of λ as it takes. The system is solved in parameters or in
    residuals, whichever are fewer (see
    :func:`~pinnderiv.training.optimisers.least_squares.damped`).

    Args:
        damping: the first λ, as a share of max diag JᵀJ.
        lowest: λ never falls below this share.
        max_trials: values of λ that one step may try; the phase has stalled when all fail.
        steps, time_share: the length of the phase, see :class:`Optimiser`.

    Raises:
        ConfigurationError: a number is out of range.
    """

    name = "levenberg_marquardt"

    def __init__(
        self,
        damping: float = 1e-3,
        lowest: float = 1e-18,
        max_trials: int = 20,
        steps: int | None = None,
        time_share: float | None = None,
    ) -> None:
        super().__init__(steps, time_share)
        self._damping = Damping(self.name, damping, lowest, max_trials)

    def begin(self, objective: Objective) -> None:
        self._damping.begin()

    def step(self, objective: Objective) -> StepReport:
        here = linearise(objective)
        evaluation = here.evaluation()
        if not evaluation.finite:
            return StepReport(evaluation, learning_rate=0.0)
        origin = objective.vector()
        size = float(here.jacobian.square().sum(dim=0).max())
        trials = self._damping.max_trials
        for trial in range(1, trials + 1):
            move = damped(here.jacobian, here.residual, self._damping.of(size))
            gain = -1.0 if move is None else self._gain(objective, here, origin + move, move)
            if self._damping.accepts(gain) and move is not None:
                objective.set_vector(origin + move)
                return StepReport(evaluation_at(objective, evaluation), 1.0, trial + 1)
        objective.set_vector(origin)
        self.begin(objective)
        return StepReport(
            evaluation,
            learning_rate=0.0,
            evaluations=trials + 1,
            stalled=True,
            note=(
                f"Levenberg-Marquardt: no damping out of {trials} lowers the loss of "
                f"{float(evaluation.loss):.3g}. Either rounding is reached, or this is a local "
                "minimum: try more points, a wider network or another seed"
            ),
        )

    @staticmethod
    def _gain(objective: Objective, here: Linearisation, vector: Tensor, move: Tensor) -> float:
        """The loss's fall as a share of what the linear model foretells."""
        before = float(here.residual.square().sum())
        foretold = before - float((here.residual + here.jacobian @ move).square().sum())
        with torch.no_grad():
            after = float(objective.residuals(vector).square().sum())
        return gain_ratio(before, foretold, after)

    def state_dict(self) -> dict[str, Any]:
        return self._damping.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._damping.load_state_dict(state)
