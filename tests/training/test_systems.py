"""Systems, several outputs and partly hard conditions, through all of training."""

import io
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from torch import Tensor, nn
from torch.func import jacrev

from pinnderiv.derivatives import derivatives
from pinnderiv.domains import SobolSampler
from pinnderiv.errors import ConfigurationError
from pinnderiv.networks import MLP, HardConstraint, OutputConstraints
from pinnderiv.problems import Problem, pde_problem
from pinnderiv.schema.loss import BalanceKind
from pinnderiv.schema.points import AdaptiveKind
from pinnderiv.training.accuracy import Accuracy
from pinnderiv.training.ansatz import Ansatz
from pinnderiv.training.balancing import NTK, GradientNorm
from pinnderiv.training.causality import Causality
from pinnderiv.training.collocation import Collocation
from pinnderiv.training.figures import solution_figures
from pinnderiv.training.loss import EQUATION, Loss
from pinnderiv.training.loss_objective import LossObjective
from pinnderiv.training.optimisers import LBFGS
from pinnderiv.training.optimisers.linear_part import LinearPart

CONF = Path(__file__).resolve().parents[2] / "conf" / "problem"


def shipped(name: str) -> dict[str, Any]:
    values: Any = yaml.safe_load((CONF / f"{name}.yaml").read_text(encoding="utf-8"))
    del values["defaults"]
    return dict(values)


BOX = {"box": {"lower": [0, 0], "upper": [1, 2]}}
PROBLEMS: dict[str, dict[str, Any]] = {
    name: shipped(name) for name in ("kovasznay", "maxwell", "plate", "damped_oscillator")
} | {
    # walls with functions of their own, one that is free, and one with a flux
    "mixed": {
        "coordinates": ["x", "y"],
        "domain": BOX,
        "equation": "laplacian(u) + u = x*y + 4 + x**2 + y**2 + exp(y)*2*x",
        "exact": "x*y + x**2 + y**2 + exp(y)*x",
        "conditions": {
            "left": {"piece": "x_min", "value": "y**2"},
            "bottom": {"piece": "y_min", "value": "x**2 + x"},
            "top": {"kind": "neumann", "piece": "y_max"},
            "right": {"kind": "robin", "piece": "x_max", "alpha": "1 + y", "beta": 2},
            "data": {"kind": "observations", "points": [[0.3, 0.4], [0.9, 1.1]]},
            "middle": {"kind": "neumann", "piece": "boundary", "where": "y > 1.5 and x > 0.5"},
        },
    },
    "mixed in time": {
        "coordinates": ["x", "y", "t"],
        "domain": BOX,
        "time": [0, 1],
        "equation": "u_tt = laplacian(u) + x*t",
        "source": "exact",
        "exact": "exp(-t)*(1 + y + x**2) + y*t + sin(x)",
        "conditions": {
            "left": {"piece": "x_min", "value": "exp(-t)*(1 + y) + y*t"},
            "bottom": {"piece": "y_min", "value": "exp(-t)*(1 + x**2) + sin(x)"},
            "top": {"kind": "neumann", "piece": "y_max"},
            "right": {"kind": "robin", "piece": "x_max", "alpha": 1},
            "start": {"kind": "initial", "value": "1 + y + x**2 + sin(x)"},
            "speed": {"kind": "velocity", "value": "y - 1 - y - x**2"},
        },
    },
    # time alone, given at its ends
    "ends of time": {
        "coordinates": ["t"],
        "outputs": ["a", "b"],
        "time": [0.5, 2],
        "equation": ["a_tt + t*b", "b_t - a_t"],
        "source": "exact",
        "exact": ["exp(t)", "t*sin(t)"],
        "conditions": {
            "first": {"kind": "initial", "output": "a"},
            "last": {"piece": "final", "output": "a"},
            "only": {"piece": "final", "output": "b"},
        },
    },
    # one output periodic and given across, the other free across
    "periodic system": {
        "coordinates": ["x", "y", "t"],
        "outputs": ["u", "v"],
        "domain": {"box": {"lower": [0, 0], "upper": ["2*pi", 1]}},
        "time": [0, 1],
        "equation": ["u_t = laplacian(u) + v", "v_t = u_x - v_yy"],
        "source": "exact",
        "exact": ["sin(x)*(1 + y) + t", "cos(x)*y**2 + t*y"],
        "conditions": {
            "wrap": {"kind": "periodic", "axis": "x"},
            "low": {"piece": "y_min", "output": "u", "value": "sin(x) + t"},
            "high": {"piece": "y_max", "output": "u", "value": "2*sin(x) + t"},
            "flux_low": {"kind": "neumann", "piece": "y_min", "output": "v"},
            "flux_high": {"kind": "neumann", "piece": "y_max", "output": "v"},
            "start": {"kind": "initial"},
        },
    },
}
# the lift is a part of what is differentiated in every step
PROBLEMS["nonlinear"] = PROBLEMS["mixed in time"] | {
    "equation": "u_tt + u*u_x = laplacian(u) + x*t + D*u_t",
    "parameters": {"D": 0.5},
}
LINEAR = [name for name in PROBLEMS if name not in ("kovasznay", "nonlinear")]


def net(inputs: int, outputs: int, periodic_axes: tuple[int, ...] = ()) -> MLP:
    return MLP(inputs, outputs, width=5, depth=2, periodic_axes=periodic_axes)


def ansatz_of(name: str, constraint: str) -> Ansatz:
    torch.manual_seed(4)
    made = Ansatz(pde_problem(**PROBLEMS[name]), net, constraint)
    made.u.double()
    return made


def points_for(ansatz: Ansatz, count: int = 9) -> Collocation:
    counts = dict.fromkeys(("interior", "walls", "initial"), count)
    return Collocation(ansatz.problem, ansatz, SobolSampler, counts, 0)


def objective_of(name: str, constraint: str, **choices: Any) -> LossObjective:
    ansatz = ansatz_of(name, constraint)
    weights = {each.name: 1.0 + k for k, each in enumerate(ansatz.problem.conditions)}
    return LossObjective(Loss(ansatz.problem, ansatz, weights, **choices), points_for(ansatz))


@pytest.mark.parametrize("constraint", ["hard", "soft"])
@pytest.mark.parametrize("name", PROBLEMS)
def test_the_jacobian_is_that_of_the_residuals(name: str, constraint: str) -> None:
    objective = objective_of(name, constraint)
    found = objective.linearise()
    expected = jacrev(objective.residuals)(objective.vector())
    size = float(expected.abs().max())
    assert torch.allclose(found.jacobian, expected, rtol=1e-9, atol=1e-12 * size)
    assert torch.allclose(found.residual, objective.residuals(objective.vector()), rtol=1e-10)
    evaluation = objective.evaluate()
    assert torch.allclose(found.residual.square().sum(), evaluation.loss, rtol=1e-10)
    gradient = 2 * found.jacobian.mT @ found.residual
    assert torch.allclose(gradient, evaluation.gradient, rtol=1e-8, atol=1e-10 * size)
    for term, value in evaluation.terms.items():
        assert torch.allclose(found.terms[term], value, rtol=1e-10)


@pytest.mark.parametrize("constraint", ["hard", "soft"])
def test_causal_weights_are_in_all_rows_of_a_system(constraint: str) -> None:
    ansatz = ansatz_of("maxwell", constraint)
    causality = Causality(ansatz.problem, 0.7, chunks=4)
    loss = Loss(ansatz.problem, ansatz, {EQUATION: 3.0}, causality=causality)
    objective = LossObjective(loss, points_for(ansatz, 40))
    points = objective.collocation.points
    loss.update(0, points)
    assert float(causality.weights.max()) == 1.0 and float(causality.weights.min()) < 0.9
    residual = ansatz.problem.equation.residual(ansatz.v, points.interior, points.source)
    chunk = (points.interior[:, -1] * 4).long().clamp(max=3)
    rows = residual.square().mean(dim=1)
    own = torch.stack([rows[chunk == k].mean() for k in range(4)])
    weights = torch.exp(-0.7 * (own.cumsum(0) - own)).detach()
    assert torch.allclose(causality.weights, weights, rtol=1e-10)
    expected = (residual.square() * weights[chunk][:, None]).mean()
    evaluation, found = objective.evaluate(), objective.linearise()
    assert torch.allclose(evaluation.terms[EQUATION], expected, rtol=1e-12)
    assert torch.allclose(found.residual.square().sum(), evaluation.loss, rtol=1e-12)
    gradient = 2 * found.jacobian.mT @ found.residual
    assert torch.allclose(gradient, evaluation.gradient, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", ["kovasznay", "maxwell", "periodic system"])
def test_balances_see_every_equation(name: str) -> None:
    objective = objective_of(name, "soft")
    loss, points = objective.loss, objective.collocation.points
    names = list(loss.names)
    network = [each for each in loss.network.parameters() if each.requires_grad]
    ntk = NTK().sizes(loss, points, names)
    norms = GradientNorm().sizes(loss, points, names)
    for term, part in loss.parts(points).items():
        residual = part.residual(loss.network, part.points, part.known).flatten()
        rows = []
        for each in residual:
            slopes = torch.autograd.grad(each, network, retain_graph=True, allow_unused=True)
            rows.append(sum(float(g.square().sum()) for g in slopes if g is not None))
        assert ntk[term] == pytest.approx(sum(rows) / len(rows), rel=1e-9)
        slopes = torch.autograd.grad(residual.square().mean(), network, allow_unused=True)
        square = sum(float(g.square().sum()) for g in slopes if g is not None)
        assert norms[term] == pytest.approx(math.sqrt(square), rel=1e-9)


@pytest.mark.parametrize("constraint", ["hard", "soft"])
@pytest.mark.parametrize("name", LINEAR)
def test_the_linear_part_is_the_residual_of_the_output_layer(name: str, constraint: str) -> None:
    objective = objective_of(name, constraint)
    points = objective.collocation.points
    part = LinearPart(objective.loss, points)
    part.require_affine(points)
    own = {id(each) for each in part.layer.parameters()}
    mine = [id(each) in own for each in objective.parameters for _ in range(each.numel())]
    jacobian = jacrev(objective.residuals)(objective.vector())[:, mine]
    matrix, target = part.matrix(points), part.target(points)
    size = float(jacobian.abs().max())
    assert torch.allclose(matrix, jacobian, rtol=1e-9, atol=1e-12 * size)
    residual = objective.residuals(objective.vector())
    assert torch.allclose(matrix @ part.coefficients - target, residual, rtol=1e-8, atol=1e-10)


class Rest(nn.Module):
    """The exact solution less what the ansatz has of it already."""

    def __init__(self, problem: Problem, ansatz: Ansatz) -> None:
        super().__init__()
        self.problem, self.given = problem, ansatz._given()

    def forward(self, x: Tensor) -> Tensor:
        exact = self.problem.exact(x)
        return exact if self.given is None else exact - self.given(x)


@pytest.mark.parametrize("constraint", ["hard", "soft"])
@pytest.mark.parametrize("name", PROBLEMS)
def test_no_residual_is_left_of_the_exact_solution(name: str, constraint: str) -> None:
    """Right-hand sides and data are those of the trained part, whatever is built in."""
    ansatz = ansatz_of(name, constraint)
    whole = ansatz.v is ansatz.u
    ansatz.v = Rest(ansatz.problem, ansatz)
    if whole:
        ansatz.u = ansatz.v
    collocation = points_for(ansatz, 30)
    found = Loss(ansatz.problem, ansatz, {})(collocation.points)
    for term, residual in found.items():
        assert float(residual.detach().abs().max()) < 1e-9, term
    x = collocation.points.interior
    assert torch.allclose(ansatz.known(x) + ansatz.v(x), ansatz.problem.exact(x), rtol=1e-12)


MET = {
    "kovasznay": {"walls_u", "walls_v", "walls_p"},
    "maxwell": {"walls", "start_E", "start_Hx", "start_Hy"},
    "plate": {"walls"},
    "damped_oscillator": {"start", "rest"},
    "ends of time": {"first", "last", "only"},
    "mixed": {"left", "bottom"},
    "mixed in time": {"left", "bottom", "start", "speed"},
    "nonlinear": {"left", "bottom", "start", "speed"},
    "periodic system": {"wrap", "wrap_1", "low", "high", "start_u", "start_v"},
}


@pytest.mark.parametrize("name", PROBLEMS)
def test_what_is_built_in_holds(name: str) -> None:
    """Whatever the network: the conditions that are no terms of the loss are met to rounding."""
    ansatz = ansatz_of(name, "auto")
    problem = ansatz.problem
    left = {each.name for each in ansatz.conditions}
    assert {each.name for each in problem.conditions} - left == MET[name]
    assert isinstance(ansatz.u, HardConstraint | OutputConstraints)
    for each in problem.conditions:
        if each.name in MET[name]:
            x = problem.domain.sample_piece(each.piece, SobolSampler(1), 20)
            residual = each.residual(ansatz.u, x, each.data(x))
            assert float(residual.detach().abs().max()) < 1e-10, each.name


@pytest.mark.parametrize("name", ["mixed", "mixed in time", "periodic system"])
def test_derivatives_of_the_lift_are_right_on_the_walls(name: str) -> None:
    """Of the lift of a function that it can repeat, up to the very walls and corners."""
    ansatz = ansatz_of(name, "hard")
    given: Any = ansatz.u if isinstance(ansatz.u, HardConstraint) else ansatz.u.parts[0]
    x = ansatz.problem.domain.grid(3)
    step = 1e-5
    for column in range(x.shape[1]):
        ahead, behind = x.clone(), x.clone()
        ahead[:, column] += step
        behind[:, column] -= step
        measured = (given.lift(ahead) - given.lift(behind)) / (2 * step)
        held = x.clone().requires_grad_()
        (slope,) = torch.autograd.grad(given.lift(held).sum(), held)
        assert torch.allclose(slope[:, column, None], measured, rtol=1e-7, atol=1e-7)


def test_errors_are_told_apart_by_output() -> None:
    ansatz = ansatz_of("kovasznay", "soft")
    problem = ansatz.problem
    factors = torch.tensor([1.01, 0.98, 1.5], dtype=torch.float64)

    class Off(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return problem.exact(x) * factors

    ansatz.u = ansatz.v = Off()
    found = Accuracy(problem, ansatz, 0, torch.float64, "cpu").by_output()
    assert found == pytest.approx({"u": 0.01, "v": 0.02, "p": 0.5})


CONTRADICTIONS: dict[str, tuple[dict[str, Any], str]] = {
    "a corner": (
        {"left": {"piece": "x_min", "value": 1}, "bottom": {"piece": "y_min", "value": 0}},
        "x_min and y_min",
    ),
    "values that do not repeat": (
        {"wrap": {"kind": "periodic", "axis": "x"}, "low": {"piece": "y_min", "value": "x"}},
        "differ between x_min and x_max",
    ),
}


@pytest.mark.parametrize("name", CONTRADICTIONS)
def test_what_cannot_all_hold_is_soft_or_refused(name: str) -> None:
    conditions, words = CONTRADICTIONS[name]
    rest = {"top": {"kind": "neumann", "piece": "y_max", "value": 0}}
    rest |= {} if "wrap" in conditions else {"right": {"piece": "x_max", "value": 1}}
    problem = pde_problem(
        coordinates=["x", "y"],
        domain=BOX,
        equation="laplacian(u) = 1",
        conditions={**conditions, **rest},
    )
    found = Ansatz(problem, net, "auto")
    assert not found.hard and words in found.why_soft
    assert [each.name for each in found.conditions] == [each.name for each in problem.conditions]
    with pytest.raises(ConfigurationError, match=f"constraint=hard cannot .* {words}"):
        Ansatz(problem, net, "hard")


def test_a_value_on_all_walls_is_left_to_the_loss_where_some_are_periodic() -> None:
    """Nothing is built in on those: the condition is met on the others alone."""
    problem = pde_problem(
        coordinates=["x", "y"],
        domain=BOX,
        equation="laplacian(u) = 1",
        conditions={
            "wrap": {"kind": "periodic", "axis": "x"},
            "walls": {"piece": "boundary", "value": 0},
        },
    )
    assert [each.name for each in Ansatz(problem, net, "hard").conditions] == ["walls"]


HOLE = {
    "difference": [
        {"box": {"lower": [0, 0], "upper": [1, 1]}},
        {"ball": {"center": [0.5, 0.5], "radius": 0.2, "name": "hole"}},
    ]
}
HOLED: dict[str, Any] = {
    "coordinates": ["x", "y"],
    "outputs": ["u", "v"],
    "domain": HOLE,
    "equation": ["laplacian(u) + v = x", "laplacian(v) - u = 0"],
    "source": "exact",
    "exact": ["x*y", "x + y**2"],
    "conditions": {
        "walls": {"piece": "walls"},
        "hole_u": {"kind": "neumann", "piece": "hole", "output": "u"},
        "hole_v": {"kind": "robin", "piece": "hole", "output": "v", "alpha": 2},
    },
}


def holed(small: Callable[..., Any], place: str, steps: int, change: Any) -> Any:
    run = small(place, resample_every=1, max_steps=steps, points=40, change=change)
    parts = run.parts
    run.parts = lambda: replace(
        parts(), problem=pde_problem(**HOLED), optimisers={"lbfgs": LBFGS(history=3)}
    )
    run.constraint = "soft"
    return run


@pytest.mark.parametrize("rule", [None, "rad", "rar", "r3"])
@pytest.mark.parametrize("balance", ["none", "ntk"])
def test_resuming_leaves_no_trace_on_a_domain_with_a_hole(
    small: Callable[..., Any], rule: str | None, balance: str
) -> None:
    def change(config: Any) -> None:
        if rule is not None:
            config.sampler.adaptive = AdaptiveKind(rule)
        config.loss.balance, config.loss.balance_every = BalanceKind(balance), 1

    whole, outcome = holed(small, "whole", 4, change).train()
    parts = holed(small, "parts", 2, change)
    parts.train()
    parts.max_steps = 4
    resumed, again = parts.resume()
    at = resumed.objective.collocation.points
    assert len(at.interior) >= 40
    assert bool(pde_problem(**HOLED).domain.contains(at.interior).all())
    assert torch.equal(at.interior, whole.objective.collocation.points.interior)
    for place, found in at.pieces.items():
        assert torch.equal(found, whole.objective.collocation.points.pieces[place])
    left, right = whole.network.state_dict(), resumed.network.state_dict()
    assert all(torch.equal(left[key], right[key]) for key in left)
    assert (again.loss, again.error) == (outcome.loss, outcome.error)


def test_figures_of_several_outputs_leave_the_hole_empty() -> None:
    problem = pde_problem(**HOLED)
    figures = solution_figures(problem, problem.exact, torch.float64, "cpu")
    assert set(figures) == {"solution_u", "error_u", "solution_v", "error_v"}
    for column, name in enumerate(problem.outputs):
        panels = figures[f"solution_{name}"].axes[:2]
        for panel in panels:
            shown = panel.collections[0].get_array()
            empty = int(np.ma.getmaskarray(shown).sum() + np.isnan(np.ma.filled(shown, 0)).sum())
            assert 0.1 < empty / shown.size < 0.15  # the hole has π/25 of the square
        limits = figures[f"solution_{name}"].axes[0].collections[0].get_clim()
        assert limits == pytest.approx([(0.0, 1.0), (0.0, 2.0)][column])


@pytest.mark.filterwarnings("error")
def test_a_plane_that_misses_the_domain_is_drawn_empty() -> None:
    """The middle of a split box lies between its halves."""
    core = {"box": {"lower": [-0.9, -0.9, -0.1], "upper": [0.9, 0.9, 0.1], "name": "core"}}
    problem = pde_problem(
        coordinates=["x", "y", "z"],
        domain={"difference": [{"box": {"lower": -0.5, "upper": 0.5}}, core]},
        equation="laplacian(u) = 0",
        exact="x",
        conditions={"all": {"piece": "boundary"}},
    )
    figures = solution_figures(problem, problem.exact, torch.float64, "cpu")
    assert set(figures) == {"solution", "error"}
    for figure in figures.values():
        figure.savefig(io.BytesIO())


@pytest.mark.parametrize("method", ["taylor", "nested", "reverse"])
def test_every_engine_goes_through_walls_of_their_own(method: str) -> None:
    ansatz = ansatz_of("nonlinear", "hard")
    equation = ansatz.problem.equation
    x = ansatz.problem.domain.grid(3)
    found = equation.residual(ansatz.u, x, method=method)
    d = derivatives(
        ansatz.u, ["u", "u_tt", "u_x", "u_xx", "u_yy", "u_t"], ("x", "y", "t"), method="reverse"
    )(x)
    left = d["u_tt"] + d["u"] * d["u_x"] - d["u_xx"] - d["u_yy"] - 0.5 * d["u_t"]
    expected = left - x[:, 0] * x[:, 2]
    assert torch.allclose(found[:, 0], expected.reshape(-1), rtol=1e-9, atol=1e-10)
