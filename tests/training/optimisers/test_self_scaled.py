"""Self-scaled quasi-Newton methods, and natural gradients."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from pinnderiv.errors import ConfigurationError
from pinnderiv.networks import MLP
from pinnderiv.training.optimisers import LBFGS, NaturalGradient, Optimiser, SelfScaled
from tests.training.test_optimisers import Function, bowl, rosenbrock, steps


def mlp(inputs: int, outputs: int) -> MLP:
    return MLP(inputs, outputs, width=10, depth=2)


@pytest.mark.parametrize("kind", ["broyden", "bfgs"])
def test_it_finds_the_end_of_a_curved_valley(kind: str) -> None:
    objective = Function(rosenbrock, [-1.2, 1.0] * 5)
    optimiser = SelfScaled(kind)
    optimiser.begin(objective)
    losses = steps(optimiser, objective, 150)
    assert losses[-1] < 1e-20
    assert losses == sorted(losses, reverse=True)
    assert torch.allclose(objective.x, torch.ones(10, dtype=torch.float64), atol=1e-9)


@pytest.mark.parametrize("kind", ["broyden", "bfgs"])
def test_the_matrix_becomes_the_inverse_hessian_of_a_quadratic(kind: str) -> None:
    objective = Function(bowl, [0.0, 5.0, -1.0])
    optimiser = SelfScaled(kind)
    optimiser.begin(objective)
    moves, changes = [], []
    for _ in range(4):
        start, before = objective.vector(), objective.evaluate().gradient
        optimiser.step(objective)
        moves.append(objective.vector() - start)
        changes.append(objective.evaluate().gradient - before)
        # the secant equation, H y = s, whatever φ and τ are
        inverse = optimiser.state_dict()["inverse"]
        torch.testing.assert_close(inverse @ changes[-1], moves[-1], rtol=1e-7, atol=1e-10)
        torch.testing.assert_close(inverse, inverse.mT)
        assert bool((torch.linalg.eigvalsh(inverse) > 0).all())


def test_plain_bfgs_is_what_remains_where_nothing_is_scaled() -> None:
    """Against the product form of the BFGS update (Nocedal and Wright, equation 6.17)."""
    generator = torch.Generator().manual_seed(1)
    root = torch.randn(5, 5, generator=generator, dtype=torch.float64)
    inverse = root @ root.mT + torch.eye(5, dtype=torch.float64)
    bent_of = torch.linalg.inv(inverse)
    move = torch.randn(5, generator=generator, dtype=torch.float64)
    change = 0.3 * (bent_of @ move) + 0.01 * move  # flatter than believed: b > 1, so τ < 1
    curvature = float(move @ change)
    optimiser = SelfScaled("bfgs")
    optimiser._forget()
    optimiser._inverse = inverse.clone()
    optimiser._learn(move, change, curvature, 1.0, -(bent_of @ move))
    scaling = min(1.0, curvature / float(move @ bent_of @ move))
    assert scaling < 1
    left = torch.eye(5, dtype=torch.float64) - torch.outer(move, change) / curvature
    expected = left @ (inverse / scaling) @ left.mT + torch.outer(move, move) / curvature
    torch.testing.assert_close(optimiser._inverse, expected, rtol=1e-10, atol=1e-12)


def test_self_scaled_steps_beat_lbfgs_on_a_residual(objective, relative_l2) -> None:
    errors = {}
    for optimiser in (LBFGS(), SelfScaled()):
        made = objective("poisson2d_engd", mlp, points=200)
        optimiser.begin(made)
        for _ in range(250):
            optimiser.step(made)
        errors[optimiser.name] = relative_l2(made)
    assert errors["self_scaled"] < 0.3 * errors["lbfgs"]


def test_a_natural_gradient_of_a_linear_residual_arrives_in_one_step(objective) -> None:
    """Only the output layer is trained: r is affine, and φ the least-squares solution."""
    made = objective("poisson2d_engd", points=120)
    for name, parameter in made.loss.network.named_parameters():
        parameter.requires_grad_(name.endswith(("output.weight", "output.bias")))
    made = type(made)(made.loss, made.collocation)
    optimiser = NaturalGradient(damping=1e-12)
    optimiser.begin(made)
    here = made.linearise()
    best = torch.linalg.lstsq(here.jacobian, -here.residual[:, None], driver="gelsd").solution
    least = float((here.jacobian @ best + here.residual[:, None]).square().sum())
    report = optimiser.step(made)
    assert report.learning_rate == 1.0
    assert float(report.evaluation.loss) <= 1.01 * least + 1e-12 * float(
        here.residual @ here.residual
    )


@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize("points", [40, 200])  # fewer residuals than parameters, and more
def test_natural_gradients_lower_the_loss(objective, momentum: float, points: int) -> None:
    made = objective("poisson2d_engd", mlp, points=points)
    assert 40 < made.size < 200
    optimiser = NaturalGradient(momentum=momentum)
    optimiser.begin(made)
    before = float(made.evaluate().loss)
    losses = [float(optimiser.step(made).evaluation.loss) for _ in range(20)]
    assert losses == sorted(losses, reverse=True)
    # far from the solution, what momentum keeps was right somewhere else
    assert losses[-1] < (0.05 if momentum else 1e-4) * before


def test_momentum_keeps_what_the_residuals_do_not_see(objective) -> None:
    """φ − μ φ₋ lies in the row space of J: what J does not see is μ φ₋."""
    made = objective("poisson2d_engd", mlp, points=30)
    optimiser = NaturalGradient(momentum=0.8)
    optimiser.begin(made)
    optimiser.step(made)
    last = optimiser.state_dict()["last"]
    here = made.linearise()
    direction = optimiser._direction(here, last, 1e-10)
    assert direction is not None
    basis = torch.linalg.qr(here.jacobian.mT)[0]

    def unseen(vector: torch.Tensor) -> torch.Tensor:
        return vector - basis @ (basis.mT @ vector)

    torch.testing.assert_close(unseen(direction), 0.8 * unseen(last), rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize(
    "make",
    [lambda: SelfScaled(), lambda: SelfScaled("bfgs"), lambda: NaturalGradient(momentum=0.9)],
)
def test_the_state_is_complete(objective, make: Callable[[], Optimiser], tmp_path) -> None:
    made = objective("heat", mlp, points=60)
    optimiser = make()
    optimiser.begin(made)
    steps(optimiser, made, 4)
    torch.save(optimiser.state_dict(), tmp_path / "state.pt")
    here = made.vector()
    expected = steps(optimiser, made, 3)
    twin, again = make(), objective("heat", mlp, points=60)
    again.set_vector(here)
    twin.begin(again)
    twin.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
    assert steps(twin, again, 3) == expected


@pytest.mark.parametrize("make", [SelfScaled, NaturalGradient])
def test_at_a_minimum_it_has_stalled(objective, make: Callable[[], Optimiser]) -> None:
    made = objective("poisson2d_engd", mlp)
    for parameter in made.parameters:
        torch.nn.init.zeros_(parameter)
    with torch.no_grad():
        made.collocation.points.source.zero_()
    optimiser = make()
    optimiser.begin(made)
    before = made.vector()
    assert optimiser.step(made).stalled
    assert torch.equal(made.vector(), before)


@pytest.mark.parametrize(
    ("make", "named"),
    [
        (lambda: SelfScaled("dfp"), "kind"),
        (lambda: SelfScaled(max_evaluations=1), "max_evaluations"),
        (lambda: NaturalGradient(damping=0.0), "damping"),
        (lambda: NaturalGradient(momentum=1.0), "momentum"),
    ],
)
def test_nonsense_is_refused(make: Callable[[], Any], named: str) -> None:
    with pytest.raises(ConfigurationError, match=named):
        make()


def test_a_matrix_that_would_fill_the_memory_is_refused() -> None:
    objective = Function(bowl, [0.0] * 20_001)
    with pytest.raises(ConfigurationError, match="dense matrix"):
        SelfScaled().begin(objective)
