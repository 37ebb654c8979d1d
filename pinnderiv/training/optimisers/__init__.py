"""Optimisers: one file each; a new one is a subclass of Optimiser and a file in conf/optimiser."""

from pinnderiv.training.optimisers.adam import Adam
from pinnderiv.training.optimisers.feature_search import FeatureSearch
from pinnderiv.training.optimisers.gauss_newton_krylov import GaussNewtonKrylov
from pinnderiv.training.optimisers.lbfgs import LBFGS
from pinnderiv.training.optimisers.levenberg_marquardt import LevenbergMarquardt
from pinnderiv.training.optimisers.minimisation import Minimisation, Minimum
from pinnderiv.training.optimisers.natural_gradient import NaturalGradient
from pinnderiv.training.optimisers.optimiser import Optimiser, StepReport
from pinnderiv.training.optimisers.schedules import Schedule
from pinnderiv.training.optimisers.self_scaled import SelfScaled
from pinnderiv.training.optimisers.soap import SOAP
from pinnderiv.training.optimisers.variable_projection import VariableProjection

__all__ = [
    "LBFGS",
    "SOAP",
    "Adam",
    "FeatureSearch",
    "GaussNewtonKrylov",
    "LevenbergMarquardt",
    "Minimisation",
    "Minimum",
    "NaturalGradient",
    "Optimiser",
    "Schedule",
    "SelfScaled",
    "StepReport",
    "VariableProjection",
]
