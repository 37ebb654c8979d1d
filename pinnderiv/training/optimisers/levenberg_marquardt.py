"""The method of Levenberg and Marquardt on the residual vector."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from pinnderiv.errors import ConfigurationError
from pinnderiv.training.objective import Linearisation, Objective
from pinnderiv.training.optimisers.damping import Damping, gain_ratio
from pinnderiv.training.optimisers.least_squares import damped
from pinnderiv.training.optimisers.optimiser import Optimiser, StepReport
from pinnderiv.training.optimisers.sketch import count_sketch

# Trials of a step on its sketch; a bad one is not worth more.
_ON_SKETCH = 3


class LevenbergMarquardt(Optimiser):
    """Gauss–Newton steps, damped: δ minimises ‖r + J δ‖² + λ‖δ‖².

    λ is a share of the largest diagonal entry of JᵀJ, and follows the gain ratio (see
    :class:`~pinnderiv.training.optimisers.damping.Damping`). One step of the optimiser is one
    Jacobian, with as many trials of λ as it takes. The system is solved in parameters or in
    residuals, whichever are fewer (see
    :func:`~pinnderiv.training.optimisers.least_squares.damped`).

    With ``sketch`` the system of each step is a random sketch of ``sketch`` rows for each
    parameter, where that is less than there are residuals (see
    :func:`~pinnderiv.training.optimisers.sketch.count_sketch`): JᵀJ then costs what it costs with
    so many residuals. A step is judged by all residuals, so the loss never rises; where a few
    trials fail, the step is solved for anew without a sketch. Judged by the sketch alone, runs
    ended far above; a subset of the rows in place of a sketch leaves the few of a condition out.

    Args:
        damping: the first λ, as a share of max diag JᵀJ.
        lowest: λ never falls below this share.
        max_trials: values of λ that one step may try; the phase has stalled when all fail.
        sketch: rows of the sketch for each parameter, at least 1, or None for all residuals.
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
        sketch: float | None = None,
        steps: int | None = None,
        time_share: float | None = None,
    ) -> None:
        super().__init__(steps, time_share)
        self._damping = Damping(self.name, damping, lowest, max_trials)
        if sketch is not None and not 1.0 <= sketch < float("inf"):
            raise ConfigurationError(
                f"sketch of the levenberg_marquardt phase must be at least 1, or null, got {sketch}"
                ": fewer rows than parameters leave directions undetermined; take 2 to 4"
            )
        self.sketch = sketch

    def begin(self, objective: Objective) -> None:
        self._damping.begin()
        if self.sketch is not None:
            # the run's seed decides it
            seed = int(torch.randint(2**62, ()))
            self._generator = torch.Generator().manual_seed(seed)

    def step(self, objective: Objective) -> StepReport:
        here = objective.linearise()
        evaluation = here.evaluation()
        if not evaluation.finite:
            return StepReport(evaluation, learning_rate=0.0)
        origin = objective.vector()
        size = float(here.jacobian.square().sum(dim=0).max())
        system = self._sketched(here)
        trials, first = self._damping.max_trials, self._damping.state_dict()
        for trial in range(1, trials + 1):
            if system is not None and trial > min(_ON_SKETCH, trials - 1):
                system = None
                self._damping.load_state_dict(first)
            matrix, target = system or (here.jacobian, here.residual)
            move = damped(matrix, target, self._damping.of(size))
            gain = -1.0 if move is None else self._gain(objective, here, origin + move, move)
            if self._damping.accepts(gain) and move is not None:
                objective.set_vector(origin + move)
                return StepReport(objective.evaluation_at(evaluation), 1.0, trial + 1)
        objective.set_vector(origin)
        self._damping.begin()
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

    def _sketched(self, here: Linearisation) -> tuple[Tensor, Tensor] | None:
        """S J and S r, or None where there is nothing to save."""
        count, columns = here.jacobian.shape
        rows = 0 if self.sketch is None else round(self.sketch * columns)
        if not 0 < rows < count:
            return None
        return count_sketch(here.jacobian, here.residual, rows, self._generator)

    @staticmethod
    def _gain(objective: Objective, here: Linearisation, vector: Tensor, move: Tensor) -> float:
        """The loss's fall as a share of what the linear model foretells."""
        before = float(here.residual.square().sum())
        foretold = before - float((here.residual + here.jacobian @ move).square().sum())
        with torch.no_grad():
            after = float(objective.residuals(vector).square().sum())
        return gain_ratio(before, foretold, after)

    def state_dict(self) -> dict[str, Any]:
        state = self._damping.state_dict()
        return state if self.sketch is None else {**state, "random": self._generator.get_state()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._damping.load_state_dict(state)
        if self.sketch is not None and "random" in state:
            self._generator.set_state(state["random"].cpu())
