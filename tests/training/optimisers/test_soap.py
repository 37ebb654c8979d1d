"""SOAP, against its algorithm written out for one matrix, and against Adam."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from pinnderiv.errors import ConfigurationError
from pinnderiv.networks import MLP
from pinnderiv.training.objective import Evaluation
from pinnderiv.training.optimisers import SOAP, Adam, Optimiser


class Parts:
    """A function of several tensors where optimisers expect an Objective."""

    def __init__(self, function: Callable[..., Tensor], *start: Tensor) -> None:
        self.function = function
        self.parameters = [each.clone() for each in start]

    def vector(self) -> Tensor:
        return torch.cat([each.reshape(-1) for each in self.parameters])

    def set_vector(self, vector: Tensor) -> None:
        parts = vector.split([each.numel() for each in self.parameters])
        for each, part in zip(self.parameters, parts, strict=True):
            each.copy_(part.view_as(each))

    def evaluate(self) -> Evaluation:
        variables = [each.clone().requires_grad_() for each in self.parameters]
        value = self.function(*variables)
        gradients = torch.autograd.grad(value, variables)
        flat = torch.cat([each.reshape(-1) for each in gradients])
        return Evaluation(value.detach(), {"equation": value.detach()}, flat)


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def losses(optimiser: Optimiser, objective: Any, count: int) -> list[float]:
    return [float(optimiser.step(objective).evaluation.loss) for _ in range(count)]


def quartic(weight: Tensor, bias: Tensor) -> Tensor:
    inputs = random(6, 4, seed=3)
    return ((inputs @ weight.mT + bias).tanh() - random(6, 3, seed=4)).square().sum()


def reference(weight: Tensor, bias: Tensor, count: int, every: int, rate: float) -> list[Tensor]:
    """Algorithms 3 and 4 line by line, for one matrix and one vector; β = 0.9, 0.8 and 0.7."""
    left = right = first = square = first_b = square_b = 0
    weight, bias = weight.clone(), bias.clone()
    for t in range(count + 1):
        w, b = weight.clone().requires_grad_(), bias.clone().requires_grad_()
        g, gb = torch.autograd.grad(quartic(w, b), [w, b])
        if t == 0:
            left, right = 0.3 * g @ g.T, 0.3 * g.T @ g
            q_left, q_right = (torch.linalg.eigh(m).eigenvectors for m in (left, right))
            continue
        corrected = 1 - 0.9**t, 1 - 0.8**t
        g_turned = q_left.T @ g @ q_right
        first = 0.9 * first + 0.1 * g
        square = 0.8 * square + 0.2 * g_turned**2
        turned = (q_left.T @ first @ q_right / corrected[0]) / (
            (square / corrected[1]).sqrt() + 1e-3
        )
        weight = weight - rate * q_left @ turned @ q_right.T
        first_b, square_b = 0.9 * first_b + 0.1 * gb, 0.8 * square_b + 0.2 * gb**2
        bias = bias - rate * (first_b / corrected[0]) / ((square_b / corrected[1]).sqrt() + 1e-3)
        left, right = 0.7 * left + 0.3 * g @ g.T, 0.7 * right + 0.3 * g.T @ g
        if t % every == 0:
            # the largest first, and V moved along with the vectors that it belongs to
            by_left = (q_left.T @ left @ q_left).diagonal().argsort(descending=True)
            by_right = (q_right.T @ right @ q_right).diagonal().argsort(descending=True)
            q_left = torch.linalg.qr(left @ q_left[:, by_left]).Q
            q_right = torch.linalg.qr(right @ q_right[:, by_right]).Q
            square = square[by_left][:, by_right]
    return [weight, bias]


@pytest.mark.parametrize("every", [1, 3])
def test_soap_is_soap(every: int) -> None:
    start = random(3, 4, seed=1), random(3, seed=2)
    objective = Parts(quartic, *start)
    optimiser = SOAP(
        lr=0.02, beta1=0.9, beta2=0.8, shampoo_beta=0.7, precondition_frequency=every, eps=1e-3
    )
    optimiser.begin(objective)
    losses(optimiser, objective, 13)
    for found, expected in zip(
        objective.parameters, reference(*start, 12, every, 0.02), strict=True
    ):
        torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-11)


def test_where_no_side_gets_a_basis_it_is_adam() -> None:
    start = random(3, 4, seed=1), random(3, seed=2)
    soap, adam = Parts(quartic, *start), Parts(quartic, *start)
    first = SOAP(lr=0.02, beta1=0.9, beta2=0.99, max_dimension=1)
    second = Adam(lr=0.02, beta1=0.9, beta2=0.99)
    first.begin(soap)
    second.begin(adam)
    first.step(soap)  # it only looks
    losses(first, soap, 10)
    losses(second, adam, 10)
    torch.testing.assert_close(soap.vector(), adam.vector(), rtol=1e-9, atol=1e-11)


def test_it_beats_adam_where_no_coordinate_is_special() -> None:
    """½ tr((W − W*)ᵀ A (W − W*) B), A and B with turned eigenvectors and condition 1e3 each."""

    def turned(seed: int) -> Tensor:
        basis = torch.linalg.qr(random(6, 6, seed=seed)).Q
        return basis @ torch.logspace(0, -3, 6, dtype=torch.float64).diag() @ basis.mT

    left, right, goal = turned(1), turned(2), random(6, 6, seed=3)

    def quadratic(weight: Tensor) -> Tensor:
        away = weight - goal
        return 0.5 * (away * (left @ away @ right)).sum()

    last = {}
    for optimiser in (Adam(lr=0.02), SOAP(lr=0.02, precondition_frequency=5)):
        objective = Parts(quadratic, torch.zeros(6, 6, dtype=torch.float64))
        optimiser.begin(objective)
        last[optimiser.name] = losses(optimiser, objective, 300)[-1]
    assert last["soap"] < 0.1 * last["adam"]


def test_a_kernel_of_a_convolution_has_a_basis_for_each_side() -> None:
    start = random(2, 3, 4)
    scale = torch.logspace(0, -2, 4, dtype=torch.float64)
    objective = Parts(lambda kernel: ((kernel - 1) * scale).square().sum(), start)
    optimiser = SOAP(lr=0.05)
    optimiser.begin(objective)
    first, *_, last = losses(optimiser, objective, 200)
    assert sorted(optimiser.state_dict()["bases"][0]) == [0, 1, 2]
    assert last < 1e-3 * first


def test_the_bases_stay_orthogonal_to_the_parameters_own_precision(objective) -> None:
    made = objective("heat", lambda inputs, outputs: MLP(inputs, outputs, width=10, depth=2))
    optimiser = SOAP(precondition_frequency=2)
    optimiser.begin(made)
    first, *_, last = losses(optimiser, made, 60)
    assert last < 0.5 * first
    for bases in optimiser.state_dict()["bases"]:
        for basis in bases.values():
            eye = torch.eye(len(basis), dtype=torch.float64)
            torch.testing.assert_close(basis.mT @ basis, eye, rtol=0, atol=1e-13)


def test_it_hands_over_when_it_stalls() -> None:
    objective = Parts(lambda weight: weight.square().sum() + 1.0, random(3, 3))
    optimiser = SOAP(lr=0.02, patience=20, least_fall=0.1)
    optimiser.begin(objective)
    values, report = [], None
    while report is None or not report.stalled:
        report = optimiser.step(objective)
        values.append(float(report.evaluation.loss))
        assert len(values) < 1000
    means = [sum(values[k : k + 20]) / 20 for k in range(0, len(values), 20)]
    assert len(values) % 20 == 0 and means[-1] > 0.9 * means[-2]
    assert all(after <= 0.9 * before for before, after in itertools.pairwise(means[:-1]))
    assert "SOAP" in report.note


@pytest.mark.parametrize("taken", [0, 1, 5, 6])
def test_the_state_is_complete(taken: int, tmp_path) -> None:
    def make() -> SOAP:
        return SOAP(lr=0.01, precondition_frequency=3, patience=4, least_fall=0.0)

    objective = Parts(quartic, random(3, 4, seed=1), random(3, seed=2))
    optimiser = make()
    optimiser.begin(objective)
    losses(optimiser, objective, taken)
    torch.save(optimiser.state_dict(), tmp_path / "state.pt")
    here = [each.clone() for each in objective.parameters]
    expected = losses(optimiser, objective, 8)
    twin, again = make(), Parts(quartic, *here)
    twin.begin(again)
    twin.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
    assert losses(twin, again, 8) == expected
    assert torch.equal(again.vector(), objective.vector())


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_two_and_three_steps_of_a_run_are_five(small: Callable[..., Any], dtype: str) -> None:
    choices = {
        "optimisers": lambda: {"soap": SOAP(precondition_frequency=2)},
        "dtype": dtype,
        "resample_every": 2,
    }
    whole, _ = small("whole", max_steps=5, **choices).train()
    parts = small("parts", max_steps=2, **choices)
    parts.train()
    parts.max_steps = 5
    resumed, _ = parts.resume()
    expected = whole.network.state_dict()
    assert all(torch.equal(each, expected[k]) for k, each in resumed.network.state_dict().items())


@pytest.mark.parametrize(
    ("choices", "named"),
    [
        ({"lr": -1.0}, "lr of the soap phase"),
        ({"beta2": 1.0}, "beta2"),
        ({"shampoo_beta": 1.0}, "shampoo_beta"),
        ({"precondition_frequency": 0}, "precondition_frequency"),
        ({"max_dimension": 0}, "max_dimension"),
        ({"patience": 0}, "patience"),
    ],
)
def test_nonsense_is_refused(choices: dict[str, Any], named: str) -> None:
    with pytest.raises(ConfigurationError, match=named):
        SOAP(**choices)
