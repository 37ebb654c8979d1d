"""The loss as an optimiser sees it: a function of one vector of parameters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.func import functional_call

from pinnderiv.training.collocation import Collocation, Points
from pinnderiv.training.loss import Loss


@dataclass(frozen=True)
class Evaluation:
    """The loss at one vector of parameters.

    Attributes:
        loss: 0-d.
        terms: 0-d each, unweighted mean squares.
        gradient: (P,), of the loss.
    """

    loss: Tensor
    terms: dict[str, Tensor]
    gradient: Tensor

    @property
    def finite(self) -> bool:
        return bool(torch.isfinite(self.loss)) and bool(torch.isfinite(self.gradient).all())

    def state_dict(self) -> dict[str, Any]:
        return {"loss": self.loss, "terms": dict(self.terms), "gradient": self.gradient}

    @staticmethod
    def from_state(state: dict[str, Any]) -> Evaluation:
        return Evaluation(state["loss"], dict(state["terms"]), state["gradient"])


class Objective:
    """The loss at the present collocation points.

    Args:
        loss: holds the network.
        collocation: holds the points.
    """

    def __init__(self, loss: Loss, collocation: Collocation) -> None:
        self.loss = loss
        self.collocation = collocation
        self._scaled = _Scaled(loss)
        self._named = {
            name: each for name, each in self._scaled.named_parameters() if each.requires_grad
        }
        self.parameters = list(self._named.values())
        self.size = sum(each.numel() for each in self.parameters)

    def vector(self) -> Tensor:
        """A copy of all parameters, (P,)."""
        return torch.cat([each.detach().reshape(-1) for each in self.parameters])

    def set_vector(self, vector: Tensor) -> None:
        """Copies ``vector`` (P,) into the parameters."""
        start = 0
        with torch.no_grad():
            for each in self.parameters:
                stop = start + each.numel()
                each.copy_(vector[start:stop].view_as(each))
                start = stop

    def evaluate(self) -> Evaluation:
        """The loss, its terms and its gradient where the network is."""
        terms = self.loss.terms(self.collocation.points)
        loss = self.loss.total(terms)
        # the last bias does not enter a pure derivative: its gradient is None, and means zero
        gradients = torch.autograd.grad(loss, self.parameters, allow_unused=True)
        flat = [
            torch.zeros_like(each).reshape(-1) if gradient is None else gradient.reshape(-1)
            for each, gradient in zip(self.parameters, gradients, strict=True)
        ]
        return Evaluation(
            loss.detach(), {name: term.detach() for name, term in terms.items()}, torch.cat(flat)
        )

    def residuals(self, vector: Tensor) -> Tensor:
        """All scaled residuals at ``vector`` (P,), as one vector (R,).

        Its squared norm is the loss. It is a pure function of ``vector``, so ``torch.func``
        differentiates it: what Gauss–Newton methods need.
        """
        parameters, start = {}, 0
        for name, each in self._named.items():
            parameters[name] = vector[start : start + each.numel()].view_as(each)
            start += each.numel()
        scaled = functional_call(self._scaled, parameters, (self.collocation.points,))
        return torch.cat(list(scaled.values()))


class _Scaled(torch.nn.Module):
    """``functional_call`` calls a module; this one's forward is the loss's scaled residuals."""

    def __init__(self, loss: Loss) -> None:
        super().__init__()
        self.loss = loss

    def forward(self, points: Points) -> dict[str, Tensor]:
        return self.loss.scaled(points)
