"""Causal weights against the paper's formula, written out in NumPy."""

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from pinnderiv.domains import SobolSampler
from pinnderiv.errors import CheckpointError, ConfigurationError
from pinnderiv.networks import MLP
from pinnderiv.problems import CASES
from pinnderiv.training.ansatz import Ansatz
from pinnderiv.training.causality import Causality
from pinnderiv.training.collocation import Collocation
from pinnderiv.training.loss import Loss
from pinnderiv.training.loss_objective import LossObjective
from pinnderiv.training.optimisers.linear_part import LinearPart


def causality(epsilon: Any = 1.0, **choices: Any) -> Causality:
    return Causality(CASES["heat"]("heat", final_time=2.0), epsilon, **choices)


@pytest.fixture
def points() -> Tensor:
    """(x, t) with t in [0, 2], the end of time among them."""
    found = torch.rand(60, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    found[7, 1] = 1.0
    return found * torch.tensor([1.0, 2.0])


def test_the_weights_are_the_formula(points: Tensor) -> None:
    residual = torch.sin(5 * points.sum(dim=1))
    rule = causality(0.8, chunks=5)
    assert rule.update(points, residual)
    time, squares = points[:, 1].numpy(), residual.square().numpy()
    edges = [0.0, 0.4, 0.8, 1.2, 1.6, 2.0 + 1e-9]
    weights, total = [], 0.0
    inside = [(low <= time) & (time < high) for low, high in pairwise(edges)]
    assert all(each.any() for each in inside)
    for each in inside:
        weights.append(np.exp(-0.8 * total))
        total += squares[each].mean()
    np.testing.assert_allclose(rule.weights.numpy(), weights, rtol=1e-12)
    row_weights = rule.at(points).numpy()
    for each, weight in zip(inside, weights, strict=True):
        np.testing.assert_allclose(row_weights[each], weight, rtol=1e-12)


def test_what_is_early_must_shrink_before_what_is_late_counts(points: Tensor) -> None:
    early = points[:, 1] < 0.5
    rule = causality(chunks=4)
    rule.update(points, torch.where(early, 30.0, 0.1).double())
    assert (rule.at(points[early]) == 1.0).all() and (rule.at(points[~early]) < 1e-300).all()
    rule.update(points, torch.where(early, 1e-3, 30.0).double())
    second = (points[:, 1] >= 0.5) & (points[:, 1] < 1.0)
    late = points[:, 1] >= 1.0
    assert (rule.at(points[second]) > 0.99).all() and (rule.at(points[late]) < 1e-300).all()
    rule.update(points, torch.full((60,), 1e-4).double())
    assert (rule.at(points) > 0.99).all()


def test_an_empty_interval_holds_nothing_back() -> None:
    rule = causality(chunks=4)
    rule.update(torch.tensor([[0.5, 0.1], [0.5, 1.9]]).double(), torch.tensor([2.0, 5.0]).double())
    assert rule.weights.tolist() == pytest.approx([1.0, *[np.exp(-4.0)] * 3])


def test_epsilon_rises_when_all_weights_are_near_one(points: Tensor) -> None:
    rule = causality([0.1, 10.0, 1000.0], chunks=4)
    rule.update(points, torch.ones(60).double())
    assert rule.epsilon == 0.1 and float(rule.weights.min()) == pytest.approx(np.exp(-0.3))
    # 0.1 · 3 · 1e-3 is below −ln 0.99, 10 · 3 · 1e-3 is not
    rule.update(points, torch.full((60,), 1e-3**0.5).double())
    assert rule.epsilon == 10.0 and float(rule.weights.min()) == pytest.approx(np.exp(-0.03))
    rule.update(points, torch.zeros(60).double())
    assert rule.epsilon == 1000.0 and (rule.weights == 1.0).all()
    # it never falls back
    rule.update(points, torch.ones(60).double())
    assert rule.epsilon == 1000.0


def test_a_residual_that_is_not_finite_changes_nothing(points: Tensor) -> None:
    rule = causality()
    assert not rule.update(points, torch.full((60,), float("nan")).double())
    assert (rule.weights == 1.0).all()


def build(case: str = "wave", constraint: str = "hard", points: int = 40) -> LossObjective:
    torch.manual_seed(0)
    problem = CASES[case](case)
    ansatz = Ansatz(problem, lambda inputs, outputs: MLP(inputs, outputs, 6, 2), constraint)
    ansatz.u.double()
    counts = dict.fromkeys(("interior", "walls", "initial"), points)
    collocation = Collocation(problem, ansatz, SobolSampler, counts, seed=1)
    # with hard constraints the factor's derivatives make the residual larger
    epsilon = 0.05 if constraint == "hard" else 0.5
    loss = Loss(problem, ansatz, {"walls": 3.0}, causality=Causality(problem, epsilon, chunks=4))
    objective = LossObjective(loss, collocation)
    assert loss.update(0, collocation.points)
    weights = loss.causality.weights
    assert 1e-6 < float(weights.min()) < 0.9
    return objective


@pytest.mark.parametrize("constraint", ["hard", "soft"])
def test_the_loss_is_the_weighted_mean_and_its_weights_are_constants(constraint: str) -> None:
    objective = build(constraint=constraint)
    loss, points = objective.loss, objective.collocation.points
    with torch.no_grad():
        residuals = loss(points)
    chunk = (points.interior[:, 1] / points.interior.new_tensor(loss.causality.end) * 4).long()
    rows = loss.causality.weights[chunk]
    equation = float((rows * residuals["equation"] ** 2).mean())
    others = {k: float(v.square().mean()) for k, v in residuals.items() if k != "equation"}
    wanted = equation + sum({"walls": 3.0}.get(k, 1.0) * v for k, v in others.items())
    evaluation = objective.evaluate()
    assert float(evaluation.loss) == pytest.approx(wanted, rel=1e-12)
    # the gradient, with the weights held, by differences
    direction = torch.linspace(-1, 1, objective.size, dtype=torch.float64)
    origin, step = objective.vector(), 1e-6
    ends = []
    for sign in (1, -1):
        objective.set_vector(origin + sign * step * direction)
        ends.append(float(objective.evaluate().loss))
    slope = (ends[0] - ends[1]) / (2 * step)
    assert slope == pytest.approx(float(evaluation.gradient @ direction), rel=1e-6)


@pytest.mark.parametrize("constraint", ["hard", "soft"])
def test_gauss_newton_sees_the_same_loss(constraint: str) -> None:
    objective = build(constraint=constraint)
    evaluation, here = objective.evaluate(), objective.linearise()
    assert float(here.residual.square().sum()) == pytest.approx(float(evaluation.loss), rel=1e-12)
    gradient = 2 * here.jacobian.mT @ here.residual
    scale = float(evaluation.gradient.abs().max())
    assert torch.allclose(gradient, evaluation.gradient, rtol=1e-8, atol=1e-10 * scale)
    assert float(here.terms["equation"]) == pytest.approx(float(evaluation.terms["equation"]))
    assert torch.allclose(here.residual, objective.residuals(objective.vector()), rtol=1e-9)


def test_the_linear_part_has_the_same_rows() -> None:
    objective = build("heat", "soft")
    points = objective.collocation.points
    linear = LinearPart(objective.loss, points)
    linear.require_affine(points)
    found = linear.matrix(points) @ linear.coefficients - linear.target(points)
    wanted = objective.residuals(objective.vector()).detach()
    assert torch.allclose(found, wanted, rtol=1e-9, atol=1e-10 * float(wanted.abs().max()))
    terms = linear.terms(found, points)
    for name, term in objective.evaluate().terms.items():
        assert float(terms[name]) == pytest.approx(float(term), rel=1e-8)


def test_float32_points_get_float32_weights(points: Tensor) -> None:
    rule = causality()
    rule.update(points.float(), torch.ones(60))
    assert rule.at(points.float()).dtype == torch.float32


def test_the_state_goes_on(points: Tensor) -> None:
    first, second = causality([0.01, 1.0], chunks=4), causality([0.01, 1.0], chunks=4)
    first.update(points, torch.full((60,), 0.5).double())
    second.load_state_dict(first.state_dict())
    assert second.epsilon == first.epsilon and torch.equal(second.weights, first.weights)
    with pytest.raises(CheckpointError, match=r"loss\.causal_chunks"):
        causality([0.01, 1.0], chunks=5).load_state_dict(first.state_dict())


def test_problems_without_time_are_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"'poisson' has no time.*loss\.causal=null"):
        Causality(CASES["poisson"]("poisson"), 1.0)


@pytest.mark.parametrize("epsilon", [0.0, -1.0, float("nan"), [], [1.0, 0.1], "12", {"a": 1}])
def test_an_epsilon_that_makes_no_sense_is_refused(epsilon: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"loss\.causal must be a positive number"):
        causality(epsilon)


@pytest.mark.parametrize(("name", "value"), [("chunks", 1), ("every", 0)])
def test_numbers_that_make_no_sense_are_refused(name: str, value: int) -> None:
    with pytest.raises(ConfigurationError, match=f"loss.causal_{name} .*{value}"):
        causality(1.0, **{name: value})
