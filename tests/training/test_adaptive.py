"""Adaptive points: what each paper promises, on residuals that are written down."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from scipy.optimize import brentq
from torch import Tensor, nn

from pinnderiv.domains import SobolSampler
from pinnderiv.errors import ArgumentError, ConfigurationError
from pinnderiv.problems import CASES
from pinnderiv.training.adaptive import R3, RAD, RAR, RARD, Adaptive
from pinnderiv.training.ansatz import Ansatz
from pinnderiv.training.collocation import Collocation

COUNT = 200
RULES = [RAD, RAR, RARD, R3]


def build(adaptive: Adaptive | None, constraint: str = "hard", **choices: Any) -> Collocation:
    problem = CASES["heat_manufactured"]("heat_manufactured")
    torch.manual_seed(0)
    ansatz = Ansatz(problem, lambda inputs, outputs: nn.Linear(inputs, outputs), constraint)
    ansatz.u.double()
    counts = {"interior": COUNT, "walls": 10, "initial": 6}
    chosen = {"counts": counts, "seed": 3, "resample_every": 5, **choices}
    return Collocation(problem, ansatz, SobolSampler, adaptive=adaptive, **chosen)


def peak(points: Tensor, source: Tensor) -> Tensor:
    """A residual that is all in a disc of radius 0.1, a thirtieth of the domain."""
    return torch.exp(-(distance(points) ** 2) / (2 * 0.04**2))


def distance(points: Tensor) -> Tensor:
    return (points - points.new_tensor([0.7, 0.3])).norm(dim=1)


def in_peak(points: Tensor) -> float:
    return float((distance(points) < 0.1).double().mean())


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("constraint", ["hard", "soft"])
def test_points_and_what_is_known_there_belong_together(
    rule: Callable[[], Adaptive], constraint: str
) -> None:
    collocation = build(rule(), constraint)
    old = collocation.points
    for _ in range(2):
        collocation.resample(peak)
    points = collocation.points
    assert collocation.problem.domain.contains(points.interior).all()
    assert not torch.equal(points.interior, old.interior)
    assert torch.allclose(points.source, collocation.ansatz.source(points.interior), rtol=1e-12)
    for condition in collocation.conditions:
        piece = points.pieces[condition.piece]
        assert not torch.equal(piece, old.pieces[condition.piece])
        assert torch.equal(points.values[condition.name], condition.value(piece))


@pytest.mark.parametrize("candidates", [10, 100])
def test_rad_concentrates_points_where_the_residual_is(candidates: int) -> None:
    """The share of points in the peak is what p ∝ |r| / mean + 1 says, without replacement."""
    collocation = build(RAD(pool=candidates * COUNT), "soft")
    assert in_peak(collocation.points.interior) < 0.06
    shares = []
    for _ in range(8):
        collocation.resample(peak)
        assert len(collocation.points.interior) == COUNT
        shares.append(in_peak(collocation.points.interior))
    grid = collocation.problem.domain.grid(400)
    rate = peak(grid, grid)
    rate = rate / rate.mean() + 1

    # a candidate is drawn if its exponential waiting time is below the τ at which COUNT are
    def drawn(tau: float) -> Tensor:
        return 1 - torch.exp(-tau * rate)

    tau = brentq(lambda tau: float(drawn(tau).mean()) - 1 / candidates, 0.0, 1.0)
    wanted = float(drawn(tau)[distance(grid) < 0.1].sum() / drawn(tau).sum())
    assert wanted > 0.2
    assert abs(np.mean(shares) - wanted) < 4 * np.sqrt(wanted * (1 - wanted) / (8 * COUNT))


def test_rad_draws_by_its_density() -> None:
    """From four candidates, one at a time: frequencies against probabilities."""
    error = torch.tensor([0.0, 1.0, 2.0, 5.0]).double()
    rule, generator = RAD(power=2.0, floor=0.5), np.random.default_rng(0)
    drawn = torch.cat([rule.chosen(error, 1, generator) for _ in range(4000)])
    found = drawn.bincount(minlength=4).numpy() / 4000
    density = np.array([0.0, 1.0, 4.0, 25.0]) / 7.5 + 0.5
    wanted = density / density.sum()
    assert np.abs(found - wanted).max() < 4 * np.sqrt(0.25 / 4000)


def test_a_draw_has_nothing_twice_and_what_is_impossible_last() -> None:
    error = torch.tensor([0.0, 1.0, 0.0, 5.0, 1e-6]).double()
    rule = RARD()
    for seed in range(20):
        generator = np.random.default_rng(seed)
        assert set(rule.chosen(error, 3, generator).tolist()) == {1, 3, 4}
        assert set(rule.chosen(error, 5, generator).tolist()) == {0, 1, 2, 3, 4}
    # nothing is left of the residual: any of them
    firsts = {int(rule.chosen(0 * error, 1, np.random.default_rng(s))[0]) for s in range(60)}
    assert firsts == {0, 1, 2, 3, 4}


def test_rar_adds_the_worst_candidates_and_keeps_the_others() -> None:
    seen: list[Tensor] = []

    def remembered(points: Tensor, source: Tensor) -> Tensor:
        seen.append(points)
        return -peak(points, source)  # the sign of a residual says nothing

    collocation = build(RAR(add=7, pool=500))
    old = collocation.points.interior
    collocation.resample(remembered)
    new, pool = collocation.points.interior, torch.cat(seen)
    assert torch.equal(new[:COUNT], old) and len(new) == COUNT + 7 and len(pool) == 500
    nearest = distance(pool).argsort()[:7]
    assert torch.equal(new[COUNT:], pool[nearest])


@pytest.mark.parametrize("rule", [RAR, RARD])
def test_rar_stops_at_its_limit(rule: Callable[..., Adaptive]) -> None:
    collocation = build(rule(add=30, limit=COUNT + 70))
    lengths = []
    for _ in range(4):
        collocation.resample(peak)
        lengths.append(len(collocation.points.interior) - COUNT)
    assert lengths == [30, 60, 70, 70]
    assert in_peak(collocation.points.interior[COUNT:]) > 0.9
    unlimited = build(rule(add=150))
    for _ in range(4):
        unlimited.resample(peak)
    assert len(unlimited.points.interior) == 2 * COUNT


def test_r3_keeps_the_points_above_the_mean_and_no_others() -> None:
    collocation = build(R3())
    for _ in range(5):
        old = collocation.points.interior
        error = peak(old, old)
        kept = old[error > error.mean()]
        released = old[error <= error.mean()]
        assert 0 < len(kept) < COUNT
        collocation.resample(peak)
        new = collocation.points.interior
        assert len(new) == COUNT and torch.equal(new[: len(kept)], kept)
        assert not (new[:, None] == released[None]).all(dim=2).any()
    # points gather where the residual is, one retained after the other
    assert in_peak(new) > 0.1


def test_r3_keeps_all_where_rounding_puts_all_above_the_mean() -> None:
    equal = torch.full((3,), 0.7, dtype=torch.float64)
    assert (equal > equal.mean()).all()
    collocation = build(R3(), counts={"interior": 3})
    old = collocation.points.interior
    collocation.resample(lambda points, source: equal)
    assert torch.equal(collocation.points.interior, old)


def test_a_residual_that_is_not_finite_is_no_place_to_go_to() -> None:
    def broken(points: Tensor, source: Tensor) -> Tensor:
        return torch.where(points[:, 0] < 0.5, float("nan"), peak(points, source))

    collocation = build(RAR(add=20))
    collocation.resample(broken)
    assert (collocation.points.interior[COUNT:, 0] >= 0.5).all()


def test_the_residual_is_asked_for_in_pieces_of_a_step() -> None:
    lengths: list[int] = []

    def counted(points: Tensor, source: Tensor) -> Tensor:
        assert not torch.is_grad_enabled() and len(points) == len(source)
        lengths.append(len(points))
        return peak(points, source)

    build(RAD(pool=450)).resample(counted)
    assert lengths == [200, 200, 50]


@pytest.mark.parametrize("rule", RULES)
def test_the_state_goes_on_with_the_same_points(rule: Callable[[], Adaptive]) -> None:
    first = build(rule(), "soft")
    first.resample(peak)
    second = build(rule(), "soft", seed=9)
    second.load_state_dict(first.state_dict())
    for _ in range(3):
        first.resample(peak)
        second.resample(peak)
        assert torch.equal(first.points.interior, second.points.interior)
        assert torch.equal(first.points.source, second.points.source)
        assert torch.equal(first.points.pieces["walls"], second.points.pieces["walls"])


def test_float32_points_stay_float32() -> None:
    for rule in RULES:
        collocation = build(rule(), dtype=torch.float32)
        collocation.resample(peak)
        points = collocation.points
        assert {points.interior.dtype, points.source.dtype} == {torch.float32}


def test_the_residual_must_be_given() -> None:
    with pytest.raises(ArgumentError, match=r"resample\(loss\.equation_residual\)"):
        build(R3()).resample()


@pytest.mark.parametrize(
    ("make", "named"),
    [
        (lambda: build(RAD(), resample_every=0), r"sampler\.resample_every=100"),
        (lambda: build(RAD(pool=COUNT - 1)), rf"sampler\.adaptive_pool is 199.*{COUNT}"),
        (lambda: build(RAR(add=30, pool=20)), r"sampler\.adaptive_pool is 20.*30"),
        (lambda: build(RAR(limit=COUNT)), r"sampler\.adaptive_limit is 200"),
        (lambda: RARD(add=0), r"sampler\.adaptive_add"),
        (lambda: RAD(power=-1.0), r"sampler\.adaptive_power"),
        (lambda: RAD(floor=float("nan")), r"sampler\.adaptive_floor"),
    ],
)
def test_nonsense_is_refused(make: Callable[[], Any], named: str) -> None:
    with pytest.raises(ConfigurationError, match=named):
        make()
