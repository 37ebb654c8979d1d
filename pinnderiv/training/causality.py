"""Causal weights: a residual counts once those at earlier times are small."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from pinnderiv.errors import CheckpointError, ConfigurationError
from pinnderiv.problems import Problem

# A step of the list of ε is done when every interval counts by at least this (Wang et al. 2022).
_OPEN = 0.99


class Causality:
    """w_i = exp(−ε Σ_{k<i} L_k) over intervals of time (Wang, Sankaran & Perdikaris 2022).

    L_k is the mean square of the equation's residual in the k-th of ``chunks`` equal intervals.
    A network trained on all times at once can satisfy the equation late before it knows what the
    solution was early, and then settles on a wrong one. As in Wang et al. 2023, time is
    cut into intervals, and conditions are terms of their own without a causal weight; so the first
    interval always has weight 1. The weights are constants between two updates.

    Args:
        problem: says which column is time.
        epsilon: ε, or several in rising order: the next is taken when all weights exceed 0.99.
        chunks: intervals of time.
        every: steps between two updates.

    Raises:
        ConfigurationError: the problem has no time, or a number is out of range.
    """

    def __init__(
        self,
        problem: Problem,
        epsilon: float | Sequence[float],
        chunks: int = 32,
        every: int = 1,
    ) -> None:
        axis = problem.domain.time_axis
        if axis is None:
            raise ConfigurationError(
                f"loss.causal weighs residuals in the order of time, and '{problem.name}' has no "
                "time: leave loss.causal=null"
            )
        self.epsilons = _rising(epsilon)
        for name, value, least in (("causal_chunks", chunks, 2), ("causal_every", every, 1)):
            if value < least:
                raise ConfigurationError(f"loss.{name} must be at least {least}, got {value}")
        self.axis = axis
        self.start, self.end = problem.domain.lower[axis], problem.domain.upper[axis]
        self.chunks, self.every = chunks, every
        self.stage = 0
        self.weights = torch.ones(chunks, dtype=torch.float64)

    @property
    def epsilon(self) -> float:
        """The present ε."""
        return self.epsilons[self.stage]

    def at(self, points: Tensor) -> Tensor:
        """The weights of points (N, D), (N,) in their dtype."""
        return self.weights.to(points)[self._chunk(points)]

    def due(self, step: int) -> bool:
        """Whether the weights are to be found anew before step number ``step`` (from 0)."""
        return step % self.every == 0

    def update(self, points: Tensor, residual: Tensor) -> bool:
        """Finds the weights for the residual as it is.

        Args:
            points: (N, D).
            residual: of the equation there, unweighted, (N,).

        Returns:
            Whether any weight is another than before.
        """
        losses = self._losses(points, residual.detach())
        # a residual that is not finite is the loop's to report
        if not bool(torch.isfinite(losses).all()):
            return False
        before = self.weights
        # what is earlier: the sum up to here without here
        earlier = losses.cumsum(0) - losses
        self.weights = torch.exp(-self.epsilon * earlier)
        while float(self.weights.min()) > _OPEN and self.stage < len(self.epsilons) - 1:
            self.stage += 1
            self.weights = torch.exp(-self.epsilon * earlier)
        return not torch.equal(before, self.weights)

    def state_dict(self) -> dict[str, Any]:
        """The weights, and which ε is the present one."""
        return {"weights": self.weights, "stage": self.stage}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Goes on from :meth:`state_dict`.

        Raises:
            CheckpointError: it has another number of intervals, or of ε.
        """
        if len(state["weights"]) != self.chunks or state["stage"] >= len(self.epsilons):
            raise CheckpointError(
                f"the checkpoint's causal weights are of {len(state['weights'])} intervals and at "
                f"ε number {state['stage'] + 1}: resume with the loss.causal and the "
                "loss.causal_chunks that the run began with"
            )
        self.weights = state["weights"].to(device="cpu", dtype=torch.float64)
        self.stage = int(state["stage"])

    def _chunk(self, points: Tensor) -> Tensor:
        share = (points[:, self.axis].double() - self.start) / (self.end - self.start)
        # the end of time belongs to the last interval
        return (share * self.chunks).long().clamp(0, self.chunks - 1)

    def _losses(self, points: Tensor, residual: Tensor) -> Tensor:
        """L_k, float64 (chunks,) on the CPU; an interval without points holds nothing back."""
        chunk = self._chunk(points).cpu()
        zero = torch.zeros(self.chunks, dtype=torch.float64)
        sums = zero.index_add(0, chunk, residual.double().square().cpu())
        return sums / chunk.bincount(minlength=self.chunks).clamp(min=1)


def _rising(epsilon: float | Sequence[float]) -> tuple[float, ...]:
    listed = epsilon if isinstance(epsilon, Sequence) else (epsilon,)
    try:
        found = () if isinstance(epsilon, str) else tuple(float(each) for each in listed)
    except (TypeError, ValueError):
        found = ()
    in_order = all(left < right for left, right in pairwise(found))
    if not found or not in_order or not all(0.0 < each < float("inf") for each in found):
        raise ConfigurationError(
            "loss.causal must be a positive number, or a list of them in rising order such as "
            f"[0.01,0.1,1,10], got {epsilon!r}"
        )
    return found
