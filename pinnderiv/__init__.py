"""Exact derivatives of neural networks with respect to their inputs.

Every name is a function transform: it takes ``f``, which maps ``(*batch, D)`` to
``(*batch, M)`` row by row, and returns a function of the points.

>>> pinnderiv.laplacian(net)(x)          # (*batch, M): Σ_d ∂²y_m/∂x_d²
>>> pinnderiv.second_derivatives(net)(x) # (*batch, M, D): ∂²y_m/∂x_d²

``pinnderiv.stochastic`` has estimates of them for high dimension, ``pinnderiv.taylor`` what
registers and checks a rule for a function of one's own.
``pinnderiv.derivatives`` is the transform of that name; the subpackage of the same name is
reached by ``from pinnderiv.derivatives import ...``.
"""

from pinnderiv import errors
from pinnderiv.derivatives import (
    biharmonic,
    derivatives,
    divergence,
    explain,
    hessian,
    hvp,
    jacobian,
    laplacian,
    linear_operator,
    partial,
    second_derivatives,
    second_order_operator,
    stochastic,
    taylor,
)

__version__ = "0.1.0"

__all__ = [
    "jacobian",
    "hessian",
    "second_derivatives",
    "laplacian",
    "second_order_operator",
    "linear_operator",
    "hvp",
    "partial",
    "divergence",
    "biharmonic",
    "derivatives",
    "explain",
    "stochastic",
    "taylor",
    "errors",
    "__version__",
]
