"""The optimisers on functions whose minimum is known."""

import itertools
import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from pinnderiv.errors import ConfigurationError
from pinnderiv.training.objective import Evaluation
from pinnderiv.training.optimisers import LBFGS, Adam, Optimiser, Schedule


class Function:
    """A function of a vector where optimisers expect an Objective."""

    def __init__(self, function: Callable[[Tensor], Tensor], start: list[float]) -> None:
        self.function = function
        self.x = torch.tensor(start, dtype=torch.float64)
        self.evaluations = 0

    def vector(self) -> Tensor:
        return self.x.clone()

    def set_vector(self, vector: Tensor) -> None:
        self.x = vector.clone()

    def evaluate(self) -> Evaluation:
        self.evaluations += 1
        x = self.x.clone().requires_grad_()
        value = self.function(x)
        (gradient,) = torch.autograd.grad(value, x)
        return Evaluation(value.detach(), {"equation": value.detach()}, gradient)


def rosenbrock(x: Tensor) -> Tensor:
    return (100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2).sum()


def bowl(x: Tensor) -> Tensor:
    return (torch.arange(1, len(x) + 1) * (x - 2) ** 2).sum()


def steps(optimiser: Optimiser, objective: Any, count: int) -> list[float]:
    return [float(optimiser.step(objective).evaluation.loss) for _ in range(count)]


def test_lbfgs_finds_the_end_of_a_curved_valley() -> None:
    objective = Function(rosenbrock, [-1.2, 1.0] * 5)
    optimiser = LBFGS(history=10)
    optimiser.begin(objective)
    losses = steps(optimiser, objective, 150)
    assert losses[-1] < 1e-20
    assert torch.allclose(objective.x, torch.ones(10, dtype=torch.float64), atol=1e-9)
    assert all(after <= before for before, after in itertools.pairwise(losses))
    # most line searches take their first try
    assert objective.evaluations < 1.6 * len(losses)


@pytest.mark.parametrize("function", [bowl, rosenbrock])
def test_lbfgs_needs_no_more_evaluations_than_that_of_torch(function: Any) -> None:
    start, goal = [-1.2, 1.0] * 4, 1e-18
    peer = torch.tensor(start, dtype=torch.float64, requires_grad=True)
    calls: list[float] = []

    def closure() -> Tensor:
        loss = function(peer)
        (peer.grad,) = torch.autograd.grad(loss, peer)
        calls.append(loss.item())
        return loss

    torch.optim.LBFGS(
        [peer],
        max_iter=200,
        tolerance_grad=0,
        tolerance_change=0,
        history_size=8,
        line_search_fn="strong_wolfe",
    ).step(closure)
    theirs = next(count for count, loss in enumerate(calls, 1) if loss < goal)

    objective = Function(function, start)
    optimiser = LBFGS(history=8)
    optimiser.begin(objective)
    while steps(optimiser, objective, 1)[0] >= goal:
        assert objective.evaluations <= 1.1 * theirs


def test_lbfgs_says_when_nothing_is_left() -> None:
    objective = Function(bowl, [2.0, 2.0])
    optimiser = LBFGS()
    optimiser.begin(objective)
    report = optimiser.step(objective)
    assert report.stalled
    assert objective.x.tolist() == [2.0, 2.0]


def test_lbfgs_walks_around_values_that_are_not_finite() -> None:
    def walled(x: Tensor) -> Tensor:
        return (x - torch.log(x)).sum()  # NaN for x < 0, minimum at 1

    objective = Function(walled, [1e-3, 5.0])
    optimiser = LBFGS()
    optimiser.begin(objective)
    losses = steps(optimiser, objective, 40)
    assert all(math.isfinite(loss) for loss in losses)
    assert torch.allclose(objective.x, torch.ones(2, dtype=torch.float64), atol=1e-6)


def test_lbfgs_starts_from_the_new_loss_when_the_points_change() -> None:
    objective = Function(bowl, [0.0, 0.0])
    optimiser = LBFGS()
    optimiser.begin(objective)
    optimiser.step(objective)
    objective.function = lambda x: bowl(x) + 1000.0
    optimiser.points_changed()
    assert float(optimiser.step(objective).evaluation.loss) >= 1000.0


def test_lbfgs_reports_a_loss_that_is_not_finite() -> None:
    objective = Function(lambda x: (x * float("nan")).sum(), [1.0])
    optimiser = LBFGS()
    optimiser.begin(objective)
    assert not optimiser.step(objective).evaluation.finite


def test_lbfgs_forgets_what_is_older_than_its_history() -> None:
    objective = Function(rosenbrock, [-1.2, 1.0, 0.5])
    optimiser = LBFGS(history=2)
    optimiser.begin(objective)
    steps(optimiser, objective, 5)
    assert len(optimiser.state_dict()["pairs"]) == 2


def test_adam_is_adam() -> None:
    """Against the update formulas of Kingma and Ba, algorithm 1, with a schedule."""
    objective = Function(rosenbrock, [-1.2, 1.0])
    optimiser = Adam(lr=0.1, schedule=Schedule("step", factor=0.5, every=3))
    optimiser.begin(objective)
    x = objective.vector()
    m = v = torch.zeros(2, dtype=torch.float64)
    for t in range(1, 8):
        probe = x.clone().requires_grad_()
        (g,) = torch.autograd.grad(rosenbrock(probe), probe)
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
        rate = 0.1 * 0.5 ** ((t - 1) // 3)
        x = x - rate * (m / (1 - 0.9**t)) / ((v / (1 - 0.999**t)).sqrt() + 1e-8)
        report = optimiser.step(objective)
        assert report.learning_rate == pytest.approx(rate)
        assert torch.allclose(objective.x, x, rtol=1e-12)


def test_adam_hands_over_when_it_stalls_and_not_before() -> None:
    objective = Function(bowl, [0.0, 0.0])
    optimiser = Adam(lr=0.05, patience=10, least_fall=0.2)
    optimiser.begin(objective)
    losses = []
    while True:
        report = optimiser.step(objective)
        losses.append(float(report.evaluation.loss))
        means = [sum(losses[k : k + 10]) / 10 for k in range(0, len(losses) - 9, 10)]
        fell = len(means) < 2 or means[-1] <= 0.8 * means[-2]
        assert report.stalled == (len(losses) % 10 == 0 and not fell)
        if report.stalled:
            break
        assert len(losses) < 2000
    assert len(losses) > 50 and "fell by less than 20%" in report.note


@pytest.mark.parametrize(
    "make", [lambda: Adam(lr=0.05), lambda: Adam(lr=0.05, patience=4), lambda: LBFGS(history=3)]
)
def test_the_state_is_complete(make: Callable[[], Optimiser], tmp_path) -> None:
    objective = Function(rosenbrock, [-1.2, 1.0, 0.3])
    optimiser = make()
    optimiser.begin(objective)
    steps(optimiser, objective, 6)
    torch.save(optimiser.state_dict(), tmp_path / "state.pt")
    here = objective.vector()
    expected = steps(optimiser, objective, 6)

    twin, again = make(), Function(rosenbrock, here.tolist())
    twin.begin(again)
    twin.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
    assert steps(twin, again, 6) == expected


@pytest.mark.parametrize(
    ("make", "named"),
    [
        (lambda: Adam(lr=0.0), "lr"),
        (lambda: Adam(lr=float("nan")), "lr"),
        (lambda: Adam(eps=-1.0), "eps"),
        (lambda: Adam(beta1=1.0), "beta1"),
        (lambda: Adam(steps=0), "steps"),
        (lambda: Adam(patience=0), "patience"),
        (lambda: Adam(least_fall=1.0), "least_fall"),
        (lambda: Adam(time_share=1.5), "time_share"),
        (lambda: LBFGS(history=0), "history"),
        (lambda: LBFGS(max_evaluations=1), "max_evaluations"),
    ],
)
def test_nonsense_is_refused(make: Callable[[], Optimiser], named: str) -> None:
    with pytest.raises(ConfigurationError, match=named):
        make()


def test_a_rate_that_the_type_cannot_hold_is_refused(small: Callable[..., Any]) -> None:
    run = small(dtype="float32", optimisers=lambda: {"adam": Adam(lr=1e38)})
    with pytest.raises(ConfigurationError, match=r"lr of the adam phase is 1e\+38.*float32"):
        run.train()
