"""The loss: mean squares of the equation's residual and of the conditions' errors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from pinnderiv.errors import ConfigurationError
from pinnderiv.problems import Condition, Problem
from pinnderiv.training.ansatz import Ansatz
from pinnderiv.training.collocation import Points

EQUATION = "equation"


class Loss(nn.Module):
    """Residuals of a network, term by term.

    It is a module, with the derivatives taken inside ``forward``, so that
    ``torch.func.functional_call`` turns it into a function of the parameters, and a wrapper
    such as DistributedDataParallel sees all of its parameters.

    Args:
        problem: equation and conditions.
        ansatz: its trained part is what the loss is of; if it is hard, the conditions are no
            terms of the loss.
        weights: factor on the mean square of each term; a term that is not named has 1.

        **options: of :func:`pinnderiv.linear_operator`: ``method``, ``chunk_size``, ``check``.

    Raises:
        ConfigurationError: a weight is negative or not finite, or all are zero.
    """

    def __init__(
        self,
        problem: Problem,
        ansatz: Ansatz,
        weights: Mapping[str, float],
        **options: Any,
    ) -> None:
        super().__init__()
        self.problem = problem
        self.options = options
        self.network = ansatz.v
        self.conditions: tuple[Condition, ...] = () if ansatz.hard else problem.conditions
        self.names = (EQUATION, *(each.name for each in self.conditions))
        for name, weight in weights.items():
            if not 0.0 <= weight < float("inf"):
                raise ConfigurationError(
                    f"loss.weights.{name} must be a finite number of at least 0, got {weight}"
                )
        self.weights = {name: float(weights.get(name, 1.0)) for name in self.names}
        if not any(self.weights.values()):
            raise ConfigurationError(
                f"loss.weights is 0 for every term of this loss ({', '.join(self.names)}), so "
                "there is nothing to train: give one of them a weight"
            )

    def forward(self, points: Points) -> dict[str, Tensor]:
        """The residuals at the points, unweighted: a vector (N_term,) for each term."""
        residuals = {
            EQUATION: self.problem.equation.residual(
                self.network, points.interior, points.source, **self.options
            ).flatten()
        }
        for condition in self.conditions:
            residuals[condition.name] = condition.residual(
                self.network,
                points.pieces[condition.piece],
                points.values[condition.name],
                **self.options,
            ).flatten()
        return residuals

    def scaled(self, points: Points) -> dict[str, Tensor]:
        """The residuals times √(weight / N_term).

        The sum of their squares over all terms is the loss: this is the residual vector of
        Gauss–Newton methods.
        """
        return {
            name: residual * (self.weights[name] / len(residual)) ** 0.5
            for name, residual in self(points).items()
        }

    def terms(self, points: Points) -> dict[str, Tensor]:
        """The mean square of each term, unweighted; 0-d tensors."""
        return {name: residual.square().mean() for name, residual in self(points).items()}

    def total(self, terms: Mapping[str, Tensor]) -> Tensor:
        """The weighted sum of the terms; a 0-d tensor."""
        weighted = [self.weights[name] * term for name, term in terms.items()]
        return sum(weighted[1:], start=weighted[0])
