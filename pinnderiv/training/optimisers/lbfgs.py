"""L-BFGS (Liu and Nocedal, 1989) with a strong Wolfe line search.

One step is one iteration, usually one evaluation of the loss and its gradient: what the line
search computed where it arrived is kept as the start of the next step. (``torch.optim.LBFGS``
evaluates that point again at each call, or hides many iterations in one.)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from pinnderiv.errors import ConfigurationError
from pinnderiv.training.objective import Evaluation, Objective
from pinnderiv.training.optimisers.line_search import Search, Trial, strong_wolfe
from pinnderiv.training.optimisers.optimiser import Optimiser, StepReport


@dataclass(frozen=True)
class _Pair:
    """What one step taught of the curvature.

    Attributes:
        move: s, the change of the parameters, (P,).
        change: y, the change of the gradient, (P,).
        curvature: s·y, positive.
    """

    move: Tensor
    change: Tensor
    curvature: float


class LBFGS(Optimiser):
    """Limited-memory BFGS.

    Args:
        history: how many curvature pairs are kept.
        max_evaluations: trials of one line search at most.
        steps, time_share: the length of the phase, see :class:`Optimiser`.

    Raises:
        ConfigurationError: a number out of range.
    """

    name = "lbfgs"
    large_matrices = False

    def __init__(
        self,
        history: int = 50,
        max_evaluations: int = 25,
        steps: int | None = None,
        time_share: float | None = None,
    ) -> None:
        super().__init__(steps, time_share)
        if history < 1 or max_evaluations < 2:
            raise ConfigurationError(
                "history of the lbfgs phase must be at least 1 and max_evaluations at least 2, "
                f"got {history} and {max_evaluations}"
            )
        self.history = history
        self.max_evaluations = max_evaluations

    def begin(self, objective: Objective) -> None:
        self._pairs: list[_Pair] = []
        self._here: Evaluation | None = None

    def points_changed(self) -> None:
        # the pairs keep their worth as curvature; the value and the gradient do not
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
        if search.accepted is None and self._pairs:
            # a stale curvature can spoil the direction: once more, straight downhill
            self._pairs = []
            search, direction = self._search(objective, origin, here)
            spent += search.evaluations
        if search.accepted is None:
            objective.set_vector(origin)
            return StepReport(here, learning_rate=0.0, evaluations=spent, stalled=True)
        length, there = search.accepted.length, search.accepted.evaluation
        objective.set_vector(origin + length * direction)
        self._remember(length * direction, there.gradient - here.gradient)
        self._here = there
        return StepReport(there, learning_rate=length, evaluations=spent)

    def _search(
        self, objective: Objective, origin: Tensor, here: Evaluation
    ) -> tuple[Search, Tensor]:
        direction = self._direction(here.gradient)
        slope = float(torch.dot(here.gradient, direction))
        if slope >= 0.0 and self._pairs:
            self._pairs = []
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
        first = 1.0 if self._pairs else min(1.0, 1.0 / float(here.gradient.abs().sum()))
        return strong_wolfe(at, start, first, self.max_evaluations), direction

    def _direction(self, gradient: Tensor) -> Tensor:
        """−H g by the two loops (Nocedal and Wright, algorithm 7.4)."""
        direction = -gradient
        if not self._pairs:
            return direction
        shares = []
        for pair in reversed(self._pairs):
            share = float(torch.dot(pair.move, direction)) / pair.curvature
            direction.add_(pair.change, alpha=-share)
            shares.append(share)
        newest = self._pairs[-1]
        direction.mul_(newest.curvature / float(torch.dot(newest.change, newest.change)))
        for pair, share in zip(self._pairs, reversed(shares), strict=True):
            back = float(torch.dot(pair.change, direction)) / pair.curvature
            direction.add_(pair.move, alpha=share - back)
        return direction

    def _remember(self, move: Tensor, change: Tensor) -> None:
        curvature = float(torch.dot(move, change))
        # rounding alone must not enter as curvature
        scale = float(move.norm() * change.norm())
        if curvature <= torch.finfo(move.dtype).eps * scale:
            return
        self._pairs = [*self._pairs, _Pair(move, change, curvature)][-self.history :]

    def state_dict(self) -> dict[str, Any]:
        here = None if self._here is None else self._here.state_dict()
        pairs = [[pair.move, pair.change, pair.curvature] for pair in self._pairs]
        return {"pairs": pairs, "here": here}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._pairs = [_Pair(*pair) for pair in state["pairs"]][-self.history :]
        self._here = None if state["here"] is None else Evaluation.from_state(state["here"])
