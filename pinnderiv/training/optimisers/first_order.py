"""What first-order methods share: a learning-rate schedule, and when to hand over."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

from torch import Tensor

from pinnderiv.errors import ConfigurationError
from pinnderiv.training.objective import Objective
from pinnderiv.training.optimisers.optimiser import Optimiser, StepReport, positive
from pinnderiv.training.optimisers.schedules import Schedule


class FirstOrder(Optimiser):
    """A step along one gradient, whatever the loss is where it leads.

    With ``patience`` the phase hands over to the next one as soon as it stalls: when the mean loss
    of the last ``patience`` steps is not below (1 − ``least_fall``) times that of the ``patience``
    steps before them. Where the points or the weights change, both means begin anew: a phase whose
    loss changes more often than every 2 ``patience`` steps never stalls.

    Args:
        lr: the learning rate before the schedule.
        beta1, beta2: decay of the running means of the gradient and of its square, in [0, 1).
        eps: added to the root of the mean square.
        schedule: how ``lr`` changes; constant by default.
        patience: steps over which the loss must have fallen, or None to go on regardless.
        least_fall: the share by which it must have fallen, in [0, 1).
        steps, time_share: the length of the phase, see :class:`Optimiser`.

    Raises:
        ConfigurationError: a number out of range, or a schedule that needs ``steps`` without it.
    """

    large_matrices = False
    compares_losses = False
    # the name as sentences have it
    _title = "first-order method"

    def __init__(
        self,
        lr: float,
        beta1: float,
        beta2: float,
        eps: float,
        schedule: Schedule | None,
        patience: int | None,
        least_fall: float,
        steps: int | None,
        time_share: float | None,
    ) -> None:
        super().__init__(steps, time_share)
        self.lr = positive(f"lr of the {self.name} phase", lr)
        self.eps = positive(f"eps of the {self.name} phase", eps)
        if not (0.0 <= beta1 < 1.0 and 0.0 <= beta2 < 1.0):
            raise ConfigurationError(
                f"beta1 and beta2 of the {self.name} phase must lie in [0, 1), got {beta1} and "
                f"{beta2}"
            )
        self.betas = (beta1, beta2)
        self.schedule = schedule or Schedule()
        self.schedule.check_length(steps)
        if patience is not None and patience < 1:
            raise ConfigurationError(
                f"patience of the {self.name} phase must be at least 1 step, or null, "
                f"got {patience}"
            )
        if not 0.0 <= least_fall < 1.0:
            raise ConfigurationError(
                f"least_fall of the {self.name} phase must lie in [0, 1), got {least_fall}"
            )
        self.patience = patience
        self.least_fall = least_fall
        self._steps_done = 0

    def begin(self, objective: Objective) -> None:
        self._steps_done = 0
        self.points_changed()

    def points_changed(self) -> None:
        # the next losses are of another function: they are compared with one another only
        self._sum, self._counted = 0.0, 0
        self._before: float | None = None

    @abstractmethod
    def _update(self, objective: Objective, gradient: Tensor, rate: float) -> None:
        """Moves the parameters by one step of length ``rate``."""

    def step(self, objective: Objective) -> StepReport:
        evaluation = objective.evaluate()
        rate = self.lr * self.schedule.at(self._steps_done, self.steps)
        if not evaluation.finite:
            # taken into the running means, it would spoil every later step
            return StepReport(evaluation, learning_rate=rate)
        self._update(objective, evaluation.gradient, rate)
        self._steps_done += 1
        if not self._has_stalled(float(evaluation.loss)):
            return StepReport(evaluation, learning_rate=rate)
        note = (
            f"{self._title}: the mean loss fell by less than {100 * self.least_fall:g}% in "
            f"{self.patience} steps"
        )
        return StepReport(evaluation, learning_rate=rate, stalled=True, note=note)

    def _has_stalled(self, loss: float) -> bool:
        """Takes in the loss of a step; True at the end of ``patience`` steps without a fall."""
        if self.patience is None:
            return False
        self._sum, self._counted = self._sum + loss, self._counted + 1
        if self._counted < self.patience:
            return False
        mean, before = self._sum / self._counted, self._before
        self._sum, self._counted, self._before = 0.0, 0, mean
        return before is not None and mean > (1.0 - self.least_fall) * before

    def state_dict(self) -> dict[str, Any]:
        return {
            "steps_done": self._steps_done,
            "sum": self._sum,
            "counted": self._counted,
            "before": self._before,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._steps_done = state["steps_done"]
        self._sum, self._before = state["sum"], state["before"]
        # checkpoints of before have none, and then it follows from the steps
        self._counted = state.get("counted", self._steps_done % (self.patience or 1))
