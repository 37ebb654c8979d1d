"""One step of a quasi-Newton method: a direction, a line search, and what it taught.

One step is one iteration, usually one evaluation of the loss and its gradient: what the line
search computed where it arrived is kept as the start of the next step. (``torch.optim.LBFGS``
evaluates that point again at each call, or hides many iterations in one.)
"""

from __future__ import annotations

from abc import abstractmethod

import torch
from torch import Tensor

from pinnderiv.training.objective import Evaluation, Objective
from pinnderiv.training.optimisers.line_search import Search, Trial, strong_wolfe
from pinnderiv.training.optimisers.optimiser import Optimiser, StepReport


class QuasiNewton(Optimiser):
    """Goes along −H g with a strong Wolfe line search; a subclass keeps H.

    Args:
        max_evaluations: trials of one line search at most.
        steps, time_share: the length of the phase, see :class:`Optimiser`.
    """

    large_matrices = False

    def __init__(
        self,
        max_evaluations: int = 25,
        steps: int | None = None,
        time_share: float | None = None,
    ) -> None:
        super().__init__(steps, time_share)
        self.max_evaluations = max_evaluations

    def begin(self, objective: Objective) -> None:
        self._here: Evaluation | None = None
        self._forget()

    def points_changed(self) -> None:
        # the curvature keeps its worth; the value and the gradient do not
        self._here = None

    def step(self, objective: Objective) -> StepReport:
        spent = 0
        if self._here is None:
            self._here = objective.evaluate()
            spent = 1
        here = self._here
        if not here.finite:
            return StepReport(here, learning_rate=0.0, evaluations=spent)
        origin = objective.vector()
        search, direction = self._search(objective, origin, here)
        spent += search.evaluations
        if search.accepted is None and self._knows_curvature():
            # a stale curvature can spoil the direction: once more, straight downhill
            self._forget()
            search, direction = self._search(objective, origin, here)
            spent += search.evaluations
        if search.accepted is None:
            objective.set_vector(origin)
            return StepReport(here, learning_rate=0.0, evaluations=spent, stalled=True)
        length, there = search.accepted.length, search.accepted.evaluation
        objective.set_vector(origin + length * direction)
        move, change = length * direction, there.gradient - here.gradient
        curvature = float(torch.dot(move, change))
        # rounding alone must not enter as curvature
        if curvature > torch.finfo(move.dtype).eps * float(move.norm() * change.norm()):
            self._learn(move, change, curvature, length, here.gradient)
        self._here = there
        return StepReport(there, learning_rate=length, evaluations=spent)

    def _search(
        self, objective: Objective, origin: Tensor, here: Evaluation
    ) -> tuple[Search, Tensor]:
        direction = self._direction(here.gradient)
        slope = float(torch.dot(here.gradient, direction))
        if slope >= 0.0 and self._knows_curvature():
            self._forget()
            direction = -here.gradient
            slope = float(torch.dot(here.gradient, direction))
        if slope >= 0.0:
            return Search(None, 0), direction  # the gradient is zero: nothing is left to do

        def at(length: float) -> Trial:
            objective.set_vector(origin + length * direction)
            there = objective.evaluate()
            return Trial(
                length, float(there.loss), float(torch.dot(there.gradient, direction)), there
            )

        start = Trial(0.0, float(here.loss), slope, here)
        # without curvature the gradient says nothing of the distance: a short first try
        known = self._knows_curvature()
        first = 1.0 if known else min(1.0, 1.0 / float(here.gradient.abs().sum()))
        return strong_wolfe(at, start, first, self.max_evaluations), direction

    @abstractmethod
    def _direction(self, gradient: Tensor) -> Tensor:
        """−H g, (P,)."""

    @abstractmethod
    def _learn(
        self, move: Tensor, change: Tensor, curvature: float, length: float, gradient: Tensor
    ) -> None:
        """Takes in what a step taught.

        Args:
            move: s, the change of the parameters, (P,).
            change: y, the change of the gradient, (P,).
            curvature: s·y, positive.
            length: α, the share of the direction that was gone.
            gradient: g where the step began, (P,).
        """

    @abstractmethod
    def _forget(self) -> None:
        """Begins without curvature, with H = 1."""

    @abstractmethod
    def _knows_curvature(self) -> bool:
        """Whether H is more than 1."""
