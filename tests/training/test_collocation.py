from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import nn

from pinnderiv.domains import LatinHypercubeSampler, SobolSampler
from pinnderiv.errors import CheckpointError, ConfigurationError
from pinnderiv.problems import CASES, pde_problem
from pinnderiv.training.ansatz import Ansatz
from pinnderiv.training.collocation import Collocation
from pinnderiv.training.loss import Loss

COUNTS = {"interior": 20, "walls": 10, "initial": 6}


def build(constraint: str = "soft", sampler: Any = SobolSampler, **choices: Any) -> Collocation:
    problem = CASES["wave"]("wave")
    ansatz = Ansatz(problem, lambda inputs, outputs: nn.Linear(inputs, outputs), constraint)
    ansatz.u.double()
    return Collocation(problem, ansatz, sampler, **{"counts": COUNTS, "seed": 3, **choices})


def test_points_lie_where_they_belong() -> None:
    collocation = build()
    points, problem = collocation.points, collocation.problem
    assert points.interior.shape == (20, 2) and points.source.shape == (20, 1)
    assert problem.domain.contains(points.interior).all()
    assert set(points.pieces["walls"][:, 0].tolist()) == {0.0, 1.0}
    assert not points.pieces["initial"][:, 1].any()
    assert points.count == 36
    assert torch.equal(points.values["walls"], problem.exact(points.pieces["walls"]))
    assert set(points.values) == {"walls", "initial", "initial_velocity"}


def test_hard_constraints_need_no_points_on_the_boundary() -> None:
    collocation = build("hard", counts={"interior": 20})
    assert collocation.points.pieces == {} and collocation.points.count == 20


def test_a_piece_that_is_a_single_point_has_one() -> None:
    """Which changes no term of the loss, since each is a mean."""
    problem = pde_problem(
        coordinates=["x"],
        domain={"interval": [0, 1]},
        equation="u_xx + u = x",
        conditions={
            "left": {"piece": "x_min", "value": 1},
            "slope": {"kind": "neumann", "piece": "x_max", "value": 2},
            "both": {"kind": "robin", "piece": "boundary", "alpha": 1, "value": 0},
        },
    )
    ansatz = Ansatz(problem, lambda inputs, outputs: nn.Linear(inputs, outputs), "soft")
    ansatz.u.double()
    collocation = Collocation(problem, ansatz, SobolSampler, COUNTS, seed=0)
    points = collocation.points
    assert {name: len(each) for name, each in points.pieces.items()} == {
        "x_min": 1,
        "x_max": 1,
        "boundary": 10,
    }
    assert points.count == 32
    loss = Loss(problem, ansatz, {"left": 3.0, "slope": 2.0})

    def copied(table: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        return {name: each.repeat(10, 1) for name, each in table.items()}

    many = replace(points, pieces=copied(points.pieces), values=copied(points.values))
    few, all_of_them = loss.terms(points), loss.terms(many)
    for name, value in few.items():
        torch.testing.assert_close(all_of_them[name], value, rtol=1e-14, atol=0)


def test_when_points_are_due() -> None:
    assert [step for step in range(9) if build(resample_every=3).due(step)] == [3, 6]
    assert not any(build().due(step) for step in range(100))


def test_resampling_gives_new_points_and_values() -> None:
    collocation = build()
    old = collocation.points
    collocation.resample()
    new = collocation.points
    assert not torch.equal(old.interior, new.interior)
    assert torch.equal(new.values["walls"], collocation.problem.exact(new.pieces["walls"]))


def test_the_state_goes_on_with_the_same_sequence(tmp_path) -> None:
    first = build()
    first.resample()
    torch.save(first.state_dict(), tmp_path / "points.pt")
    second = build(seed=99)
    second.load_state_dict(torch.load(tmp_path / "points.pt", weights_only=True))
    for _ in range(2):
        for name in ("interior", "source"):
            assert torch.equal(getattr(first.points, name), getattr(second.points, name))
        for name in ("pieces", "values"):
            ours, theirs = getattr(first.points, name), getattr(second.points, name)
            assert all(torch.equal(ours[key], theirs[key]) for key in ours)
        first.resample()
        second.resample()


def test_a_state_of_other_points_is_refused() -> None:
    with pytest.raises(CheckpointError, match="interior"):
        build("hard").load_state_dict(build("soft").state_dict())
    with pytest.raises(CheckpointError, match="SobolSampler"):
        build(sampler=LatinHypercubeSampler).load_state_dict(build().state_dict())


@pytest.mark.parametrize(
    ("choices", "named"),
    [
        ({"counts": {"interior": 5, "walls": 5}}, r"initial.*\+sampler\.points\.initial"),
        ({"counts": {**COUNTS, "walls": 0}}, r"sampler\.points\.walls"),
        ({"resample_every": -1}, "resample_every"),
    ],
)
def test_nonsense_is_refused(choices: dict[str, Any], named: str) -> None:
    with pytest.raises(ConfigurationError, match=named):
        build(**choices)


def test_precision_of_the_points() -> None:
    points = build(dtype=torch.float32).points
    assert {points.interior.dtype, points.source.dtype} == {torch.float32}
