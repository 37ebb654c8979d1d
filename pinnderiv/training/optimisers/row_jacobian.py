"""The residual vector and its Jacobian, as Gauss–Newton methods ask for them."""

from __future__ import annotations

from pinnderiv.training.objective import Evaluation, Linearisation, Objective

__all__ = ["Linearisation", "evaluation_at", "linearise"]


def linearise(objective: Objective) -> Linearisation:
    """The scaled residuals and their Jacobian where the parameters are."""
    return objective.linearise()


def evaluation_at(objective: Objective, before: Evaluation) -> Evaluation:
    """Loss and terms where a step arrived; the gradient is of where it began."""
    return objective.evaluation_at(before)
