"""Matrix-free Gauss–Newton: its products, its inner solver, and its steps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from pinnderiv.errors import ConfigurationError
from pinnderiv.networks import MLP
from pinnderiv.training.optimisers import Adam, GaussNewtonKrylov, LevenbergMarquardt
from pinnderiv.training.optimisers.bidiagonal import Bidiagonalisation, Products
from pinnderiv.training.optimisers.least_squares import damped


def mlp(inputs: int, outputs: int) -> MLP:
    return MLP(inputs, outputs, width=10, depth=2)


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def products_of(matrix: Tensor, residual: Tensor) -> Products:
    return Products(residual, lambda move: matrix @ move, lambda left: matrix.mT @ left)


def full(products: Products, size: int) -> Bidiagonalisation:
    space = Bidiagonalisation(products, size)
    while not space.complete:
        space.extend()
    return space


def ill_conditioned(rows: int, columns: int, decades: float) -> Tensor:
    count = min(rows, columns)
    left = torch.linalg.qr(random(rows, count)).Q
    right = torch.linalg.qr(random(columns, count, seed=1)).Q
    return left * torch.logspace(0, -decades, count, dtype=torch.float64) @ right.mT


@pytest.mark.parametrize("case", ["poisson", "wave", "heat"])
@pytest.mark.parametrize("constraint", ["hard", "soft"])
def test_the_products_are_those_of_the_dense_jacobian(
    objective, case: str, constraint: str
) -> None:
    made = objective(case, mlp, constraint, points=20, weights={"walls": 5.0})
    vector = made.vector()
    # before anything has looked at the function, so the guard cannot have seen it
    products = Products.of(made.residuals, vector)
    move, left = random(made.size), random(len(products.residual), seed=1)
    _, forward = torch.func.jvp(made.residuals, (vector,), (move,))
    dense = made.linearise()
    torch.testing.assert_close(products.residual, dense.residual, rtol=1e-10, atol=1e-12)
    for found in (products.push(move), products.push(move), forward):
        torch.testing.assert_close(found, dense.jacobian @ move, rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(
        products.pull(left), dense.jacobian.mT @ left, rtol=1e-10, atol=1e-10
    )
    assert not products.residual.requires_grad and not products.push(move).requires_grad


@pytest.mark.parametrize("shape", [(40, 15), (15, 40)])
@pytest.mark.parametrize("damping", [1e-1, 1e-6, 1e-12])
def test_a_full_space_gives_the_step_of_the_dense_system(
    shape: tuple[int, int], damping: float
) -> None:
    """One space for all dampings, against J stacked on √λ I."""
    matrix, residual = ill_conditioned(*shape, decades=6), random(shape[0], seed=2)
    space = full(products_of(matrix, residual), 1000)
    solution = space.solve(damping)
    move = space.step(solution)
    stacked = torch.cat([matrix, damping**0.5 * torch.eye(shape[1], dtype=torch.float64)])
    target = torch.cat([-residual, residual.new_zeros(shape[1])])
    expected = torch.linalg.lstsq(stacked, target[:, None], driver="gelsd").solution[:, 0]
    torch.testing.assert_close(move, expected, rtol=1e-7, atol=1e-7 * float(expected.norm()))
    left = residual + matrix @ move
    assert solution.foretold == pytest.approx(float(residual @ residual - left @ left), rel=1e-10)
    assert space.largest() == pytest.approx(1.0)
    assert solution.error < 1e-10


def test_rounding_repeats_no_direction() -> None:
    """Without orthogonalisation this takes several times as many directions as J has columns."""
    matrix, residual = ill_conditioned(200, 60, decades=7), random(200, seed=2)
    space = full(products_of(matrix, residual), 200)
    assert space.dimension <= 60
    basis = space._basis[: space.dimension]
    eye = torch.eye(space.dimension, dtype=torch.float64)
    torch.testing.assert_close(basis @ basis.mT, eye, rtol=0, atol=1e-13)


@pytest.mark.parametrize("size", [1, 4, 12])
def test_the_error_of_a_small_space_is_that_of_the_whole_system(size: int) -> None:
    matrix, residual = ill_conditioned(50, 30, decades=2), random(50, seed=2)
    space = full(products_of(matrix, residual), size)
    solution = space.solve(1e-3)
    move = space.step(solution)
    left = matrix.mT @ (residual + matrix @ move) + 1e-3 * move
    gradient = matrix.mT @ residual
    assert space.dimension == size
    assert solution.error == pytest.approx(float(left.norm() / gradient.norm()), rel=1e-9)


def test_a_rank_that_ends_early_ends_the_space() -> None:
    matrix = random(40, 3) @ random(3, 30, seed=1)
    space = full(products_of(matrix, random(40, seed=2)), 20)
    assert space.dimension == 3
    assert bool(torch.isfinite(space.step(space.solve(1e-12))).all())


def test_a_step_is_that_of_dense_levenberg_marquardt_where_the_space_is_full(objective) -> None:
    made = objective("heat", mlp, "soft", points=60)
    dense = made.linearise()
    space = full(Products.of(made.residuals, made.vector()), 1000)
    for share in (1e-1, 1e-4, 1e-8):
        damping = share * space.largest() ** 2
        expected = damped(dense.jacobian, dense.residual, damping)
        assert expected is not None
        found = space.step(space.solve(damping))
        assert (found - expected).norm() < 1e-7 * expected.norm()


def test_thirty_steps_arrive_where_the_dense_ones_do(objective) -> None:
    losses = {}
    for optimiser in (LevenbergMarquardt(), GaussNewtonKrylov()):
        made = objective("poisson2d_engd", mlp, points=80)
        optimiser.begin(made)
        first = float(made.evaluate().loss)
        course = [float(optimiser.step(made).evaluation.loss) for _ in range(30)]
        assert course == sorted(course, reverse=True)
        losses[optimiser.name] = course[-1]
    assert losses["gauss_newton_krylov"] < 10 * losses["levenberg_marquardt"] < 1e-5 * first


def test_no_tensor_has_a_row_for_each_residual_and_a_column_for_each_parameter(objective) -> None:
    """2,000 residuals × 2,000 parameters: any two of the three sizes are far from the third."""

    class Largest(torch.utils._python_dispatch.TorchDispatchMode):
        entries = 0

        def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None):
            result = function(*args, **(kwargs or {}))
            for each in torch.utils._pytree.tree_leaves(result):
                if isinstance(each, Tensor):
                    self.entries = max(self.entries, each.numel())
            return result

    made = objective(
        "poisson2d_engd",
        lambda inputs, outputs: MLP(inputs, outputs, width=30, depth=3),
        points=2000,
    )
    optimiser = GaussNewtonKrylov(iterations=8)
    optimiser.begin(made)
    with Largest() as largest:
        report = optimiser.step(made)
    assert made.size > 1900 and report.learning_rate == 1.0
    # the activations of one layer with their derivatives, (points, channels, width)
    assert largest.entries < 2000 * 30 * 8 < 0.13 * 2000 * made.size


def test_the_inner_iterations_are_bounded(objective) -> None:
    made = objective("poisson2d_engd", mlp)
    optimiser = GaussNewtonKrylov(iterations=3, forcing=1e-9)
    optimiser.begin(made)
    report = optimiser.step(made)
    assert report.evaluations == 1 + 3 + 1  # the residuals, three directions, one trial
    assert not report.stalled


def test_float32_works_as_far_as_its_digits_go(objective) -> None:
    made = objective("heat", mlp)
    made.loss.network.float()
    points = made.collocation.points
    made.collocation.points = type(points)(points.interior.float(), points.source.float(), {}, {})
    optimiser = GaussNewtonKrylov()
    optimiser.begin(made)
    first = float(made.evaluate().loss)
    for _ in range(25):
        report = optimiser.step(made)
        assert bool(torch.isfinite(made.vector()).all())
    assert made.vector().dtype == torch.float32
    assert float(report.evaluation.loss) < 1e-3 * first


def test_at_a_minimum_it_has_stalled(objective) -> None:
    made = objective("poisson2d_engd", mlp)
    for parameter in made.parameters:
        torch.nn.init.zeros_(parameter)
    with torch.no_grad():
        made.collocation.points.source.zero_()
    optimiser = GaussNewtonKrylov()
    optimiser.begin(made)
    before = made.vector()
    report = optimiser.step(made)
    assert report.stalled and "the gradient is zero" in report.note
    assert torch.equal(made.vector(), before)


def test_where_no_damping_helps_it_says_so_and_stays(objective) -> None:
    made = objective("heat", mlp)
    before, smooth = made.vector(), made.residuals

    def with_a_kink(vector: Tensor) -> Tensor:
        """Its derivative foretells nothing of what is added wherever one goes."""
        return smooth(vector) + 1e6 * (vector - before).detach().norm()

    made.residuals = with_a_kink
    optimiser = GaussNewtonKrylov(max_trials=3)
    optimiser.begin(made)
    state = optimiser.state_dict()
    report = optimiser.step(made)
    assert report.stalled and "no damping out of 3" in report.note
    assert torch.equal(made.vector(), before) and optimiser.state_dict() == state


def test_residuals_that_are_not_finite_are_reported(objective) -> None:
    made = objective("poisson2d_engd", mlp)
    with torch.no_grad():
        made.collocation.points.source[3] = float("nan")
    optimiser = GaussNewtonKrylov()
    optimiser.begin(made)
    report = optimiser.step(made)
    assert not report.evaluation.finite and not report.stalled


def test_a_run_hands_over_as_soon_as_adam_has_stalled(small: Callable[..., Any]) -> None:
    """With a rate of next to nothing, at the end of its second pair of steps: long before 100."""
    run, _ = small(
        max_steps=7,
        optimisers=lambda: {
            "adam": Adam(lr=1e-12, patience=2, least_fall=0.5, steps=100),
            "krylov": GaussNewtonKrylov(),
        },
    ).train()
    assert run.progress.step == 7 and run.progress.phase_step == 3
    assert run.phases.name(run.progress) == "krylov"
    assert "fell by less than 50% in 2 steps" in run.progress.note


def test_two_and_three_steps_of_a_run_are_five(small: Callable[..., Any]) -> None:
    choices = {"optimisers": lambda: {"krylov": GaussNewtonKrylov()}, "resample_every": 2}
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
        ({"iterations": 0}, "iterations"),
        ({"forcing": 1.0}, "forcing"),
        ({"forcing": float("nan")}, "forcing"),
        ({"damping": 0.0}, "damping"),
        ({"max_trials": 0}, "max_trials"),
    ],
)
def test_nonsense_is_refused(choices: dict[str, Any], named: str) -> None:
    with pytest.raises(ConfigurationError, match=named):
        GaussNewtonKrylov(**choices)
