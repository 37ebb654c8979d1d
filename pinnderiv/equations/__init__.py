"""Equations: residuals that read like the PDE."""

from pinnderiv.equations.catalogue import CATALOGUE, Entry
from pinnderiv.equations.equation import Equation
from pinnderiv.equations.fields import GridFunction, TextField
from pinnderiv.equations.heat import Heat
from pinnderiv.equations.linear import LinearOperator, d, d_t, d_tt, laplace
from pinnderiv.equations.manufactured import TextSolution, solution_of
from pinnderiv.equations.poisson import Poisson
from pinnderiv.equations.values import Trainable
from pinnderiv.equations.wave import Wave

__all__ = [
    "CATALOGUE",
    "Entry",
    "Equation",
    "GridFunction",
    "Heat",
    "LinearOperator",
    "Poisson",
    "TextField",
    "TextSolution",
    "Trainable",
    "Wave",
    "d",
    "d_t",
    "d_tt",
    "laplace",
    "solution_of",
]
