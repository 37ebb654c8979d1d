"""Equations: residuals that read like the PDE."""

from pinnderiv.equations.equation import Equation
from pinnderiv.equations.heat import Heat
from pinnderiv.equations.linear import LinearOperator, d, d_t, d_tt, laplace
from pinnderiv.equations.poisson import Poisson
from pinnderiv.equations.wave import Wave

__all__ = [
    "Equation",
    "Heat",
    "LinearOperator",
    "Poisson",
    "Wave",
    "d",
    "d_t",
    "d_tt",
    "laplace",
]
