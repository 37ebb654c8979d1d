"""The loss of a run as an optimiser sees it: a function of one vector of parameters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.func import functional_call

from pinnderiv.errors import ConfigurationError
from pinnderiv.training.collocation import Collocation, Points
from pinnderiv.training.jacobian import jacobian_of_rows
from pinnderiv.training.loss import Loss, Part
from pinnderiv.training.objective import Evaluation, Linearisation, Objective


class LossObjective(Objective):
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
        super().__init__(list(self._named.values()))

    def evaluate(self) -> Evaluation:
        terms = self.loss.terms(self.collocation.points)
        loss = self.loss.total(terms)
        # the last bias does not enter a pure derivative: its gradient is None, and means zero
        gradients = torch.autograd.grad(loss, self.parameters, allow_unused=True)
        return Evaluation(
            loss.detach(),
            {name: term.detach() for name, term in terms.items()},
            self.flat(gradients),
        )

    def residuals(self, vector: Tensor) -> Tensor:
        parameters = dict(zip(self._named, self.split(vector), strict=True))
        scaled = functional_call(self._scaled, parameters, (self.collocation.points,))
        return torch.cat(list(scaled.values()))

    def linearise(self) -> Linearisation:
        """The scaled residuals and their Jacobian, in the order of :meth:`residuals`."""
        loss, points = self.loss, self.collocation.points
        blocks = {
            name: jacobian_of_part(loss, part, self.parameters)
            for name, part in loss.parts(points).items()
        }
        residuals, jacobians, terms = [], [], {}
        for name, (values, gradients) in blocks.items():
            scale = loss.row_scale(name, points)
            residuals.append(values * scale)
            jacobians.append(gradients * scale[:, None])
            terms[name] = loss.mean_square(name, values, points)
        return Linearisation(torch.cat(residuals), torch.cat(jacobians), terms)

    def evaluation_at(self, before: Evaluation) -> Evaluation:
        with torch.no_grad():
            terms = self.loss.terms(self.collocation.points)
        return Evaluation(self.loss.total(terms), terms, before.gradient)


def jacobian_of_part(loss: Loss, part: Part, parameters: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """Residuals of a term, unscaled, and their derivatives by parameters of the loss.

    Args:
        loss: holds the network and the unknown coefficients.
        part: the term.
        parameters: some of those of the loss.

    Returns:
        (N · R,) and (N · R, P), for R residuals a point.
    """
    # inside vmap nothing can be examined: the network was, when the loss was first evaluated
    options = {**loss.options, "check": False, "chunk_size": None}
    term = _AtPoint(loss, part, options)
    names = {id(each): name for name, each in term.named_parameters()}

    def at(values: dict[str, Tensor], point: Tensor, known: Tensor) -> Tensor:
        found: Tensor = functional_call(term, values, (point, known))
        return found.sum() if part.components == 1 else found

    chosen = {names[id(each)]: each.detach() for each in parameters}
    return jacobian_of_rows(at, chosen, (part.points, part.known), part.components)


def loss_of_run(objective: Objective, phase: str) -> LossObjective:
    """``objective``, for an optimiser that needs more than residuals.

    Raises:
        ConfigurationError: it is not the loss of a problem's network.
    """
    if not isinstance(objective, LossObjective):
        raise ConfigurationError(
            f"the {phase} phase needs the equation, the conditions and the output layer of a "
            "run's network, and was given a residual function: take LevenbergMarquardt, "
            "NaturalGradient or SelfScaled for it"
        )
    return objective


class _Scaled(torch.nn.Module):
    """``functional_call`` calls a module; this one's forward is the loss's scaled residuals."""

    def __init__(self, loss: Loss) -> None:
        super().__init__()
        self.loss = loss

    def forward(self, points: Points) -> dict[str, Tensor]:
        return self.loss.scaled(points)


class _AtPoint(torch.nn.Module):
    """One term of the loss at one point, with parameters of the names that ``_Scaled`` has."""

    def __init__(self, loss: Loss, part: Part, options: dict[str, Any]) -> None:
        super().__init__()
        self.loss = loss
        self._part, self._options = part, options

    def forward(self, point: Tensor, known: Tensor) -> Tensor:
        network, rows = self.loss.network, (point[None], known[None])
        return self._part.residual(network, *rows, **self._options).flatten()
