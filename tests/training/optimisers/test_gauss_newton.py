"""Jacobians, Levenberg–Marquardt and variable projection."""

import pytest
import torch

from pinnderiv.errors import ConfigurationError
from pinnderiv.networks import MLP, RandomFeatureNetwork
from pinnderiv.training.optimisers import FeatureSearch, LevenbergMarquardt, VariableProjection


def mlp(inputs: int, outputs: int, periodic_axes: tuple[int, ...] = ()) -> MLP:
    return MLP(inputs, outputs, width=10, depth=1, periodic_axes=periodic_axes)


def wide(inputs: int, outputs: int) -> RandomFeatureNetwork:
    return RandomFeatureNetwork(inputs, outputs, 200)


@pytest.mark.parametrize("case", ["poisson", "wave", "wave_periodic"])
@pytest.mark.parametrize("constraint", ["hard", "soft"])
def test_the_jacobian_is_that_of_the_residual_vector(objective, case: str, constraint: str) -> None:
    made = objective(case, mlp, constraint, points=12, weights={"walls": 5.0})
    found = made.linearise()
    vector = made.vector()
    expected = torch.func.jacrev(made.residuals)(vector)
    torch.testing.assert_close(found.jacobian, expected, rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(found.residual, made.residuals(vector).detach())
    here, wanted = found.evaluation(), made.evaluate()
    torch.testing.assert_close(here.loss, wanted.loss)
    torch.testing.assert_close(here.gradient, wanted.gradient, rtol=1e-9, atol=1e-10)
    assert {k: pytest.approx(float(v)) for k, v in wanted.terms.items()} == here.terms


def test_forty_levenberg_marquardt_steps_beat_what_adam_reaches(objective, relative_l2) -> None:
    made = objective(
        "poisson2d_engd",
        lambda inputs, outputs: MLP(inputs, outputs, width=10, depth=2),
        points=200,
    )
    optimiser = LevenbergMarquardt()
    optimiser.begin(made)
    losses = [float(optimiser.step(made).evaluation.loss) for _ in range(40)]
    assert losses == sorted(losses, reverse=True)
    assert relative_l2(made) < 1e-4


def test_more_parameters_than_residuals_work_as_well(objective) -> None:
    made = objective(
        "poisson2d_engd", lambda inputs, outputs: MLP(inputs, outputs, width=16, depth=2), points=40
    )
    assert made.size > 40
    optimiser = LevenbergMarquardt()
    optimiser.begin(made)
    before = float(made.evaluate().loss)
    for _ in range(20):
        report = optimiser.step(made)
    assert float(report.evaluation.loss) < 1e-6 * before


def test_levenberg_marquardt_at_a_minimum_says_that_it_has_stalled(objective) -> None:
    made = objective("poisson2d_engd", mlp)
    for parameter in made.parameters:
        # with equal neurons and no output, the residual does not depend on what enters them
        torch.nn.init.zeros_(parameter)
    with torch.no_grad():
        made.collocation.points.source.zero_()
    optimiser = LevenbergMarquardt(max_trials=3)
    optimiser.begin(made)
    before = made.vector()
    report = optimiser.step(made)
    assert report.stalled and "no damping" in report.note
    assert torch.equal(made.vector(), before)


def test_the_damping_survives_a_checkpoint(objective) -> None:
    made = objective("heat", mlp)
    first, second = LevenbergMarquardt(), LevenbergMarquardt()
    first.begin(made)
    for _ in range(3):
        first.step(made)
    vector = made.vector()
    second.begin(made)
    second.load_state_dict(first.state_dict())
    first.step(made)
    expected = made.vector()
    made.set_vector(vector)
    second.step(made)
    assert torch.equal(made.vector(), expected)


CASES = [("poisson2d_engd", "hard"), ("heat1d_engd", "hard"), ("poisson2d_engd", "soft")]


@pytest.mark.parametrize("case, constraint", CASES)
def test_the_output_layer_alone_gives_nine_digits(
    objective, relative_l2, case: str, constraint: str
) -> None:
    made = objective(case, wide, constraint, points=400)
    optimiser = VariableProjection()
    optimiser.begin(made)
    first, second = optimiser.step(made), optimiser.step(made)
    assert not first.stalled and second.stalled
    assert "of the right-hand side is left" in second.note
    assert relative_l2(made) < 1e-9


def test_moving_the_hidden_parameters_gains_digits(objective, relative_l2) -> None:
    made = objective(
        "poisson", lambda inputs, outputs: MLP(inputs, outputs, width=12, depth=1), points=150
    )
    optimiser = VariableProjection(train_hidden=True)
    optimiser.begin(made)
    losses = [float(optimiser.step(made).evaluation.loss)]
    error = relative_l2(made)
    losses += [float(optimiser.step(made).evaluation.loss) for _ in range(25)]
    assert losses == sorted(losses, reverse=True)
    assert relative_l2(made) < 1e-2 * error


def test_where_the_lift_is_the_solution_nothing_is_added(objective, relative_l2) -> None:
    made = objective("poisson_nd", dimension=3)
    for optimiser in (FeatureSearch(), VariableProjection()):
        optimiser.begin(made)
        report = optimiser.step(made)
        assert report.stalled and "boundary values alone" in report.note
    assert relative_l2(made) < 1e-13


def test_a_source_that_is_not_finite_ends_in_a_note(objective) -> None:
    made = objective("poisson2d_engd")
    with torch.no_grad():
        made.collocation.points.source[3] = float("nan")
    optimiser = VariableProjection()
    optimiser.begin(made)
    report = optimiser.step(made)
    assert report.stalled and "no finite" in report.note
    assert bool(torch.isfinite(made.vector()).all())


@pytest.mark.parametrize(
    "make",
    [
        lambda: LevenbergMarquardt(damping=0.0),
        lambda: LevenbergMarquardt(max_trials=0),
        lambda: VariableProjection(cutoff=2.0),
        lambda: VariableProjection(max_trials=0),
        lambda: FeatureSearch(features=0),
        lambda: FeatureSearch(first=-1.0),
    ],
)
def test_numbers_out_of_range_are_refused(make) -> None:
    with pytest.raises(ConfigurationError):
        make()
