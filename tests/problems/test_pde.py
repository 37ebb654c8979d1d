"""Problems out of files: the exact solution fulfils every term of the loss, and others do not."""

import textwrap
from functools import partial
from pathlib import Path

import pytest
import torch
import yaml
from torch import Tensor, nn

from pinnderiv.domains import SobolSampler
from pinnderiv.networks import MLP
from pinnderiv.problems import Problem, pde_problem
from pinnderiv.training.ansatz import Ansatz
from pinnderiv.training.collocation import Collocation
from pinnderiv.training.loss import Loss
from tests.problems import pde_cases


def problem_of(text: str, folder: Path | None = None) -> Problem:
    return pde_problem(**yaml.safe_load(textwrap.dedent(text)), folder=str(folder or "."))


class Wave(nn.Module):
    """Fulfils nothing, and has no small derivatives: the solution plus this is no solution."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.weight = torch.randn(inputs, outputs, generator=generator, dtype=torch.float64)

    def forward(self, x: Tensor) -> Tensor:
        return torch.sin(x @ self.weight + 0.7) + (x.square() @ self.weight)


def terms(problem: Problem, u, constraint: str = "soft") -> dict[str, Tensor]:
    """The residual of u in each term of the loss, at points as a run draws them."""
    ansatz = Ansatz(problem, lambda inputs, outputs, **_: Wave(inputs, outputs), constraint)
    counts = {"interior": 64, "walls": 48, "initial": 48}
    points = Collocation(problem, ansatz, SobolSampler, counts, seed=0).points
    parts = Loss(problem, ansatz, {}).parts(points)
    return {name: p.residual(u, p.points, p.known, check=False) for name, p in parts.items()}


@pytest.fixture(params=pde_cases.ALL.values(), ids=pde_cases.ALL.keys())
def case(request: pytest.FixtureRequest) -> Problem:
    return problem_of(request.param)


def test_the_exact_solution_fulfils_every_term(case: Problem) -> None:
    for name, residual in terms(case, case.exact).items():
        assert residual.abs().max() < 1e-9, name


def test_anything_else_fulfils_none(case: Problem) -> None:
    wave = Wave(case.domain.dim, len(case.outputs))
    for name, residual in terms(case, lambda x: case.exact(x) + wave(x)).items():
        assert (residual.abs() > 1e-3).any(dim=0).all(), name


def test_what_is_built_in_holds_for_any_network(case: Problem) -> None:
    torch.manual_seed(0)
    ansatz = Ansatz(case, partial(MLP, width=8, depth=2), "auto")
    ansatz.u.double()
    left = [each.name for each in ansatz.conditions]
    for condition in case.conditions:
        if condition.name in left:
            continue
        surface = condition.surface or case.domain
        x = surface.sample_piece(condition.piece, SobolSampler(1), 32)
        assert condition.residual(ansatz.u, x, condition.data(x), check=False).abs().max() < 1e-9


# What each case builds into the network, for those that can.
BUILT_IN = {
    "interval": {"left", "right"},
    "order one": {"start"},
    "periodic, order two": {"circle", "circle_1", "start"},
    "periodic system": {"circle", "circle_1", "start_re", "start_im"},
    "box in six dimensions": {"last", "walls"},
    "all kinds on one interval": {"start", "speed"},
    "ball in space": set(),
    "damped oscillator": {"start", "speed"},
    "growth that saturates": {"start"},
    "rotation": {"start_x", "start_y"},
    "rotation, written in one output and in two": {"start", "rest", "zero"},
    "values at both ends": {"start", "goal"},
    "slope at the end": {"start"},
    "relations at both ends": set(),
    "from the end backwards": {"end"},
    "the ends share the conditions of a system": {"here", "there"},
}


@pytest.mark.parametrize("name", BUILT_IN)
def test_what_can_be_built_in_is(name: str) -> None:
    case = problem_of(pde_cases.ALL[name])
    ansatz = Ansatz(case, partial(MLP, width=8, depth=2), "auto")
    left = {each.name for each in ansatz.conditions}
    assert {each.name for each in case.conditions} - left == BUILT_IN[name]


@pytest.mark.parametrize("time", [None, [0, 1]])
def test_an_interface_may_be_a_plane(time: list[float] | None) -> None:
    columns = ["x", "y", *(["t"] if time else [])]
    problem = pde_problem(
        coordinates=columns,
        time=time,
        outputs=["u", "v"],
        domain={"box": {"lower": [0, 0], "upper": [2, 1]}},
        equation=["laplacian(u) = 0", "laplacian(v) = 0"],
        conditions={
            "walls": {"output": "u", "value": 0},
            "others": {"output": "v", "value": 0},
            "join": {
                "kind": "interface",
                "shape": {"half_space": {"point": [0.5, 0], "normal": [1, 0]}},
                "equation": ["u = v", "u_n = v_n"],
            },
        },
    )
    (join,) = [each for each in problem.conditions if each.name == "join"]
    assert join.surface is not None
    points = join.surface.sample_piece(join.piece, SobolSampler(0), 40)
    assert (points[:, 0] == 0.5).all() and problem.domain.contains(points).all()
    assert (join.surface.normals(join.piece, points)[:, 0] == 1).all()
