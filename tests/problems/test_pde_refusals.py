"""Problems that lack something, or say what cannot be: refused with the place and what to do."""

from typing import Any

import pytest

from pinnderiv.errors import PinnderivError
from pinnderiv.problems import pde_problem

HEAT = {
    "coordinates": ["x", "t"],
    "time": [0, 1],
    "domain": {"interval": [0, 1]},
    "equation": "u_t = u_xx",
    "conditions": {"walls": {"value": 0}, "start": {"kind": "initial", "value": 0}},
}
PLANE = {
    "coordinates": ["x", "y"],
    "domain": {"box": {"lower": 0, "upper": 1}},
    "equation": "laplacian(u) = 0",
    "conditions": {"walls": {"value": 0}},
}
DIFFUSION = {**HEAT, "equation": "u_t = nu*u_xx"}
START = {"start": {"kind": "initial", "value": 0}}
OSCILLATOR = {
    "coordinates": ["t"],
    "time": [0, 1],
    "equation": "u_tt + u = 0",
    "conditions": {**START, "rest": {"kind": "velocity", "value": 0}},
}
HOLES = {
    "difference": [
        {"box": {"lower": -1, "upper": 1, "name": "plate"}},
        {"ball": {"radius": 0.2, "name": "hole"}},
    ]
}


def refused(message: str, base: dict[str, Any], **changes: Any) -> None:
    with pytest.raises(PinnderivError, match=message):
        pde_problem(**{**base, **changes})


def test_the_problems_that_are_changed_here_are_sound() -> None:
    for base in (HEAT, PLANE, OSCILLATOR):
        pde_problem(**base)
    pde_problem(**{**DIFFUSION, "parameters": {"nu": 1}})
    both = {"plate": {"piece": "plate", "value": 0}, "hole": {"piece": "hole", "value": 0}}
    pde_problem(**{**PLANE, "domain": HOLES, "conditions": both})


@pytest.mark.parametrize(
    ("message", "changes"),
    [
        ("no condition for u at the start", {"conditions": {"w": {"value": 0}}}),
        ("no condition for u at the start", {"conditions": None}),
        ("no condition for u on x_min or x_max", {"conditions": START}),
        (
            "no condition for u on x_max",
            {"conditions": {**START, "a": {"piece": "x_min", "value": 0}}},
        ),
        ("no condition for u_t at the start", {"equation": "u_tt = u_xx"}),
        ("order 3 in t", {"equation": "u_ttt = u_xx"}),
        ("1 conditions on x_min and 1 on x_max, 4 are needed", {"equation": "u_t = u_xxxx"}),
        ("2 outputs .u, v. and 1 equation", {"outputs": ["u", "v"]}),
        ("no equation holds v", {"outputs": ["u", "v"], "equation": ["u_t = u_xx", "u_t = u_x"]}),
        ("t must be the last", {"coordinates": ["t", "x"]}),
        ("the coordinate t and no time", {"time": None}),
        ("time and no coordinate t", {"coordinates": ["x"]}),
        ("domain is a shape in space, .* remove domain", {"coordinates": ["t"]}),
        (r"domain is missing: .* of space \(x\).* Only a problem in t alone", {"domain": None}),
        ("must differ", {"coordinates": ["x", "x"]}),
        (r"coordinates and outputs share \{'x'\}", {"outputs": ["x"]}),
        ("time.*start before it ends", {"time": [1, 0]}),
        (r"time\[1\] must be a finite number; got nan", {"time": [0, float("nan")]}),
        (r"time\[1\].*depends on x", {"time": [0, "x"]}),
        ("domain must name one shape", {"domain": "box"}),
        ("domain has no key 'intervall'. Did you mean 'interval'", {"domain": {"intervall": []}}),
        (r"interval must be \[lower, upper\]", {"domain": {"interval": [0, 1, 2]}}),
        ("interval.1. must be a finite number", {"domain": {"interval": [0, float("inf")]}}),
        ("equation must be text", {"equation": 3}),
        ("'u_xz' at column 7", {"equation": "u_t = u_xz"}),
        ("equation: unexpected character", {"equation": "__import__('os') + u_t"}),
        ("no differential equation", {"equation": "u = 0"}),
        ("parameters.nu does not occur", {"parameters": {"nu": 1}}),
        ("parameters.x has the name of a coordinate", {"parameters": {"x": 1}}),
        ("source: exact needs the exact", {"source": "exact"}),
        ("source must have 1 entries", {"source": ["0", "0"]}),
        ("source is no finite number at x = ", {"source": "log(x - 2)"}),
        ("exact: unknown name 'q'", {"exact": "sin(q)"}),
        ("exact must have 1 entries, for u; got 2", {"exact": ["x", "t"]}),
        ("exact or reference, not both", {"exact": "0", "reference": "a.csv"}),
        ("reference: there is no file", {"reference": "a.csv"}),
    ],
)
def test_a_problem_in_time(message: str, changes: dict[str, Any]) -> None:
    refused(message, HEAT, **changes)


@pytest.mark.parametrize(
    ("message", "changes"),
    [
        ("the coordinate t and no time", {"time": None}),
        ("time.*start before it ends", {"time": [1, 0]}),
        ("time: duration must be two numbers", {"time": [0, 1, 2]}),
        ("domain is a shape in space", {"domain": {"interval": [0, 1]}}),
        ("no condition for u_t at the start", {"conditions": START}),
        ("no condition for u at the start", {"conditions": None}),
        (
            "order 2 in t for u together, and there is 1 condition at the start and the end",
            {"conditions": {"goal": {"piece": "final", "value": 0}}},
        ),
        (
            "order 3 in t for u together, and there are 2 conditions",
            {
                "equation": "u_ttt = u",
                "conditions": {**START, "goal": {"piece": "final", "value": 0}},
            },
        ),
        ("order 3 in t", {"equation": "u_ttt = u"}),
        ("laplacian needs coordinates of space, and there is only t", {"equation": "laplacian(u)"}),
        ("unknown name 'u_x'", {"equation": "u_tt = u_x"}),
        (
            "there is no condition for v at the start",
            {
                "outputs": ["u", "v"],
                "equation": ["u_t = v", "v_t = -u"],
                "conditions": {"a": {"kind": "initial", "output": "u", "value": 0}},
            },
        ),
    ],
)
def test_a_problem_in_time_alone(message: str, changes: dict[str, Any]) -> None:
    refused(message, OSCILLATOR, **changes)


@pytest.mark.parametrize(
    ("message", "values"),
    [
        ("a is on the boundary of space.* take kind: initial or velocity", {"value": 0}),
        ("a is on the boundary of space", {"kind": "neumann", "value": 0}),
        ("a.piece cannot be 'walls'. It can be: initial, final", {"piece": "walls", "value": 0}),
        ("a.piece cannot be 'finale'. Did you mean 'final'", {"piece": "finale", "value": 0}),
        ("joins t_min and t_max", {"kind": "periodic", "axis": "t"}),
        (
            "u_n is the slope across the boundary of space.* write u_t",
            {"kind": "relation", "piece": "final", "equation": "u_n = 0"},
        ),
        (
            "a.shape is a shape in space, and the problem is in t alone",
            {"kind": "interface", "equation": "u_t = 0", "shape": {"interval": [0, 1]}},
        ),
        (
            "1 of 2 points lie outside",
            {"kind": "observations", "points": [[1], [3]], "values": "t"},
        ),
        ("1 numbers each .t.", {"kind": "observations", "points": [[0, 1]], "values": [1]}),
    ],
)
def test_a_condition_in_time_alone(message: str, values: Any) -> None:
    refused(message, OSCILLATOR, conditions={**OSCILLATOR["conditions"], "a": values})


@pytest.mark.parametrize(
    ("message", "values"),
    [
        ("conditions.a must be a mapping", 3),
        ("conditions.a has no key 'vale'. Did you mean 'value'", {"vale": 0}),
        ("a.kind cannot be 'dirichle'. Did you mean 'dirichlet'", {"kind": "dirichle"}),
        ("a.kind cannot be", {"kind": ["dirichlet"]}),
        ("a.piece cannot be 'wals'. Did you mean 'walls'", {"piece": "wals", "value": 0}),
        ("a.piece must be a name", {"piece": ["x_min"], "value": 0}),
        ("a lacks a value", {"piece": "x_min"}),
        ("a.value must be a number or text", {"value": [1]}),
        ("a.value must be a finite number", {"value": float("nan")}),
        ("a.value: unknown name 'u'", {"value": "u"}),
        ("a is no finite number at x = ", {"value": "log(x - 2)"}),
        ("a.weight must not be negative", {"value": 0, "weight": -1}),
        ("a.weight must be a finite number", {"value": 0, "weight": "heavy"}),
        ("a.output cannot be 'w'", {"value": 0, "output": "w"}),
        ("a.where: here is no comparison", {"value": 0, "where": "x == 0"}),
        ("is empty", {"value": 0, "where": "x > 5"}),
        ("a lacks alpha", {"kind": "robin", "value": 0}),
        ("a.axis cannot be 'y'", {"kind": "periodic", "axis": "y"}),
        ("joins t_min and t_max", {"kind": "periodic", "axis": "t"}),
        ("either a file, or points", {"kind": "observations"}),
        ("there is no file", {"kind": "observations", "file": "a.csv"}),
        ("2 numbers each", {"kind": "observations", "points": [[0, 1], [1]], "values": [1, 2]}),
        ("2 numbers each", {"kind": "observations", "points": [], "values": []}),
        ("1 of 1 points lie outside", {"kind": "observations", "points": [[3, 0]], "values": [1]}),
        ("each of 1 points; got 2", {"kind": "observations", "points": [[0, 0]], "values": [1, 2]}),
        ("a lacks equation", {"kind": "relation"}),
        ("a.equation must be text", {"kind": "relation", "equation": 3}),
        ("holds no unknown", {"kind": "relation", "equation": "x = 0"}),
        ("a lacks shape", {"kind": "interface", "equation": "u_n = 0"}),
        (
            "shape: 64 of 64 points",
            {"kind": "interface", "equation": "u_n = 0", "shape": {"interval": [2, 3]}},
        ),
    ],
)
def test_a_condition(message: str, values: Any) -> None:
    refused(message, HEAT, conditions={**HEAT["conditions"], "a": values})


@pytest.mark.parametrize("name", ["a b", "a.b", "", "1", "equation", "interior"])
def test_the_name_of_a_condition(name: str) -> None:
    refused("cannot be the name of a condition", PLANE, conditions={name: {"value": 0}})


@pytest.mark.parametrize("kind", ["initial", "velocity"])
def test_an_initial_condition_without_time(kind: str) -> None:
    conditions = {"walls": {"value": 0}, "start": {"kind": kind, "value": 0}}
    refused("the problem has no time", PLANE, conditions=conditions)


@pytest.mark.parametrize(
    ("message", "domain"),
    [
        (
            "box.lower must have a number for each of x, y; got 1",
            {"box": {"lower": [0], "upper": 1}},
        ),
        ("box has no key 'lowr'. Did you mean 'lower'", {"box": {"lowr": 0, "upper": 1}}),
        ("lower must be below upper", {"box": {"lower": 0, "upper": [0, 1]}}),
        ("name 'boundary' is taken", {"box": {"lower": 0, "upper": 1, "name": "boundary"}}),
        ("radius must be above zero", {"ball": {"radius": -1}}),
        ("radius must be a finite number", {"ball": {"radius": 10**400}}),
        ("ball lacks radius", {"ball": {}}),
        (
            "3 dimensions, and the coordinates of space are x, y",
            {"ball": {"center": [0, 0, 0], "radius": 1}},
        ),
        ("above zero", {"ellipse": {"radii": [1, -1]}}),
        ("at least three vertices", {"polygon": {"vertices": [[0, 0], [1, 1]]}}),
        ("crosses itself", {"polygon": {"vertices": [[0, 0], [1, 1], [1, 0], [0, 1]]}}),
        ("unbounded", {"half_space": {"point": [0, 0], "normal": [1, 0]}}),
        ("two shapes or more", {"union": [{"ball": {"radius": 1}}]}),
        (
            "difference of .* is empty",
            {"difference": [{"ball": {"radius": 1}}, {"ball": {"radius": 2}}]},
        ),
        (
            r"union\[0\]\.ball: radius must",
            {"union": [{"ball": {"radius": -1}}, {"ball": {"radius": 1}}]},
        ),
        ("mesh.file: there is no file", {"mesh": {"file": "part.msh"}}),
        ("points.file must be the name of a file", {"points": {"file": 3}}),
    ],
)
def test_a_domain(message: str, domain: Any) -> None:
    refused(message, PLANE, domain=domain)


@pytest.mark.parametrize(
    ("message", "value"),
    [
        ("must be a number, text, a list", None),
        ("must be a finite number", True),
        ("must be a finite number", float("inf")),
        ("unknown name 'foo'", "foo*2"),
        ("depends on itself", "nu + 1"),
        ("two components or more", []),
        (
            "one of value, trainable, file, network; got value, trainable",
            {"trainable": 1, "value": 2},
        ),
        ("no key 'trainabel'. Did you mean 'trainable'", {"trainabel": 1}),
        ("trainable must be a number.*depends on x", {"trainable": "x"}),
        ("true goes with trainable", {"value": 1, "true": 2}),
        ("width must be a whole number", {"network": {"width": 0}}),
        ("positive must be true or false", {"network": {"positive": "a"}}),
        ("file: there is no file", {"file": "nu.npz"}),
    ],
)
def test_a_parameter(message: str, value: Any) -> None:
    refused(f"parameters.nu.*{message}|{message}", DIFFUSION, parameters={"nu": value})


def test_parameters_that_depend_on_each_other() -> None:
    refused("depends on itself", DIFFUSION, parameters={"nu": "mu", "mu": "nu"})


def test_what_is_sought_must_be_in_an_equation() -> None:
    conditions = {"walls": {"value": "x*0"}, **START, "more": {"value": "1 - nu*0"}}
    refused(
        "unknown name 'nu'|occurs in no equation",
        HEAT,
        conditions=conditions,
        parameters={"nu": {"trainable": 1}},
    )


@pytest.mark.parametrize(
    ("message", "conditions"),
    [
        ("on the piece hole", {"a": {"piece": "plate", "value": 0}}),
        ("on the piece plate", {"a": {"piece": "hole", "value": 0}}),
        (
            "on the piece plate",
            {"a": {"piece": "hole", "value": 0}, "b": {"piece": "plate_x_min", "value": 0}},
        ),
    ],
)
def test_a_piece_without_a_condition(message: str, conditions: Any) -> None:
    refused(message, PLANE, domain=HOLES, conditions=conditions)


def test_faces_that_make_up_a_piece_are_enough() -> None:
    sides = [f"plate_{axis}_{end}" for axis in "xy" for end in ("min", "max")]
    conditions = {side: {"piece": side, "value": 0} for side in (*sides, "hole")}
    found = pde_problem(**{**PLANE, "domain": HOLES, "conditions": conditions})
    assert len(found.conditions) == 5


def test_a_plate_needs_two_conditions_on_each_piece() -> None:
    plate = {**PLANE, "domain": {"ball": {"radius": 1}}, "equation": "biharmonic(u) = 1"}
    refused("1 conditions on the piece sphere .* needs 2", plate)
    slope = {**PLANE["conditions"], "slope": {"kind": "neumann", "value": 0}}
    assert len(pde_problem(**{**plate, "conditions": slope}).conditions) == 2


def test_a_mixed_form_may_give_all_conditions_to_one_unknown() -> None:
    plate = {
        **PLANE,
        "outputs": ["u", "v"],
        "equation": ["laplacian(u) = v", "laplacian(v) = 1"],
        "conditions": {"value": {"output": "u", "value": 0}},
    }
    refused("is of order 4|needed", plate)
    slope = {**plate["conditions"], "slope": {"kind": "neumann", "output": "u", "value": 0}}
    assert len(pde_problem(**{**plate, "conditions": slope}).conditions) == 2


def test_an_initial_value_problem_in_space_has_all_at_one_end() -> None:
    pendulum = {
        "coordinates": ["x"],
        "domain": {"interval": [0, 1]},
        "equation": "u_xx + sin(u) = 0",
        "conditions": {
            "angle": {"piece": "x_min", "value": 1},
            "speed": {"kind": "neumann", "piece": "x_min", "value": 0},
        },
    }
    assert len(pde_problem(**pendulum).conditions) == 2


@pytest.mark.parametrize(
    ("what", "changes"),
    [
        ("the equation", {"exact": "x**2", "conditions": {**START, "a": {"value": "x**2"}}}),
        ("conditions.walls", {"exact": "x + t*0"}),
    ],
)
def test_a_warning_of_an_exact_solution_that_is_none(
    what: str, changes: Any, caplog: pytest.LogCaptureFixture
) -> None:
    pde_problem(**{**HEAT, **changes})
    assert f"exact does not fulfil {what}" in caplog.text
    caplog.clear()
    pde_problem(**{**HEAT, "exact": "0"})
    assert not caplog.text


def test_what_is_known_at_the_end_stands_for_what_is_not_at_the_start() -> None:
    backwards = {"walls": {"value": 0}, "payoff": {"piece": "final", "value": "max(x, 0.5)"}}
    pde_problem(**{**HEAT, "equation": "u_t = -u_xx", "conditions": backwards})
    waves = {"walls": {"value": 0}, "start": {"kind": "initial", "value": 0}}
    refused("no condition for u_t at the start", HEAT, equation="u_tt = u_xx", conditions=waves)
    pde_problem(
        **{**HEAT, "equation": "u_tt = u_xx", "conditions": {**waves, "end": backwards["payoff"]}}
    )


def test_what_is_carried_round_needs_no_value_on_the_boundary() -> None:
    carried = {
        "coordinates": ["x", "y", "t"],
        "time": [0, 1],
        "domain": {"ball": {"radius": 1}},
        "conditions": START,
    }
    pde_problem(**carried, equation="u_t - y*u_x + x*u_y = 0")
    refused("no condition for u on the piece sphere", carried, equation="u_t = laplacian(u)")
