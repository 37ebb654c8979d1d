"""Adam (Kingma and Ba, 2015), with a learning-rate schedule."""

from __future__ import annotations

from typing import Any

import torch

from pinnderiv.errors import ConfigurationError
from pinnderiv.training.objective import Objective
from pinnderiv.training.optimisers.optimiser import Optimiser, StepReport, positive
from pinnderiv.training.optimisers.schedules import Schedule


class Adam(Optimiser):
    """Adam on all parameters as one vector.

    With ``patience`` the phase hands over to the next one as soon as it stalls: when the mean loss
    of the last ``patience`` steps is not below (1 − ``least_fall``) times that of the ``patience``
    steps before them.

    Args:
        lr: the learning rate before the schedule.
        beta1, beta2: decay of the running means of the gradient and of its square, in [0, 1).
        eps: added to the root of the mean square.
        schedule: how ``lr`` changes; constant by default.
        patience: steps over which the loss must have fallen, or None to go on regardless.
        least_fall: the share by which it must have fallen, in [0, 1).
        steps, time_share: the length of the phase, see :class:`Optimiser`.

    Raises:
        ConfigurationError: a number out of range, or a schedule that needs ``steps`` without it;
            when the phase begins, an ``lr`` that the type of the parameters cannot hold.
    """

    name = "adam"
    large_matrices = False

    def __init__(
        self,
        lr: float = 1e-3,
        beta1: float = 0.9,
        beta2: float = 0.999,
        eps: float = 1e-8,
        schedule: Schedule | None = None,
        patience: int | None = None,
        least_fall: float = 0.05,
        steps: int | None = None,
        time_share: float | None = None,
    ) -> None:
        super().__init__(steps, time_share)
        self.lr = positive("lr of the adam phase", lr)
        self.eps = positive("eps of the adam phase", eps)
        if not (0.0 <= beta1 < 1.0 and 0.0 <= beta2 < 1.0):
            raise ConfigurationError(
                f"beta1 and beta2 of the adam phase must lie in [0, 1), got {beta1} and {beta2}"
            )
        self.betas = (beta1, beta2)
        self.schedule = schedule or Schedule()
        self.schedule.check_length(steps)
        if patience is not None and patience < 1:
            raise ConfigurationError(
                f"patience of the adam phase must be at least 1 step, or null, got {patience}"
            )
        if not 0.0 <= least_fall < 1.0:
            raise ConfigurationError(
                f"least_fall of the adam phase must lie in [0, 1), got {least_fall}"
            )
        self.patience = patience
        self.least_fall = least_fall
        self._steps_done = 0

    def begin(self, objective: Objective) -> None:
        self._steps_done = 0
        self._sum = 0.0
        self._before: float | None = None
        self._vector = torch.nn.Parameter(objective.vector())
        # the first step is lr / (1 - beta1), which PyTorch converts to the parameters' type
        greatest = torch.finfo(self._vector.dtype).max * (1.0 - self.betas[0])
        if self.lr > greatest:
            raise ConfigurationError(
                f"lr of the adam phase is {self.lr:g}, more than {self._vector.dtype} can hold "
                f"with beta1={self.betas[0]:g} ({greatest:.1e}): take one such as 1e-3"
            )
        self._adam = torch.optim.Adam([self._vector], lr=self.lr, betas=self.betas, eps=self.eps)

    def step(self, objective: Objective) -> StepReport:
        evaluation = objective.evaluate()
        rate = self.lr * self.schedule.at(self._steps_done, self.steps)
        self._adam.param_groups[0]["lr"] = rate
        self._vector.grad = evaluation.gradient
        self._adam.step()
        objective.set_vector(self._vector.detach())
        self._steps_done += 1
        if not self._has_stalled(float(evaluation.loss)):
            return StepReport(evaluation, learning_rate=rate)
        note = (
            f"Adam: the mean loss fell by less than {self.least_fall:.0%} in {self.patience} steps"
        )
        return StepReport(evaluation, learning_rate=rate, stalled=True, note=note)

    def _has_stalled(self, loss: float) -> bool:
        """Takes in the loss of a step; True at the end of ``patience`` steps without a fall."""
        if self.patience is None:
            return False
        self._sum += loss
        if self._steps_done % self.patience:
            return False
        mean, before = self._sum / self.patience, self._before
        self._sum, self._before = 0.0, mean
        return before is not None and mean > (1.0 - self.least_fall) * before

    def state_dict(self) -> dict[str, Any]:
        moments = self._adam.state_dict()["state"].get(0, {})
        return {
            "steps_done": self._steps_done,
            "moments": dict(moments),
            "sum": self._sum,
            "before": self._before,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._steps_done = state["steps_done"]
        self._sum, self._before = state["sum"], state["before"]
        # only the moments are taken over: rates and betas are the configuration's to change
        if state["moments"]:
            groups = self._adam.state_dict()["param_groups"]
            self._adam.load_state_dict({"state": {0: state["moments"]}, "param_groups": groups})
