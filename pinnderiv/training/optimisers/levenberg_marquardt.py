"""The method of Levenberg and Marquardt on the residual vector."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from pinnderiv.errors import ConfigurationError
from pinnderiv.training.objective import Objective
from pinnderiv.training.optimisers.least_squares import damped
from pinnderiv.training.optimisers.optimiser import Optimiser, StepReport, positive
from pinnderiv.training.optimisers.row_jacobian import Linearisation, evaluation_at, linearise

# A step is taken if the loss falls by at least this share of what the model foretells.
_ENOUGH = 1e-3


class LevenbergMarquardt(Optimiser):
    """Gauss–Newton steps, damped: δ minimises ‖r + J δ‖² + λ‖δ‖².

    λ is a share of the largest diagonal entry of JᵀJ, and follows the ratio of the loss's fall to
    the fall foretold (Nielsen 1999): down to a third where the model is right, up by growing
    powers of two where a step fails. One step of the optimiser is one Jacobian, with as many
    trials of λ as it takes. The system is solved in parameters or in residuals, whichever are
    fewer (see :func:`~pinnderiv.training.optimisers.least_squares.damped`).

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
        self.damping = positive("damping of the levenberg_marquardt phase", damping)
        self.lowest = positive("lowest damping of the levenberg_marquardt phase", lowest)
        if max_trials < 1:
            raise ConfigurationError(
                f"max_trials of the levenberg_marquardt phase must be at least 1, got {max_trials}"
            )
        self.max_trials = max_trials

    def begin(self, objective: Objective) -> None:
        self._share = self.damping
        self._growth = 2.0

    def step(self, objective: Objective) -> StepReport:
        here = linearise(objective)
        evaluation = here.evaluation()
        if not evaluation.finite:
            return StepReport(evaluation, learning_rate=0.0)
        origin = objective.vector()
        size = float(here.jacobian.square().sum(dim=0).max())
        for trial in range(1, self.max_trials + 1):
            move = damped(here.jacobian, here.residual, max(self._share * size, 1e-300))
            if move is not None:
                gain = self._gain(objective, here, origin + move, move)
                if gain > _ENOUGH:
                    self._share *= max(1 / 3, 1 - (2 * min(gain, 1.0) - 1) ** 3)
                    self._share = max(self._share, self.lowest)
                    self._growth = 2.0
                    objective.set_vector(origin + move)
                    return StepReport(evaluation_at(objective, evaluation), 1.0, trial + 1)
            self._share *= self._growth
            self._growth *= 2.0
        objective.set_vector(origin)
        self.begin(objective)
        return StepReport(
            evaluation,
            learning_rate=0.0,
            evaluations=self.max_trials + 1,
            stalled=True,
            note=(
                f"Levenberg-Marquardt: no damping out of {self.max_trials} lowers the loss of "
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
        if not foretold > 0.0 or not after < before:  # also where one is not a number
            return -1.0
        return (before - after) / foretold

    def state_dict(self) -> dict[str, Any]:
        return {"share": self._share, "growth": self._growth}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._share = float(state["share"])
        self._growth = float(state["growth"])
