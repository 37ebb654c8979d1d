"""Optimisers for a residual of one's own, without a run.

>>> from pinnderiv.optimisers import LevenbergMarquardt
>>> LevenbergMarquardt().minimise(net, residual, steps=200)
"""

from pinnderiv.training.optimisers import (
    LBFGS,
    SOAP,
    Adam,
    GaussNewtonKrylov,
    LevenbergMarquardt,
    Minimisation,
    Minimum,
    NaturalGradient,
    Schedule,
    SelfScaled,
)
from pinnderiv.training.residual_objective import ResidualObjective

__all__ = [
    "LBFGS",
    "SOAP",
    "Adam",
    "GaussNewtonKrylov",
    "LevenbergMarquardt",
    "Minimisation",
    "Minimum",
    "NaturalGradient",
    "ResidualObjective",
    "Schedule",
    "SelfScaled",
]
