"""L-BFGS (Liu and Nocedal, 1989) with a strong Wolfe line search."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from pinnderiv.errors import ConfigurationError
from pinnderiv.training.objective import Evaluation
from pinnderiv.training.optimisers.quasi_newton import QuasiNewton


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


class LBFGS(QuasiNewton):
    """Limited-memory BFGS.

    Args:
        history: how many curvature pairs are kept.
        max_evaluations: trials of one line search at most.
        steps, time_share: the length of the phase, see :class:`Optimiser`.

    Raises:
        ConfigurationError: a number out of range.
    """

    name = "lbfgs"
    _pairs: list[_Pair]

    def __init__(
        self,
        history: int = 50,
        max_evaluations: int = 25,
        steps: int | None = None,
        time_share: float | None = None,
    ) -> None:
        super().__init__(max_evaluations, steps, time_share)
        if history < 1 or max_evaluations < 2:
            raise ConfigurationError(
                "history of the lbfgs phase must be at least 1 and max_evaluations at least 2, "
                f"got {history} and {max_evaluations}"
            )
        self.history = history

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

    def _learn(
        self, move: Tensor, change: Tensor, curvature: float, length: float, gradient: Tensor
    ) -> None:
        self._pairs = [*self._pairs, _Pair(move, change, curvature)][-self.history :]

    def _forget(self) -> None:
        self._pairs = []

    def _knows_curvature(self) -> bool:
        return bool(self._pairs)

    def state_dict(self) -> dict[str, Any]:
        here = None if self._here is None else self._here.state_dict()
        pairs = [[pair.move, pair.change, pair.curvature] for pair in self._pairs]
        return {"pairs": pairs, "here": here}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._pairs = [_Pair(*pair) for pair in state["pairs"]][-self.history :]
        self._here = None if state["here"] is None else Evaluation.from_state(state["here"])
