"""The Jacobian of the residual vector by the parameters, a block of rows at a time.

Each row is the gradient of one residual at one point. ``vmap(grad(...))`` gives all rows of a
block at once: for a linear layer that is a batch of outer products, inputs times cotangents, and
costs about one backward pass in all.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad_and_value, vmap

from pinnderiv.problems.problem import Field
from pinnderiv.training.loss import EQUATION
from pinnderiv.training.objective import Evaluation, Objective

# Numbers of one block of the Jacobian while it is being computed: 16 MB in float64.
_BLOCK = 2_000_000


@dataclass(frozen=True)
class Linearisation:
    """r(w + δ) ≈ r + J δ.

    Attributes:
        residual: r, (R,), scaled so that ‖r‖² is the loss.
        jacobian: J, (R, P), columns in the order of the objective's vector.
        terms: those of :meth:`~pinnderiv.training.loss.Loss.terms`.
    """

    residual: Tensor
    jacobian: Tensor
    terms: dict[str, Tensor]

    def evaluation(self) -> Evaluation:
        """The loss and its gradient 2 Jᵀr."""
        loss = self.residual.square().sum()
        return Evaluation(loss, self.terms, 2 * (self.jacobian.mT @ self.residual))


def linearise(objective: Objective) -> Linearisation:
    """The residuals and their Jacobian where the network is.

    Args:
        objective: the loss at its present points.

    Returns:
        Both, for all terms of the loss, in the order of ``objective.residuals``.
    """
    loss, points = objective.loss, objective.collocation.points
    parameters = {
        name: each.detach() for name, each in loss.network.named_parameters() if each.requires_grad
    }
    # inside vmap nothing can be examined: the network was, when the loss was first evaluated
    options = {**loss.options, "check": False, "chunk_size": None}

    def equation(u: Field, row: Tensor, known: Tensor) -> Tensor:
        return loss.problem.equation.residual(u, row, known, **options)

    rows = _Rows(loss.network, parameters)
    blocks = {EQUATION: rows(equation, points.interior, points.source)}
    for condition in loss.conditions:
        term = partial(condition.residual, **options)
        piece, values = points.pieces[condition.piece], points.values[condition.name]
        blocks[condition.name] = rows(term, piece, values)
    residuals, jacobians, terms = [], [], {}
    for name, (values, gradients) in blocks.items():
        scale = loss.row_scale(name, points)
        residuals.append(values * scale)
        jacobians.append(gradients * scale[:, None])
        terms[name] = loss.mean_square(name, values, points)
    return Linearisation(torch.cat(residuals), torch.cat(jacobians), terms)


def evaluation_at(objective: Objective, before: Evaluation) -> Evaluation:
    """Loss and terms where a step arrived; the gradient is of where it began."""
    with torch.no_grad():
        terms = objective.loss.terms(objective.collocation.points)
    return Evaluation(objective.loss.total(terms), terms, before.gradient)


@dataclass(frozen=True)
class _Rows:
    """Residuals of one term and their gradients, one row a point."""

    network: nn.Module
    parameters: dict[str, Tensor]

    def __call__(
        self, term: Callable[[Field, Tensor, Tensor], Tensor], points: Tensor, known: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Values (N,) and gradients (N, P) of ``term(u, point, known)`` at all points."""

        def at(parameters: dict[str, Tensor], point: Tensor, value: Tensor) -> Tensor:
            def u(x: Tensor) -> Tensor:
                return functional_call(self.network, parameters, (x,))

            return term(u, point[None], value[None]).sum()

        size = sum(each.numel() for each in self.parameters.values())
        rows = max(1, _BLOCK // size)
        together = vmap(grad_and_value(at), in_dims=(None, 0, 0))
        values, gradients = [], []
        for few, few_known in zip(points.split(rows), known.split(rows), strict=True):
            gradient, value = together(self.parameters, few, few_known)
            values.append(value)
            flat = [each.reshape(len(few), -1) for each in gradient.values()]
            gradients.append(torch.cat(flat, dim=1))
        return torch.cat(values), torch.cat(gradients)
