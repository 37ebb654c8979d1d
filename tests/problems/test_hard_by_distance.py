"""What is built into the network on domains that are no box."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from pinnderiv.domains import SobolSampler
from pinnderiv.errors import ArgumentError, ConfigurationError
from pinnderiv.networks import MLP, DistanceConstraint
from pinnderiv.problems import Condition, Problem, pde_problem
from pinnderiv.training.ansatz import Ansatz
from pinnderiv.training.slabs import TimeSlabs

DISC = {"ball": {"radius": 1}}
ANNULUS = {
    "difference": [{"ball": {"radius": 2, "name": "out"}}, {"ball": {"radius": 1, "name": "in"}}]
}
PLATE = {"difference": [{"box": {"lower": [-1, -1], "upper": [1, 1]}}, {"ball": {"radius": 0.4}}]}
POLYGON = {"polygon": {"vertices": [[0, 0], [2, 0], [2, 1], [1, 1], [1, 2], [0, 2]]}}


def problem(domain: Any, conditions: Any, **changes: Any) -> Problem:
    arguments = {"coordinates": ["x", "y"], "equation": "laplacian(u) = 1"} | changes
    return pde_problem(domain=domain, conditions=conditions, **arguments)


def drum(**conditions: Any) -> Problem:
    rest = {
        "start": {"kind": "initial", "value": "(1 - x**2 - y**2)*cos(x)"},
        "rest": {"kind": "velocity", "value": 0},
    }
    return problem(
        DISC,
        {"rim": {"value": 0}, **rest, **conditions},
        coordinates=["x", "y", "t"],
        time=[1, 3],
        equation="u_tt = laplacian(u)",
    )


def met(given: Problem, output: int = 0) -> tuple[str, ...]:
    part = given.hard(output)
    assert part is not None and part.form == "distance"
    return part.met


def built(given: Problem, output: int = 0) -> DistanceConstraint:
    torch.manual_seed(0)
    part = given.hard(output)
    assert part is not None
    return DistanceConstraint(MLP(given.domain.dim, 1), **part.arguments).double()


@pytest.mark.parametrize(
    ("domain", "conditions"),
    [
        (DISC, {"rim": {"value": "sin(x)"}}),
        (ANNULUS, {"a": {"piece": "in", "value": "x*y"}, "b": {"piece": "out", "value": "1 + y"}}),
        (PLATE, {"a": {"piece": "walls", "value": "x"}, "b": {"piece": "sphere", "value": 2}}),
        (PLATE, {"all": {"value": "x"}, "hole": {"piece": "sphere", "value": 2}}),
        (POLYGON, {"all": {"value": "x - y"}}),
        (
            POLYGON,
            {"floor": {"piece": "edge_0", "value": "x"}, "west": {"piece": "edge_5", "value": "y"}}
            | {
                f"flux_{k}": {"kind": "neumann", "piece": f"edge_{k}", "value": 0}
                for k in (1, 2, 3, 4)
            },
        ),
    ],
)
def test_every_value_is_met(domain: Any, conditions: Any) -> None:
    given = problem(domain, conditions)
    values = [each for each in given.conditions if type(each) is Condition]
    assert set(met(given)) == {each.name for each in values}
    u = built(given)
    pieces = {each.piece: each for each in values}
    # a condition on one piece says more of it than one on all of the boundary
    for name in given.domain.pieces:
        each = pieces.get(name, pieces.get("boundary"))
        if each is not None:
            x = given.domain.sample_piece(name, SobolSampler(3), 100)
            assert (u(x) - each.value(x)).abs().max() < 1e-11


def test_the_start_and_its_velocity_are_met() -> None:
    given = drum()
    assert met(given) == ("rim", "start", "rest")
    u = built(given)
    x = given.domain.sample_piece("initial", SobolSampler(0), 100).requires_grad_()
    found = u(x)
    (slope,) = torch.autograd.grad(found.sum(), x)
    assert (found - (1 - x[:, :1] ** 2 - x[:, 1:2] ** 2) * torch.cos(x[:, :1])).abs().max() < 1e-12
    assert slope[:, 2].abs().max() < 1e-12


@pytest.mark.parametrize("value", ["sin(3*t)*x", lambda x: torch.sin(3 * x[:, 2:]) * x[:, :1]])
def test_the_velocity_of_a_moving_boundary_is_met(value: Any) -> None:
    given = drum(
        rim={"value": value},
        start={"kind": "initial", "value": "sin(3)*x + (1 - x**2 - y**2)*y"},
        rest={"kind": "velocity", "value": "3*cos(3)*x + (1 - x**2 - y**2)*x"},
    )
    assert met(given) == ("rim", "start", "rest")
    u = built(given)
    x = given.domain.sample_piece("initial", SobolSampler(0), 100).requires_grad_()
    (slope,) = torch.autograd.grad(u(x).sum(), x)
    speed = 3 * torch.cos(torch.tensor(3.0, dtype=torch.float64)) * x[:, 0]
    speed = speed + (1 - x[:, 0] ** 2 - x[:, 1] ** 2) * x[:, 0]
    assert (slope[:, 2] - speed).abs().max() < 1e-11


def test_what_gives_no_values_stays_in_the_loss() -> None:
    given = problem(
        ANNULUS,
        {"a": {"piece": "in", "value": 1}, "b": {"kind": "neumann", "piece": "out", "value": 0}},
    )
    built_in = Ansatz(given, MLP, "hard")
    assert built_in.hard and [each.name for each in built_in.conditions] == ["b"]
    none = problem(DISC, {"a": {"kind": "robin", "alpha": 1, "value": 0}})
    assert none.hard(0) is None


def test_outputs_have_conditions_of_their_own() -> None:
    given = problem(
        ANNULUS,
        {
            "a": {"piece": "in", "output": "u", "value": "x"},
            "b": {"piece": "out", "output": "u", "value": 0},
            "c": {"piece": "out", "output": "v", "value": "y"},
            "d": {"kind": "neumann", "piece": "in", "output": "v", "value": 0},
        },
        outputs=["u", "v"],
        equation=["laplacian(u) = 1", "laplacian(v) = u"],
    )
    ansatz = Ansatz(given, MLP, "hard")
    assert ansatz.hard and [each.name for each in ansatz.conditions] == ["d"]
    u = ansatz.u.double()
    x = given.domain.sample_piece("out", SobolSampler(0), 50)
    assert (u(x) - torch.cat([0 * x[:, :1], x[:, 1:]], dim=1)).abs().max() < 1e-11
    x = given.domain.sample_piece("in", SobolSampler(0), 50)
    assert (u(x)[:, 0] - x[:, 0]).abs().max() < 1e-11


REFUSED: dict[str, tuple[Callable[[], Problem], str]] = {
    "values differ where pieces meet": (
        lambda: problem(POLYGON, {"a": {"value": 0}, "b": {"piece": "edge_1", "value": 1}}),
        "'[ab]' and '[ab]' differ where they meet",
    ),
    "no value inside": (
        lambda: problem(DISC, {"a": {"value": "log(x**2 + y**2 - 0.5)"}}),
        "'a' has no continuation",
    ),
    "far too large inside": (
        lambda: problem(DISC, {"a": {"value": "1/(x**2 + y**2)**4"}}),
        "'a' has no continuation",
    ),
    "the start": (lambda: drum(rim={"value": 0.5}), "differ where 'rim' and the start meet"),
    "the velocity": (
        lambda: drum(rest={"kind": "velocity", "value": 1}),
        "'rim' and the velocity at the start meet",
    ),
    "a predicate cuts": (
        lambda: problem(
            DISC, {"a": {"value": 0}, "b": {"piece": "sphere", "where": "x > 0", "value": 1}}
        ),
        "'b' holds where a predicate says, on a part of what 'a' is about",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_all_hold_is_refused(case: str) -> None:
    make, message = REFUSED[case]
    given = make()
    with pytest.raises(ArgumentError, match=message):
        given.hard(0)
    with pytest.raises(ConfigurationError, match=rf"constraint=hard cannot be used.*{message}"):
        Ansatz(given, MLP, "hard")
    assert not Ansatz(given, MLP, "auto").hard


def test_a_mesh_has_no_distance(tmp_path: Path) -> None:
    import numpy as np

    points = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], dtype=float)
    np.savez(tmp_path / "square.npz", points=points, cells=np.array([[0, 1, 2], [0, 2, 3]]))
    given = problem({"mesh": {"file": "square.npz"}}, {"a": {"value": 0}}, folder=str(tmp_path))
    with pytest.raises(ArgumentError, match="no smooth distance"):
        given.hard(0)


def test_the_arguments_are_not_those_of_a_box() -> None:
    with pytest.raises(ArgumentError, match="HardConstraint is for boxes"):
        problem(DISC, {"a": {"value": 0}}).constraint()


@pytest.mark.parametrize(
    ("domain", "conditions", "hard"),
    [
        (DISC, {"a": {"value": 0}}, True),
        (DISC, {"a": {"value": "log(2)"}}, True),
        (PLATE, {"a": {"piece": "walls", "value": 1}, "b": {"piece": "sphere", "value": 0}}, True),
        ({"polygon": {"vertices": [[0, 0], [2, 0], [0, 1]]}}, {"a": {"value": 0}}, True),
        # no constant, a corner that points inwards
        (DISC, {"a": {"value": "x"}}, False),
        (POLYGON, {"a": {"value": 0}}, False),
    ],
)
def test_auto_builds_in_what_is_smooth(domain: Any, conditions: Any, hard: bool) -> None:
    built_in = Ansatz(problem(domain, conditions), MLP, "auto")
    assert built_in.hard == hard
    assert hard or "constraint=hard builds them in" in built_in.why_soft


def test_auto_does_not_blend_values_that_meet() -> None:
    outside = {"ball": {"radius": 2, "name": "out"}}
    lens = {"intersection": [outside, {"half_space": {"point": [0, 0], "normal": [0, -1]}}]}
    given = problem(
        lens, {"a": {"piece": "out", "value": 0}, "b": {"piece": "plane", "value": "4 - x**2"}}
    )
    assert Ansatz(given, MLP, "hard").hard and not Ansatz(given, MLP, "auto").hard


@pytest.mark.parametrize(("value", "said"), [("x*y + 1", True), ("x*y + x**2 + y**2", False)])
def test_values_that_are_the_solution_are_warned_of(
    value: str, said: bool, caplog: pytest.LogCaptureFixture
) -> None:
    given = problem(DISC, {"a": {"value": value}}, exact="x*y + 1", source="exact")
    with caplog.at_level(logging.WARNING):
        Ansatz(given, MLP, "hard")
    assert said == any("the exact solution itself" in each.getMessage() for each in caplog.records)


def test_slabs_keep_the_boundary_and_join() -> None:
    torch.manual_seed(0)
    given = drum()
    u = TimeSlabs(given, MLP, "hard", 2).u.double()
    x = given.domain.sample_piece("sphere", SobolSampler(0), 100)
    assert u(x).abs().max() < 1e-12
    x = given.domain.sample(SobolSampler(0), 50)
    sides = []
    for time in (2.0 - 1e-9, 2.0 + 1e-9):
        x[:, 2] = time
        at = x.clone().requires_grad_()
        value = u(at)
        (slope,) = torch.autograd.grad(value.sum(), at)
        sides.append(torch.cat([value, slope[:, 2:]], dim=1))
    assert (sides[0] - sides[1]).abs().max() < 1e-7
    x[:, 2] = 2.5
    assert (u(x) - u(torch.cat([x[:, :2], 0 * x[:, 2:] + 1], dim=1))).abs().max() > 1e-3
