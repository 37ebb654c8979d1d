"""What an optimiser needs of the function that it minimises: a weighted sum of mean squares."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor


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


@dataclass(frozen=True)
class Linearisation:
    """r(w + δ) ≈ r + J δ.

    Attributes:
        residual: r, (R,), scaled so that ‖r‖² is the loss.
        jacobian: J, (R, P), columns in the order of the objective's vector.
        terms: the mean square of each term of the loss, unweighted.
    """

    residual: Tensor
    jacobian: Tensor
    terms: dict[str, Tensor]

    def evaluation(self) -> Evaluation:
        """The loss and its gradient 2 Jᵀr."""
        loss = self.residual.square().sum()
        return Evaluation(loss, self.terms, 2 * (self.jacobian.mT @ self.residual))


class Objective(ABC):
    """A loss Σ weight · mean square of residuals, as a function of one vector of parameters.

    Everything is asked for where the parameters are, except :meth:`residuals`.

    Args:
        parameters: what is trained, leaves of autograd's graph; their order is the vector's.
    """

    def __init__(self, parameters: Sequence[Tensor]) -> None:
        self.parameters = list(parameters)
        self.size = sum(each.numel() for each in self.parameters)

    def vector(self) -> Tensor:
        """A copy of all parameters, (P,)."""
        return torch.cat([each.detach().reshape(-1) for each in self.parameters])

    def set_vector(self, vector: Tensor) -> None:
        """Copies ``vector`` (P,) into the parameters."""
        with torch.no_grad():
            for each, part in zip(self.parameters, self.split(vector), strict=True):
                each.copy_(part)

    def split(self, vector: Tensor) -> list[Tensor]:
        """``vector`` (P,) in parts of the parameters' shapes."""
        parts = vector.split([each.numel() for each in self.parameters])
        return [part.view_as(each) for part, each in zip(parts, self.parameters, strict=True)]

    def flat(self, gradients: Sequence[Tensor | None]) -> Tensor:
        """Gradients by the parameters as one vector (P,); None means zero."""
        return torch.cat(
            [
                torch.zeros_like(each).reshape(-1) if gradient is None else gradient.reshape(-1)
                for each, gradient in zip(self.parameters, gradients, strict=True)
            ]
        )

    @abstractmethod
    def evaluate(self) -> Evaluation:
        """The loss, its terms and its gradient."""

    @abstractmethod
    def residuals(self, vector: Tensor) -> Tensor:
        """All scaled residuals at ``vector`` (P,), as one vector (R,).

        Its squared norm is the loss. It is a pure function of ``vector``, so ``torch.func``
        differentiates it. The parameters stay as they are.
        """

    @abstractmethod
    def linearise(self) -> Linearisation:
        """The scaled residuals and their Jacobian by the parameters."""

    @abstractmethod
    def evaluation_at(self, before: Evaluation) -> Evaluation:
        """Loss and terms where a step arrived; the gradient is that of ``before``."""
