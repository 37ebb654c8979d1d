"""Exact derivatives of functions with respect to their inputs, for whole batches."""

from pinnderiv.derivatives import stochastic, taylor
from pinnderiv.derivatives.explain import Explanation, explain
from pinnderiv.derivatives.operators import (
    divergence,
    hessian,
    hvp,
    jacobian,
    laplacian,
    linear_operator,
    second_derivatives,
    second_order_operator,
)
from pinnderiv.derivatives.partials import biharmonic, derivatives, partial

__all__ = [
    "Explanation",
    "biharmonic",
    "derivatives",
    "divergence",
    "explain",
    "hessian",
    "hvp",
    "jacobian",
    "laplacian",
    "linear_operator",
    "partial",
    "second_derivatives",
    "second_order_operator",
    "stochastic",
    "taylor",
]
