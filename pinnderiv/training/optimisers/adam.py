"""Adam (Kingma and Ba, 2015), with a learning-rate schedule."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from pinnderiv.errors import ConfigurationError
from pinnderiv.training.objective import Objective
from pinnderiv.training.optimisers.first_order import FirstOrder
from pinnderiv.training.optimisers.schedules import Schedule


class Adam(FirstOrder):
    """Adam on all parameters as one vector.

    With ``patience`` the phase hands over to the next one as soon as it stalls, see
    :class:`~pinnderiv.training.optimisers.first_order.FirstOrder`.

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
    _title = "Adam"

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
        super().__init__(lr, beta1, beta2, eps, schedule, patience, least_fall, steps, time_share)

    def begin(self, objective: Objective) -> None:
        super().begin(objective)
        self._vector = torch.nn.Parameter(objective.vector())
        # the first step is lr / (1 - beta1), which PyTorch converts to the parameters' type
        greatest = torch.finfo(self._vector.dtype).max * (1.0 - self.betas[0])
        if self.lr > greatest:
            raise ConfigurationError(
                f"lr of the adam phase is {self.lr:g}, more than {self._vector.dtype} can hold "
                f"with beta1={self.betas[0]:g} ({greatest:.1e}): take one such as 1e-3"
            )
        self._adam = torch.optim.Adam([self._vector], lr=self.lr, betas=self.betas, eps=self.eps)

    def _update(self, objective: Objective, gradient: Tensor, rate: float) -> None:
        self._adam.param_groups[0]["lr"] = rate
        self._vector.grad = gradient
        self._adam.step()
        objective.set_vector(self._vector.detach())

    def state_dict(self) -> dict[str, Any]:
        moments = self._adam.state_dict()["state"].get(0, {})
        return {**super().state_dict(), "moments": dict(moments)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        super().load_state_dict(state)
        # only the moments are taken over: rates and betas are the configuration's to change
        if state["moments"]:
            groups = self._adam.state_dict()["param_groups"]
            self._adam.load_state_dict({"state": {0: state["moments"]}, "param_groups": groups})
