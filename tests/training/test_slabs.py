"""Runs in slabs of time."""

import json
import math
import os
import signal
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from rich.console import Console
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from pinnderiv import derivatives
from pinnderiv.domains import SobolSampler
from pinnderiv.errors import ConfigurationError
from pinnderiv.networks import MLP, RandomFeatureNetwork
from pinnderiv.problems import CASES, pde_problem
from pinnderiv.training.checkpoint import CheckpointFolder
from pinnderiv.training.collocation import Collocation
from pinnderiv.training.loop import train
from pinnderiv.training.monitor import Monitor, StepRecord
from pinnderiv.training.optimisers import (
    LBFGS,
    Adam,
    FeatureSearch,
    LevenbergMarquardt,
    VariableProjection,
)
from pinnderiv.training.session import evaluate_session
from pinnderiv.training.slabs import TimeSlabs
from pinnderiv.training.tensorboard import TensorBoardMonitor


def slabs(count: int) -> Callable[[Any], None]:
    def change(config: Any) -> None:
        config.training.time_slabs = count

    return change


class Seen(Monitor):
    """What was told of each step, and the network after it."""

    def __init__(self) -> None:
        self.records: list[StepRecord] = []
        self.states: list[dict[str, torch.Tensor]] = []
        self.network = torch.nn.Module()

    def step(self, record: StepRecord) -> None:
        self.records.append(record)
        self.states.append({k: v.clone() for k, v in self.network.state_dict().items()})


@pytest.mark.parametrize("count", [0, -1])
def test_fewer_than_one_slab_is_refused(small: Callable[..., Any], count: int) -> None:
    with pytest.raises(ConfigurationError, match=r"time_slabs must be at least 1, got"):
        small(change=slabs(count)).build()


def test_a_problem_without_time_is_refused(small: Callable[..., Any]) -> None:
    with pytest.raises(ConfigurationError, match=r"time_slabs=2 .* has no time"):
        small(case="poisson2d_engd", change=slabs(2)).build()


def test_one_slab_is_the_ordinary_run(small: Callable[..., Any]) -> None:
    run, _ = small("one", change=slabs(1)).train()
    assert "time_slabs" not in run.facts.facts
    assert all(name.startswith("network.") for name in run.network.state_dict())


def test_later_slabs_are_not_told_the_exact_solution() -> None:
    """Their initial values are those of the network before; only the walls are given."""
    problem = CASES["wave_travelling"]("wave_travelling")
    made = TimeSlabs(problem, lambda inputs, outputs: MLP(inputs, outputs, 8, 2), "soft", 2)
    made.u.double()
    first, second = made.ansatzes
    points = second.problem.domain.on_piece("initial", torch.rand(9, 2, dtype=torch.float64))
    assert torch.equal(points[:, 1], torch.full((9,), 0.5, dtype=torch.float64))
    reached = derivatives(first.v, ["u", "u_t"], coordinates=("x", "t"))(points)
    values = {each.name: each.value(points)[:, 0] for each in second.problem.conditions}
    assert torch.equal(values["initial"], reached["u"].detach())
    torch.testing.assert_close(values["initial_velocity"], reached["u_t"].detach())
    hard = TimeSlabs(problem, lambda inputs, outputs: MLP(inputs, outputs, 8, 2), "hard", 2)
    assert all(each.problem.conditions == () for each in hard.ansatzes)


LAYERS = {
    "coordinates": ["x", "t"],
    "time": [0, 1],
    "domain": {"interval": [0, 1]},
    "equation": "u_t = u_xx",
    "conditions": {
        "left": {"piece": "x_min", "value": 0},
        "right": {"piece": "x_max", "where": "t < 0.4 or t > 0.9", "value": 0},
        "start": {"kind": "initial", "where": "x < 0.5", "value": "x"},
        "rest": {"kind": "initial", "where": "x >= 0.5", "value": "1 - x"},
        "middle": {
            "kind": "interface",
            "shape": {"interval": [0.25, 0.75]},
            "where": "x > 0.5",
            "equation": "u_n = 0",
        },
    },
}


def test_conditions_on_parts_are_cut_in_time_as_well() -> None:
    """A part of the start has the values of the slab before; a surface ends with the slab."""
    problem = pde_problem(**LAYERS)
    made = TimeSlabs(problem, lambda inputs, outputs: MLP(inputs, outputs, 6, 1), "soft", 2)
    made.u.double()
    first, second = made.ansatzes
    points = Collocation(second.problem, second, SobolSampler, {"interior": 9, "walls": 9}, seed=0)
    at = points.points.pieces
    conditions = {each.name: each for each in second.problem.conditions}
    assert set(at) == {"x_min", "right", "start", "rest", "middle"}
    for name in ("start", "rest"):
        assert (at[name][:, 1] == 0.5).all()
        reached = first.v(at[name]).detach()
        assert torch.equal(conditions[name].value(at[name]), reached)
    assert (at["start"][:, 0] < 0.5).all() and (at["rest"][:, 0] >= 0.5).all()
    assert (at["right"][:, 1] > 0.9).all() and (at["middle"][:, 1] >= 0.5).all()
    assert torch.allclose(at["middle"][:, 0], torch.tensor(0.75).double())


def test_a_condition_that_holds_nowhere_in_a_slab_is_refused() -> None:
    early = {"piece": "x_max", "where": "t < 0.4", "value": 0}
    problem = pde_problem(**{**LAYERS, "conditions": {**LAYERS["conditions"], "right": early}})
    with pytest.raises(ConfigurationError, match=r"'right' holds nowhere from t = 0\.5 to t = 1"):
        TimeSlabs(problem, lambda inputs, outputs: MLP(inputs, outputs, 6, 1), "soft", 2)


def test_each_slab_is_trained_in_turn_and_then_left_alone(small: Callable[..., Any]) -> None:
    seen = Seen()
    both = {"adam": Adam(lr=1e-2, steps=2), "lbfgs": LBFGS(history=3)}
    made = small(max_steps=9, optimisers=lambda: both, change=slabs(2), watchers=[seen])
    run, _ = made.build()
    seen.network = run.network
    train(run)
    run.monitor.close()
    assert [each.slab for each in seen.records] == [1] * 5 + [2] * 4
    names = [each.phase for each in seen.records]
    assert names[:3] == ["adam (slab 1 of 2)"] * 2 + ["lbfgs (slab 1 of 2)"]
    assert names[4:] == (
        ["lbfgs (slab 1 of 2)"] + ["adam (slab 2 of 2)"] * 2 + ["lbfgs (slab 2 of 2)"] * 2
    )
    moved = [
        {
            name.split(".")[1]
            for name, value in later.items()
            if not torch.equal(value, before[name])
        }
        for before, later in pairwise(seen.states)
    ]
    assert moved == [{"0"}] * 4 + [{"1"}] * 4
    rows = (made.directory / "history.csv").read_text().splitlines()
    assert rows[9].split(",")[1] == "lbfgs (slab 2 of 2)"


def test_waves_in_two_slabs_join_and_are_measured_on_the_whole(small: Callable[..., Any]) -> None:
    made = small(
        case="wave",
        width=16,
        points=200,
        max_steps=40,
        optimisers=lambda: {"lm": LevenbergMarquardt()},
        change=slabs(2),
    )
    run, outcome = made.train()
    problem = CASES["wave"]("wave")
    grid = problem.domain.grid(101)
    with torch.no_grad():
        difference = run.network(grid) - problem.exact(grid)
    expected = float(difference.norm() / problem.exact(grid).norm())
    assert outcome.error.relative_l2 == pytest.approx(expected, rel=1e-6)
    assert expected < 2e-2
    x = torch.linspace(0, 1, 30, dtype=torch.float64)[:, None]
    found = derivatives(run.network, ["u", "u_t"], coordinates=("x", "t"))
    left = found(torch.cat([x, torch.full_like(x, 0.5)], 1))
    right = found(torch.cat([x, torch.full_like(x, math.nextafter(0.5, 1))], 1))
    for name in ("u", "u_t"):
        torch.testing.assert_close(left[name], right[name], rtol=0, atol=1e-12)


@pytest.mark.parametrize("constraint", ["hard", "soft"])
def test_the_most_accurate_setting_works_in_slabs(
    small: Callable[..., Any], constraint: str
) -> None:
    made = small(
        case="wave",
        constraint=constraint,
        points=400,
        max_steps=1000,
        network=lambda inputs, outputs: RandomFeatureNetwork(inputs, outputs, width=120),
        optimisers=lambda: {
            "search": FeatureSearch(features=60, rungs=6, steps=500),
            "projection": VariableProjection(),
        },
        change=slabs(2),
    )
    run, outcome = made.train()
    assert outcome.stop_reason == "converged"
    assert run.progress.slab == 1
    assert outcome.error.relative_l2 < 1e-6


def test_a_run_that_ends_early_is_measured_on_the_whole(
    small: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    """What the first slab alone reaches is no error of the solution."""

    class Stop(Monitor):
        def step(self, record: StepRecord) -> None:
            if record.step == 3:
                os.kill(os.getpid(), signal.SIGINT)

    with caplog.at_level("WARNING"):
        run, outcome = small(max_steps=8, change=slabs(2), watchers=[Stop()]).train()
    assert "1 of 2 slabs of time are untrained" in caplog.text
    assert outcome.stop_reason == "SIGINT"
    assert run.progress.slab == 0
    assert outcome.error == run.accuracy.measure_all() != run.accuracy.measure()


def test_evaluation_and_metrics_are_of_the_whole(small: Callable[..., Any]) -> None:
    made = small(max_steps=4, change=slabs(2))
    metrics, code, _ = made.session()
    assert code == 0
    assert metrics is not None
    assert (metrics["time_slabs"], metrics["slab"]) == (2, 2)
    assert json.loads((made.directory / "metrics.json").read_text())["slab"] == 2
    again, code, printed = made.session(resume=True)
    assert (again, code) == (None, 0)
    assert "training.max_steps" in printed


def test_tensorboard_and_evaluation_know_the_slabs(small: Callable[..., Any]) -> None:
    made = small(max_steps=4, change=slabs(2))
    made.watchers = [TensorBoardMonitor(made.directory / "tensorboard", 1, "cpu")]
    run, _ = made.train()
    events = EventAccumulator(str(made.directory / "tensorboard"))
    events.Reload()
    assert [each.value for each in events.Scalars("slab")] == [1, 1, 2, 2]
    config = made.config()
    config.evaluate.quantities, config.evaluate.grid = ["u", "u_t"], 5
    saved = CheckpointFolder(made.directory / "checkpoints").load()
    where = evaluate_session(config, made.parts, made.directory, saved, Console(quiet=True))
    table = np.load(where)
    points = torch.stack([torch.tensor(table[name].ravel()) for name in ("x", "t")], dim=1)
    expected = run.network(points).detach()[:, 0].numpy()
    assert np.array_equal(table["u"].ravel(), expected)
