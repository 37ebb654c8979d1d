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

    Args:
        lr: the learning rate before the schedule.
        beta1, beta2: decay of the running means of the gradient and of its square, in [0, 1).
        eps: added to the root of the mean square.
        schedule: how ``lr`` changes; constant by default.
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
        self._steps_done = 0

    def begin(self, objective: Objective) -> None:
        self._steps_done = 0
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
        return StepReport(evaluation, learning_rate=rate)

    def state_dict(self) -> dict[str, Any]:
        moments = self._adam.state_dict()["state"].get(0, {})
        return {"steps_done": self._steps_done, "moments": dict(moments)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._steps_done = state["steps_done"]
        # only the moments are taken over: rates and betas are the configuration's to change
        if state["moments"]:
            groups = self._adam.state_dict()["param_groups"]
            self._adam.load_state_dict({"state": {0: state["moments"]}, "param_groups": groups})
