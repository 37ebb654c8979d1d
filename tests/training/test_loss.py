"""The loss against what can be computed by other means."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from pinnderiv.domains import SobolSampler
from pinnderiv.errors import ConfigurationError
from pinnderiv.networks import MLP
from pinnderiv.problems import CASES, Problem
from pinnderiv.training.ansatz import Ansatz
from pinnderiv.training.collocation import Collocation
from pinnderiv.training.loss import Loss
from pinnderiv.training.loss_objective import LossObjective

COUNTS = {"interior": 24, "walls": 12, "initial": 8}


class Exact(nn.Module):
    """A "network" that is the solution; behind Scaled, so it undoes the scaling."""

    def __init__(self, problem: Problem) -> None:
        super().__init__()
        self.problem = problem
        self.unused = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        low = torch.tensor(self.problem.domain.lower, dtype=x.dtype)
        high = torch.tensor(self.problem.domain.upper, dtype=x.dtype)
        return self.problem.exact(low + (x + 1) / 2 * (high - low)) + 0 * self.unused


def small_net(inputs: int, outputs: int, **options: Any) -> nn.Module:
    torch.manual_seed(0)
    return MLP(inputs, outputs, width=6, depth=2, **options)


def build(
    case: str, constraint: str, make: Callable[..., nn.Module] = small_net, **weights: float
) -> tuple[Problem, Ansatz, Collocation, Loss]:
    problem = CASES[case](case)
    ansatz = Ansatz(problem, make, constraint)
    ansatz.u.double()
    collocation = Collocation(problem, ansatz, SobolSampler, COUNTS, seed=1)
    return problem, ansatz, collocation, Loss(problem, ansatz, weights)


@pytest.mark.parametrize(
    "case", ["heat_manufactured", "wave_travelling", "wave_periodic", "poisson"]
)
def test_the_exact_solution_has_no_loss(case: str) -> None:
    problem = CASES[case](case)
    *_, collocation, loss = build(case, "soft", lambda inputs, outputs: Exact(problem))
    terms = loss.terms(collocation.points)
    expected = {"equation", *(each.name for each in problem.conditions)}
    assert set(terms) == expected
    assert all(term.item() < 1e-18 for term in terms.values()), terms


def test_terms_are_mean_squares_of_what_a_pde_textbook_writes() -> None:
    """u_tt − c² u_xx, u − g on the walls, u − u₀ and u_t − v₀ at the start; by torch.autograd."""
    problem, ansatz, collocation, loss = build("wave_travelling", "soft", walls=3.0, equation=0.5)
    points = collocation.points

    def gradient(y: Tensor, x: Tensor) -> Tensor:
        return torch.autograd.grad(y.sum(), x, create_graph=True)[0]

    x = points.interior.clone().requires_grad_()
    first = gradient(ansatz.u(x), x)
    u_xx, u_tt = gradient(first[:, 0], x)[:, 0], gradient(first[:, 1], x)[:, 1]
    start = points.pieces["initial"].clone().requires_grad_()
    exact_start = start.detach().clone().requires_grad_()
    expected = {
        "equation": (u_tt - problem.equation.speed**2 * u_xx).square().mean(),
        "walls": (ansatz.u(points.pieces["walls"]) - problem.exact(points.pieces["walls"]))
        .square()
        .mean(),
        "initial": (ansatz.u(start) - problem.exact(start)).square().mean(),
        "initial_velocity": (
            gradient(ansatz.u(start), start)[:, 1]
            - gradient(problem.exact(exact_start), exact_start)[:, 1]
        )
        .square()
        .mean(),
    }
    terms = loss.terms(points)
    assert set(terms) == set(expected)
    for name, value in expected.items():
        assert terms[name].item() == pytest.approx(value.item(), rel=1e-10), name
    total = sum({"walls": 3.0, "equation": 0.5}.get(n, 1.0) * v for n, v in expected.items())
    assert loss.total(terms).item() == pytest.approx(total.item(), rel=1e-10)


@pytest.mark.parametrize(
    "case", ["heat_manufactured", "wave_travelling", "wave_periodic", "poisson_nd"]
)
def test_splitting_off_the_lift_changes_nothing(case: str) -> None:
    """The residual of the trained part is that of the whole solution."""
    problem, ansatz, collocation, loss = build(case, "hard")
    assert ansatz.hard and loss.names == ("equation",)
    x = collocation.points.interior[:6]
    whole = problem.residual(ansatz.u, x).flatten().detach()
    split = loss(collocation.points)["equation"][:6]
    assert torch.allclose(whole, split, rtol=1e-9, atol=1e-9 * float(whole.abs().max()))
    assert torch.allclose(ansatz.known(x) + ansatz.v(x), ansatz.u(x), rtol=1e-12, atol=1e-12)


def test_a_float32_network_gets_a_float64_right_hand_side() -> None:
    problem = CASES["heat_manufactured"]("heat_manufactured")
    ansatz = Ansatz(problem, small_net, "hard")
    x = torch.rand(16, 2)
    single = ansatz.source(x)
    ansatz.u.double()
    double = ansatz.source(x.double())
    assert single.dtype == torch.float32
    assert torch.equal(single, double.float())


@pytest.mark.parametrize("constraint", ["soft", "hard"])
def test_the_residual_vector_is_the_loss(constraint: str) -> None:
    """Its squared norm is the loss, and 2 Jᵀr its gradient: what Gauss–Newton needs."""
    *_, collocation, loss = build("wave", constraint, walls=7.0, initial=0.25)
    objective = LossObjective(loss, collocation)
    evaluation = objective.evaluate()
    vector = objective.vector()
    residuals = objective.residuals(vector)
    assert float(residuals.square().sum()) == pytest.approx(float(evaluation.loss), rel=1e-12)
    jacobian = torch.func.jacrev(objective.residuals)(vector)
    assert torch.allclose(2 * jacobian.T @ residuals, evaluation.gradient, rtol=1e-8, atol=1e-10)


def test_the_vector_of_parameters_goes_there_and_back() -> None:
    *_, ansatz, collocation, loss = build("heat", "hard")
    objective = LossObjective(loss, collocation)
    vector = objective.vector()
    assert len(vector) == objective.size == sum(p.numel() for p in ansatz.u.parameters())
    before = objective.evaluate().loss
    objective.set_vector(torch.zeros_like(vector))
    assert all(not parameter.any() for parameter in ansatz.u.parameters())
    objective.set_vector(vector)
    assert torch.equal(objective.evaluate().loss, before)


def test_weights_that_make_no_sense_are_refused() -> None:
    for weight in (-1.0, float("inf"), float("nan")):
        with pytest.raises(ConfigurationError, match=r"loss\.weights\.walls"):
            build("heat", "soft", walls=weight)


@pytest.mark.parametrize("constraint", ["soft", "hard"])
def test_a_loss_without_any_weight_is_refused(constraint: str) -> None:
    nothing = {"equation": 0.0, "walls": 0.0, "initial": 0.0}
    with pytest.raises(ConfigurationError, match=r"loss\.weights is 0 for every term .*\(equation"):
        build("heat", constraint, **nothing)
    build("heat", "soft", **{**nothing, "initial": 1.0})


def test_auto_is_hard_where_that_is_possible() -> None:
    assert Ansatz(CASES["wave"]("wave"), small_net, "auto").hard
    ten: Any = CASES["poisson10d"]("poisson10d")
    assert not Ansatz(ten, small_net, "auto").hard
    with pytest.raises(ConfigurationError, match="constraint=soft"):
        Ansatz(ten, small_net, "hard")
