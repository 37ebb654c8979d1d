"""Ordinary differential equations in time alone go through all that partial ones go through."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from rich.console import Console
from scipy.integrate import solve_ivp
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from pinnderiv import derivatives
from pinnderiv.domains import SobolSampler, TimeInterval
from pinnderiv.equations import Equation, TextField
from pinnderiv.errors import ConfigurationError
from pinnderiv.networks import MLP, RandomFeatureNetwork
from pinnderiv.problems import Condition, Problem, pde_problem
from pinnderiv.schema import RunConfig
from pinnderiv.schema.points import AdaptiveKind
from pinnderiv.training.ansatz import Ansatz
from pinnderiv.training.causality import Causality
from pinnderiv.training.checkpoint import CheckpointFolder
from pinnderiv.training.collocation import Collocation
from pinnderiv.training.figures import solution_figures
from pinnderiv.training.loss import Loss
from pinnderiv.training.optimisers import (
    LBFGS,
    Adam,
    FeatureSearch,
    LevenbergMarquardt,
    Optimiser,
    VariableProjection,
)
from pinnderiv.training.session import evaluate_session, train_session
from pinnderiv.training.slabs import TimeSlabs

OSCILLATOR: dict[str, Any] = {
    "coordinates": ["t"],
    "time": [0, 6],
    "equation": "u_tt + 0.2*u_t + 1.01*u = 0",
    "exact": "exp(-t/10)*cos(t)",
    "conditions": {
        "start": {"kind": "initial", "value": 1},
        "speed": {"kind": "velocity", "value": -0.1},
    },
}
LOTKA_VOLTERRA: dict[str, Any] = {
    "coordinates": ["t"],
    "outputs": ["x", "y"],
    "time": [0, 2],
    "equation": ["x_t = x - x*y", "y_t = x*y - y"],
    "conditions": {"start": {"kind": "initial", "value": {"x": 2, "y": 1}}},
}
CIRCLE: dict[str, Any] = {
    "coordinates": ["t"],
    "outputs": ["a", "b"],
    "time": [0, 3],
    "equation": ["a_t = b*(a**2 + b**2)", "b_t = -a*(a**2 + b**2)"],
    "exact": ["sin(t)", "cos(t)"],
    "conditions": {"start": {"kind": "initial"}},
}
BOTH_ENDS: dict[str, Any] = {
    **OSCILLATOR,
    "time": [0, 2],
    "conditions": {"start": {"kind": "initial"}, "goal": {"piece": "final"}},
}


@pytest.fixture
def run_of(small: Callable[..., Any]) -> Callable[..., Any]:
    """Makes a small run of a problem out of a mapping, which is built anew wherever the run is."""

    def make(values: dict[str, Any], **choices: Any) -> Any:
        run = small(**choices)
        parts = run.parts
        run.parts = lambda: replace(parts(), problem=pde_problem(**values))
        return run

    return make


def features(inputs: int, outputs: int) -> RandomFeatureNetwork:
    return RandomFeatureNetwork(inputs, outputs, width=100)


def projection() -> dict[str, Optimiser]:
    search = FeatureSearch(features=60, rungs=5, steps=500)
    return {"search": search, "projection": VariableProjection()}


def marquardt() -> dict[str, Optimiser]:
    return {"levenberg_marquardt": LevenbergMarquardt()}


@pytest.mark.parametrize("constraint", ["hard", "soft"])
@pytest.mark.parametrize(
    ("values", "hard"),
    [(OSCILLATOR, {"start", "speed"}), (BOTH_ENDS, {"start", "goal"})],
    ids=["from the start", "between ends"],
)
def test_a_linear_one_is_solved_to_many_digits(
    constraint: str, values: dict[str, Any], hard: set[str], run_of: Callable[..., Any]
) -> None:
    made = run_of(
        values,
        constraint=constraint,
        points=100,
        max_steps=1000,
        network=features,
        optimisers=projection,
    )
    run, outcome = made.train()
    assert outcome.stop_reason == "converged"
    assert outcome.error.relative_l2 < 1e-8
    left = set(run.objective.loss.names) - {"equation"}
    assert left == (set() if constraint == "hard" else hard)


@pytest.mark.parametrize("constraint", ["hard", "soft"])
@pytest.mark.parametrize("values", [OSCILLATOR, CIRCLE], ids=["one output", "two outputs"])
def test_levenberg_marquardt(
    constraint: str, values: dict[str, Any], run_of: Callable[..., Any]
) -> None:
    made = run_of(
        {**values, "time": [0, 3]},
        constraint=constraint,
        points=60,
        max_steps=60,
        optimisers=marquardt,
    )
    _, outcome = made.train()
    assert outcome.error.relative_l2 < 1e-3


def test_the_default_optimiser(run_of: Callable[..., Any]) -> None:
    phases = lambda: {"adam": Adam(lr=1e-2, steps=50), "lbfgs": LBFGS()}  # noqa: E731
    made = run_of({**OSCILLATOR, "time": [0, 2]}, points=60, max_steps=250, optimisers=phases)
    _, outcome = made.train()
    assert outcome.error.relative_l2 < 1e-2


def test_a_system_without_an_exact_solution_is_that_of_another_method(
    run_of: Callable[..., Any],
) -> None:
    run, outcome = run_of(
        LOTKA_VOLTERRA, points=60, width=12, max_steps=80, optimisers=marquardt
    ).train()
    assert np.isnan(outcome.error.relative_l2)
    t = np.linspace(0, 2, 21)
    known = solve_ivp(
        lambda _, u: [u[0] - u[0] * u[1], u[0] * u[1] - u[1]],
        (0, 2),
        [2, 1],
        t_eval=t,
        method="DOP853",
        rtol=1e-10,
        atol=1e-10,
    ).y.T
    found = run.network(torch.from_numpy(t)[:, None]).detach().numpy()
    assert np.abs(found - known).max() < 1e-3


def test_coefficients_are_found_from_observations(run_of: Callable[..., Any]) -> None:
    times = [[0.5 * k] for k in range(1, 9)]
    values = {
        **OSCILLATOR,
        "time": [0, 4],
        "parameters": {"c": {"trainable": 1.0, "true": 0.2}, "k": {"trainable": 1.5, "true": 1.01}},
        "equation": "u_tt + c*u_t + k*u = 0",
        "conditions": {
            **OSCILLATOR["conditions"],
            "seen": {"kind": "observations", "points": times},
        },
    }
    run, _ = run_of(values, points=60, max_steps=80, optimisers=marquardt).train()
    found = run.objective.loss.unknowns.estimates()
    assert found["c"] == pytest.approx(0.2, abs=2e-3) and found["k"] == pytest.approx(
        1.01, abs=2e-3
    )


@pytest.mark.parametrize("constraint", ["hard", "soft"])
def test_slabs_of_time(constraint: str, run_of: Callable[..., Any]) -> None:
    def change(config: RunConfig) -> None:
        config.training.time_slabs = 3

    made = run_of(
        OSCILLATOR,
        constraint=constraint,
        points=100,
        max_steps=3000,
        network=features,
        optimisers=projection,
        change=change,
    )
    run, outcome = made.train()
    assert run.progress.slab == 2 and outcome.error.relative_l2 < 1e-7
    found = derivatives(run.network, ["u", "u_t"], coordinates=("t",))
    join = torch.tensor([[2.0], [4.0]], dtype=torch.float64)
    before, after = found(join), found(torch.nextafter(join, join + 1))
    for name in ("u", "u_t"):
        slack = 1e-12 if constraint == "hard" else 1e-6
        torch.testing.assert_close(before[name], after[name], rtol=0, atol=slack)


def test_slabs_of_a_nonlinear_system(run_of: Callable[..., Any]) -> None:
    def change(config: RunConfig) -> None:
        config.training.time_slabs = 2

    choices = {"points": 40, "max_steps": 80, "optimisers": marquardt, "change": change}
    _, outcome = run_of(CIRCLE, constraint="soft", **choices).train()
    assert outcome.error.relative_l2 < 1e-2
    with pytest.raises(ConfigurationError, match="take constraint=soft"):
        run_of(CIRCLE, constraint="hard", **choices).build()


def net(inputs: int, outputs: int) -> MLP:
    return MLP(inputs, outputs, width=6, depth=1)


def start_and(**more: Any) -> dict[str, Any]:
    return {**OSCILLATOR, "conditions": {**OSCILLATOR["conditions"], **more}}


@pytest.mark.parametrize(
    ("message", "values"),
    [
        ("'goal' is at the end of time", start_and(goal={"piece": "final"})),
        (
            "'seen' is at given times",
            start_and(seen={"kind": "observations", "points": [[1], [5]]}),
        ),
        (
            "'law' is no value at the start",
            start_and(law={"kind": "relation", "piece": "initial", "equation": "u_t = -u/10"}),
        ),
        (
            "'pull' is no value at the start",
            start_and(pull={"kind": "neumann", "piece": "initial", "value": 0.1}),
        ),
    ],
)
def test_what_is_no_matter_of_one_slab_after_the_other(
    message: str, values: dict[str, Any]
) -> None:
    with pytest.raises(ConfigurationError, match=message):
        TimeSlabs(pde_problem(**values), net, "soft", 3)


def test_causal_weights(run_of: Callable[..., Any]) -> None:
    def change(config: RunConfig) -> None:
        config.loss.causal, config.loss.causal_chunks = 0.5, 4

    run, _ = run_of(OSCILLATOR, points=64, max_steps=3, change=change).train()
    rule: Causality = run.objective.loss.causality
    points = run.objective.collocation.points.interior
    early, late = (points[:, 0] < 1.5), (points[:, 0] > 4.5)
    assert (rule.at(points[early]) == 1.0).all()
    assert (rule.at(points[late]) < 1.0).all()


@pytest.mark.parametrize("kind", ["rad", "r3"])
def test_adaptive_points_stay_in_time(kind: str, run_of: Callable[..., Any]) -> None:
    def change(config: RunConfig) -> None:
        config.sampler.adaptive = AdaptiveKind(kind)

    run, _ = run_of(OSCILLATOR, points=64, max_steps=6, resample_every=2, change=change).train()
    points = run.objective.collocation.points.interior
    assert points.shape == (64, 1) and bool(((points >= 0) & (points <= 6)).all())


def test_resuming_leaves_no_trace(run_of: Callable[..., Any]) -> None:
    whole, _ = run_of(CIRCLE, name="whole", constraint="soft", max_steps=4).train()
    run_of(CIRCLE, name="half", constraint="soft", max_steps=2).train()
    half, _ = run_of(CIRCLE, name="half", constraint="soft", max_steps=4).resume()
    for name, value in whole.network.state_dict().items():
        assert torch.equal(half.network.state_dict()[name], value)


def test_a_figure_is_a_line_over_time() -> None:
    problem = pde_problem(**CIRCLE)
    figures = solution_figures(problem, lambda x: problem.exact(x) + 0.25, torch.float64, "cpu")
    assert set(figures) == {"solution_a", "solution_b", "error_a", "error_b"}
    axes = figures["solution_a"].axes[0]
    assert axes.get_xlabel() == "t"
    network, reference = axes.lines
    np.testing.assert_allclose(reference.get_ydata(), np.sin(reference.get_xdata()), atol=1e-12)
    np.testing.assert_allclose(network.get_ydata() - reference.get_ydata(), 0.25)
    assert (reference.get_xdata()[0], reference.get_xdata()[-1]) == (0.0, 3.0)


def test_results_of_a_run(run_of: Callable[..., Any]) -> None:
    made = run_of(CIRCLE, max_steps=3)
    config = made.config()
    config.monitor.every = 1
    metrics, code = train_session(
        config, made.parts, made.directory, {"seed": 0}, None, Console(quiet=True)
    )
    assert code == 0 and metrics is not None
    assert metrics["coordinates"] == ["t"] and metrics["points"] == 32
    assert set(metrics["relative_l2_by_output"]) == {"a", "b"}
    names = {path.name for path in made.directory.glob("*.png")}
    assert names == {
        "solution_a.png",
        "solution_b.png",
        "error_a.png",
        "error_b.png",
        "history.png",
    }
    events = EventAccumulator(str(made.directory / "tensorboard"))
    events.Reload()
    assert [each.step for each in events.Scalars("loss/total")] == [1, 2, 3]
    config.evaluate.quantities, config.evaluate.grid = ["a", "b_t"], 7
    saved = CheckpointFolder(made.directory / "checkpoints").load()
    table = np.load(
        evaluate_session(config, made.parts, made.directory, saved, Console(quiet=True))
    )
    np.testing.assert_allclose(table["t"], np.linspace(0, 3, 7))
    # what is built in: a(0) = 0
    assert table["a"].shape == table["b_t"].shape == (7,) and abs(table["a"][0]) < 1e-12


def test_a_problem_made_in_python() -> None:
    exact = TextField("exp(-t)", ("t",))
    problem = Problem(
        name="decay",
        title="Decay",
        domain=TimeInterval(0.0, 2.0),
        equation=Equation("u_t + u", coordinates=("t",)),
        solution=exact,
        conditions=(Condition("start", "initial", (), exact),),
        homogeneous=True,
    )
    ansatz = Ansatz(problem, net, "hard")
    assert ansatz.conditions == () and ansatz.u.double()(torch.zeros(1, 1).double()).item() == 1.0
    counts = {"interior": 20}
    points = Collocation(problem, ansatz, SobolSampler, counts, seed=0).points
    (part,) = Loss(problem, ansatz, {}).parts(points).values()
    assert part.residual(exact, part.points, problem.source(part.points)).abs().max() < 1e-12
