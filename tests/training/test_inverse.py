"""Unknown numbers and functions of the equation, trained with the network."""

import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from omegaconf import OmegaConf
from rich.console import Console
from torch import Tensor
from torch.func import jacrev

from pinnderiv.domains import SobolSampler
from pinnderiv.errors import CheckpointError, ConfigurationError
from pinnderiv.networks import MLP, RandomFeatureNetwork
from pinnderiv.problem_files import read_problem
from pinnderiv.problems import Problem, pde_problem
from pinnderiv.tables import read_columns
from pinnderiv.training.ansatz import Ansatz
from pinnderiv.training.checkpoint import CheckpointFolder
from pinnderiv.training.collocation import Collocation
from pinnderiv.training.console import print_summary
from pinnderiv.training.loop import train
from pinnderiv.training.loss import Loss
from pinnderiv.training.loss_objective import LossObjective
from pinnderiv.training.monitor import Monitor, StepRecord
from pinnderiv.training.optimisers import (
    LBFGS,
    Adam,
    FeatureSearch,
    GaussNewtonKrylov,
    LevenbergMarquardt,
    NaturalGradient,
    Optimiser,
    SelfScaled,
    VariableProjection,
)
from pinnderiv.training.session import evaluate_session
from pinnderiv.training.setup import metrics_of
from pinnderiv.training.slabs import TimeSlabs
from pinnderiv.training.unknowns import Unknowns

CONF = Path(__file__).resolve().parents[2] / "conf" / "problem"
GRID = [[x / 4, t / 2] for x in range(1, 4) for t in (1, 2)]
HEAT: dict[str, Any] = {
    "coordinates": ["x", "t"],
    "time": [0, 1],
    "domain": {"interval": [0, 1]},
    "parameters": {"D": {"trainable": 1.0, "true": 0.3}},
    "equation": "u_t = D*u_xx + sin(x) + x",
    "exact": "x*t + sin(x)/0.3 + 1",
    "conditions": {
        "walls": {},
        "start": {"kind": "initial"},
        "data": {"kind": "observations", "points": GRID},
    },
}
# u_t = x there, which is no solution: the source makes it one
HEAT_SOURCE = HEAT | {"equation": "u_t = D*u_xx", "source": "exact"}
FUNCTION: dict[str, Any] = {
    "coordinates": ["x"],
    "domain": {"interval": [0, 1]},
    "parameters": {
        "q": {"network": {"width": 4, "depth": 1, "positive": True}},
        "k": {"trainable": 0.5},
    },
    "equation": "d(q*u_x, x) + k*u = 1",
    "conditions": {
        "left": {"piece": "x_min", "value": 1},
        "right": {"kind": "neumann", "piece": "x_max", "value": 0.5},
        "data": {"kind": "observations", "points": [[0.2], [0.7]], "values": [1.1, 1.3]},
    },
}
# k occurs in the equation and in a condition, h in a condition alone
TIED: dict[str, Any] = {
    "coordinates": ["x"],
    "domain": {"interval": [0, 1]},
    "parameters": {"k": {"trainable": 0.5, "true": 1.0}, "h": {"trainable": 2.0, "true": 3.0}},
    "equation": "k*u_xx + u**2 = 1",
    "conditions": {
        "left": {"piece": "x_min", "value": 1},
        "right": {"kind": "relation", "piece": "x_max", "equation": "k*u_n + h*u = h**2"},
    },
}
INVERSE = {"number": HEAT, "function": FUNCTION, "tied": TIED}


def small_net(inputs: int, outputs: int, **choices: Any) -> MLP:
    return MLP(inputs, outputs, width=5, depth=1, **choices)


def objective_of(
    problem: Problem,
    constraint: str = "auto",
    dtype: torch.dtype = torch.float64,
    network: Callable[..., Any] = small_net,
    points: int = 12,
) -> LossObjective:
    torch.manual_seed(3)
    ansatz = Ansatz(problem, network, constraint)
    ansatz.u.to(dtype)
    Unknowns(problem).to(dtype)
    counts = dict.fromkeys(("interior", "walls", "initial"), points)
    collocation = Collocation(problem, ansatz, SobolSampler, counts, 0, dtype=dtype)
    return LossObjective(Loss(problem, ansatz, {}), collocation)


def differences(objective: LossObjective) -> Tensor:
    """The Jacobian by central differences, with the parameters put where training puts them."""
    origin, columns = objective.vector(), []
    for k in range(objective.size):
        ends = []
        for sign in (1, -1):
            moved = origin.clone()
            moved[k] += sign * 1e-5
            objective.set_vector(moved)
            with torch.no_grad():
                ends.append(torch.cat(list(objective.loss.scaled(points_of(objective)).values())))
        columns.append((ends[0] - ends[1]) / 2e-5)
    objective.set_vector(origin)
    return torch.stack(columns, dim=1)


def points_of(objective: LossObjective) -> Any:
    return objective.collocation.points


@pytest.mark.parametrize("constraint", ["hard", "soft"])
@pytest.mark.parametrize("name", INVERSE)
def test_the_jacobian_has_columns_for_the_unknowns(name: str, constraint: str) -> None:
    objective = objective_of(pde_problem(**INVERSE[name]), constraint)
    unknown = {id(each) for each in objective.loss.unknowns.parameters()}
    own = [id(each) in unknown for each in objective.parameters for _ in range(each.numel())]
    found = objective.linearise()
    expected = jacrev(objective.residuals)(objective.vector())
    assert torch.allclose(found.jacobian, expected, rtol=1e-9, atol=1e-10)
    measured = differences(objective)
    assert torch.allclose(found.jacobian, measured, rtol=1e-6, atol=1e-6)
    assert bool((measured[:, own].abs().amax(dim=0) > 1e-6).all())
    evaluation = objective.evaluate()
    gradient = 2 * found.jacobian.mT @ found.residual
    assert torch.allclose(evaluation.gradient, gradient, rtol=1e-9, atol=1e-10)
    assert torch.allclose(evaluation.loss, found.residual.square().sum(), rtol=1e-12)
    assert torch.allclose(objective.residuals(objective.vector()), found.residual, rtol=1e-12)


def exact_in(problem: Problem) -> Ansatz:
    """The exact solution in the place of all of u."""
    ansatz = Ansatz(problem, small_net, "hard")
    assert ansatz.v is ansatz.u

    class Exact(torch.nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return problem.exact(x)

    ansatz.u = ansatz.v = Exact()
    return ansatz


@pytest.mark.parametrize("values", [HEAT, HEAT_SOURCE], ids=["text", "source: exact"])
def test_the_residual_vanishes_at_the_true_value_and_nowhere_else(values: dict[str, Any]) -> None:
    """The lift's part of the equation moves with the unknown, and is not what it was at first."""
    problem = pde_problem(**values)
    ansatz = exact_in(problem)
    counts = dict.fromkeys(("interior", "walls", "initial"), 20)
    points = Collocation(problem, ansatz, SobolSampler, counts, 0).points
    loss = Loss(problem, ansatz, {})

    def largest() -> float:
        with torch.no_grad():
            return max(float(each.abs().max()) for each in loss(points).values())

    assert largest() > 0.1
    with torch.no_grad():
        problem.equation.trainable["D"].fill_(0.3)
    assert largest() < 1e-12


def test_a_source_for_the_exact_solution_needs_true_values() -> None:
    for unknown in ({"trainable": 1.0}, {"network": {"width": 4, "depth": 1}}):
        with pytest.raises(ConfigurationError, match=r"source: exact .* true value of D"):
            pde_problem(**HEAT_SOURCE | {"parameters": {"D": unknown}})


def test_an_unknown_of_a_condition_alone_is_one() -> None:
    assert Unknowns(pde_problem(**TIED)).estimates() == {"k": 0.5, "h": 2.0}
    assert Unknowns(pde_problem(**TIED)).true == {"k": 1.0, "h": 3.0}
    parameters = TIED["parameters"] | {"m": {"trainable": 1.0}}
    with pytest.raises(ConfigurationError, match=r"parameters\.m"):
        pde_problem(**TIED | {"parameters": parameters})


def inverse_run(
    small: Callable[..., Any], values: dict[str, Any], optimisers: Any, **choices: Any
) -> Any:
    """A small run of a problem out of a mapping, which is built anew wherever the run is."""
    run = small(**choices)
    parts = run.parts
    run.parts = lambda: replace(parts(), problem=pde_problem(**values), optimisers=optimisers)
    return run


def test_a_file_says_true_without_quotes(tmp_path: Path) -> None:
    """YAML reads that key as a switch."""
    file = tmp_path / "line.yaml"
    file.write_text(
        "coordinates: [x]\ndomain: {interval: [0, 1]}\nequation: D*u_xx = 1\n"
        "parameters: {D: {trainable: 1.0, true: 0.3}}\nconditions: {walls: {value: 0}}\n"
    )
    values: Any = OmegaConf.to_container(read_problem(file))
    problem = pde_problem(**{k: v for k, v in values.items() if not k.startswith("_")})
    assert problem.equation.true == {"D": 0.3}
    parameters = {"D": {True: 0.3, "trainable": 1.0, "true": 0.4}}
    # what the command line adds counts
    assert pde_problem(**LINE | {"parameters": parameters}).equation.true == {"D": 0.4}


OPTIMISERS: dict[str, Callable[[], Optimiser]] = {
    "adam": lambda: Adam(lr=2e-2),
    "lbfgs": lambda: LBFGS(history=10),
    "self_scaled": SelfScaled,
    "levenberg_marquardt": LevenbergMarquardt,
    # with less damping the first steps are short ones
    "natural_gradient": lambda: NaturalGradient(damping=1e-6),
    "gauss_newton_krylov": GaussNewtonKrylov,
}
LINE = {
    "coordinates": ["x"],
    "domain": {"interval": [0, 1]},
    "parameters": {"D": {"trainable": 1.0, "true": 0.3}},
    "equation": "D*u_xx + u_x = 1.6 + 2*x",
    "exact": "x**2 + x",
    "conditions": {"walls": {}, "data": {"kind": "observations", "points": [[0.3], [0.6]]}},
}


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("name", OPTIMISERS)
def test_every_optimiser_finds_it(small: Callable[..., Any], name: str, dtype: str) -> None:
    steps = {"adam": 500, "lbfgs": 150, "self_scaled": 150}.get(name, 25)
    optimisers = {name: OPTIMISERS[name]()}
    built, _ = inverse_run(small, LINE, optimisers, dtype=dtype, max_steps=steps).train()
    found = built.objective.loss.unknowns.estimates()["D"]
    assert built.objective.loss.unknowns[0].numbers.D.dtype == getattr(torch, dtype)
    assert found == pytest.approx(0.3, abs=2e-2 if name == "adam" else 1e-3)


class Seen(Monitor):
    def __init__(self) -> None:
        self.weights: list[dict[str, float]] = []

    def step(self, record: StepRecord) -> None:
        self.weights.append(dict(record.weights))


def test_the_estimate_is_reported(small: Callable[..., Any]) -> None:
    seen = Seen()
    run = inverse_run(small, LINE, {"lbfgs": LBFGS()}, watchers=[seen], max_steps=6)
    built, history = run.build()
    outcome = train(built)
    built.monitor.close()
    value = built.objective.loss.unknowns.estimates()["D"]
    # the curves of TensorBoard have these names
    assert seen.weights[-1] == {"estimate/D": value}
    assert len({each["estimate/D"] for each in seen.weights}) > 3
    steps, column = history.column("estimate/D")
    assert steps == [1, 2, 3, 4, 5, 6] and column[-1] == value
    metrics = metrics_of(built, outcome, built.accuracy._parts[0].ansatz.problem, 0.0)
    assert metrics["estimates"] == {"D": {"value": value, "true": 0.3}}
    out = io.StringIO()
    print_summary(metrics, run.directory, Console(file=out, width=200))
    assert f"{value:.6g}, true value 0.3" in out.getvalue()


def unknowns_of(built: Any) -> dict[str, Tensor]:
    return dict(built.objective.loss.unknowns.state_dict())


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("name", [*OPTIMISERS])
def test_a_resumed_run_is_the_uninterrupted_one(
    small: Callable[..., Any], name: str, dtype: str
) -> None:
    for values in (HEAT, FUNCTION):

        def run(place: str, steps: int, values: dict[str, Any] = values) -> Any:
            choices = {"dtype": dtype, "max_steps": steps, "points": 16, "name": place}
            return inverse_run(small, values, {name: OPTIMISERS[name]()}, **choices)

        whole, outcome = run(f"whole{len(values)}", 4).train()
        parts = run(f"parts{len(values)}", 2)
        parts.train()
        parts.max_steps = 4
        resumed, again = parts.resume()
        before, after = unknowns_of(whole), unknowns_of(resumed)
        assert before and before.keys() == after.keys()
        assert all(torch.equal(before[key], after[key]) for key in before)
        assert again.loss == outcome.loss


def test_the_checkpoint_is_of_the_same_unknowns(small: Callable[..., Any]) -> None:
    inverse_run(small, LINE, {"adam": Adam()}).train()
    known = LINE | {"parameters": {"D": 0.3}}
    with pytest.raises(CheckpointError, match=r"numbers\.D"):
        inverse_run(small, known, {"adam": Adam()}).resume()


@pytest.mark.parametrize("optimiser", [VariableProjection, FeatureSearch])
def test_optimisers_for_the_output_layer_refuse(optimiser: Callable[[], Optimiser]) -> None:
    def network(inputs: int, outputs: int) -> RandomFeatureNetwork:
        return RandomFeatureNetwork(inputs, outputs, 40)

    linear = TIED | {"equation": "k*u_xx + u = 1"}
    linear["conditions"] = TIED["conditions"] | {
        "right": {"kind": "relation", "piece": "x_max", "equation": "u_n + h*u = 1"}
    }
    only = linear | {"equation": "u_xx + u = 1", "parameters": {"h": {"trainable": 2.0}}}
    for values in (HEAT, linear, only):
        objective = objective_of(pde_problem(**values), network=network)
        with pytest.raises(ConfigurationError, match="has unknown parameters: take optimiser"):
            optimiser().begin(objective)


def test_slabs_of_time_refuse() -> None:
    with pytest.raises(ConfigurationError, match=r"training\.time_slabs=2 .*unknown parameters"):
        TimeSlabs(pde_problem(**HEAT), small_net, "soft", 2)


def shipped(name: str) -> dict[str, Any]:
    values: Any = yaml.safe_load((CONF / f"{name}.yaml").read_text(encoding="utf-8"))
    del values["defaults"]
    return dict(values)


def test_the_shipped_example_finds_the_diffusivity(small: Callable[..., Any]) -> None:
    run = inverse_run(
        small, shipped("heat_inverse"), {"lm": LevenbergMarquardt()}, points=60, max_steps=80
    )
    built, outcome = run.train()
    assert built.objective.loss.unknowns.estimates()["D"] == pytest.approx(0.3, abs=1e-3)
    assert outcome.error.relative_l2 < 3e-3


def test_an_unknown_function_can_be_evaluated(small: Callable[..., Any]) -> None:
    run = inverse_run(small, FUNCTION, {"adam": Adam()}, points=16)
    built, _ = run.train()
    config = run.config()
    config.evaluate.quantities, config.evaluate.grid = ["u", "q", "u_x"], 5
    config.evaluate.output = str(tmp := run.directory / "found.csv")
    saved = CheckpointFolder(run.directory / "checkpoints").load()
    torch.manual_seed(99)
    evaluate_session(config, run.parts, run.directory, saved, Console(file=io.StringIO()))
    table = read_columns(tmp, ["x", "u", "q", "u_x"])
    x = torch.linspace(0, 1, 5, dtype=torch.float64)[:, None]
    q = built.objective.loss.unknowns.functions()["q"](x)
    assert torch.allclose(torch.from_numpy(table["q"]), q.detach()[:, 0], rtol=1e-12)
    u = built.network(x)
    assert torch.allclose(torch.from_numpy(table["u"]), u.detach()[:, 0], rtol=1e-12)
