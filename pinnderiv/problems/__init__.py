"""Problems: an equation, a domain, conditions, and an exact solution to measure against."""

from pinnderiv.problems.conditions import (
    AnyCondition,
    Condition,
    Flux,
    Observations,
    PeriodicCondition,
    Relation,
)
from pinnderiv.problems.hard import HardPart
from pinnderiv.problems.heat import HEAT_CASES, heat_case
from pinnderiv.problems.pde import pde_problem
from pinnderiv.problems.poisson import POISSON_CASES, poisson_case
from pinnderiv.problems.problem import Problem
from pinnderiv.problems.wave import WAVE_CASES, wave_case

CASES = {
    **dict.fromkeys(HEAT_CASES, heat_case),
    **dict.fromkeys(WAVE_CASES, wave_case),
    **dict.fromkeys(POISSON_CASES, poisson_case),
}
"""Every named case, with the function that builds it: ``CASES[name](name)``."""

__all__ = [
    "CASES",
    "HEAT_CASES",
    "POISSON_CASES",
    "WAVE_CASES",
    "AnyCondition",
    "Condition",
    "Flux",
    "HardPart",
    "Observations",
    "PeriodicCondition",
    "Problem",
    "Relation",
    "heat_case",
    "pde_problem",
    "poisson_case",
    "wave_case",
]
