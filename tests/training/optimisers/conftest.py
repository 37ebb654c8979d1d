"""Objectives to optimise, built without a run."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from pinnderiv.domains import SobolSampler
from pinnderiv.networks import RandomFeatureNetwork
from pinnderiv.problems import CASES
from pinnderiv.training.ansatz import Ansatz
from pinnderiv.training.collocation import Collocation
from pinnderiv.training.loss import Loss
from pinnderiv.training.loss_objective import LossObjective


def _forty_features(inputs: int, outputs: int) -> RandomFeatureNetwork:
    return RandomFeatureNetwork(inputs, outputs, 40)


@pytest.fixture
def objective() -> Callable[..., LossObjective]:
    """Makes the objective of a case, in float64."""

    def make(
        case: str,
        network: Callable[..., nn.Module] | None = None,
        constraint: str = "hard",
        points: int = 100,
        weights: dict[str, float] | None = None,
        seed: int = 0,
        **choices: Any,
    ) -> LossObjective:
        torch.manual_seed(seed)
        problem = CASES[case](case, **choices)
        make_network = network or (
            lambda inputs, outputs: RandomFeatureNetwork(inputs, outputs, 40)
        )
        ansatz = Ansatz(problem, make_network, constraint)
        ansatz.u.double()
        counts = dict.fromkeys(("interior", "walls", "initial"), points)
        collocation = Collocation(problem, ansatz, SobolSampler, counts, seed)
        return LossObjective(Loss(problem, ansatz, weights or {}), collocation)

    return make


@pytest.fixture
def relative_l2() -> Callable[[LossObjective], float]:
    """The error of an objective's network at points that it was not trained at."""

    def measure(objective: LossObjective) -> float:
        collocation = objective.collocation
        domain = collocation.problem.domain
        points = domain.interior(SobolSampler(seed=77).draw(512, domain.dim))
        with torch.no_grad():
            exact = collocation.problem.exact(points)
            return float((collocation.ansatz.u(points) - exact).norm() / exact.norm())

    return measure
