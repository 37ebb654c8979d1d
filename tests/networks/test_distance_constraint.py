"""Hard constraints on domains of any shape."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.func import jvp

from pinnderiv import laplacian
from pinnderiv.domains import (
    Ball,
    Box,
    Domain,
    Ellipse,
    HalfSpace,
    Polygon,
    SobolSampler,
    SpaceTime,
)
from pinnderiv.errors import ArgumentError, ShapeError
from pinnderiv.networks import MLP, BlendedLift, DistanceConstraint, Scaled

START, END = 0.3, 2.4


def low(x: Tensor) -> Tensor:
    """Two outputs, (N, D) -> (N, 2)."""
    phase = x.sum(dim=1, keepdim=True)
    return torch.cat([torch.sin(phase) + 0.3 * phase, torch.exp(-0.2 * phase)], dim=1)


def high(x: Tensor) -> Tensor:
    return low(2 * x) + 1


def rate_of(function: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    """The derivative by the last column."""

    def rate(x: Tensor) -> Tensor:
        along = torch.zeros_like(x)
        along[:, -1] = 1
        return jvp(function, (x,), (along,))[1]

    return rate


L_SHAPE = Polygon([[0, 0], [2, 0], [2, 1], [1, 1], [1, 2], [0, 2]])
PLATE = Box([-1, -1], [2, 1])
# Domains, and the parts of their boundary in two groups: their values differ, so the two must not
# touch; an empty second group leaves one function for all.
SHAPES: dict[str, tuple[Domain, list[list[str]]]] = {
    "ball": (Ball([0.2, -0.1, 0.3], 0.7), [["sphere"]]),
    "ellipse": (Ellipse([0.5, 0], [2, 0.5], angle=0.4), [["ellipse"]]),
    "annulus": (
        (Ball([0, 0], 2).named("out")) - Ball([0.5, 0], 0.6).named("in"),
        [["out"], ["in"]],
    ),
    "plate with holes": (
        PLATE - Ball([0, 0], 0.3).named("one") - Ball([1.2, 0.2], 0.4).named("two"),
        [["x_min", "x_max", "y_min", "y_max"], ["one", "two"]],
    ),
    "L": (L_SHAPE, [[f"edge_{k}" for k in range(6)]]),
    "lens": (
        Ball([0, 0], 1).named("left") & Ball([1, 0], 1).named("right"),
        [["left", "right"]],
    ),
    "union": (Ball([0, 0], 1).named("a") | Box([0, -0.5], [2, 0.5]).named("b"), [["a", "b"]]),
    "half a disc": (Ball([0, 0], 1) & HalfSpace([0, 0], [0, 1]), [["sphere", "plane"]]),
    "half a disc, its arc": (Ball([0, 0], 1) & HalfSpace([0, 0], [0, 1]), [["sphere"]]),
}
shapes = pytest.mark.parametrize("shape", SHAPES)
orders = pytest.mark.parametrize("order", [0, 1, 2])


def space_time(shape: str, order: int) -> Domain:
    domain = SHAPES[shape][0]
    return SpaceTime(domain, (START, END)) if order else domain


def built(shape: str, order: int, lifted: bool = True) -> DistanceConstraint:
    """A network with large values, so that a factor that does not vanish is seen."""
    domain, groups = space_time(shape, order), SHAPES[shape][1]
    torch.manual_seed(3)
    network = MLP(domain.dim, 2, width=32, depth=2)
    with torch.no_grad():
        network.output.weight *= 100
    values = [low, high][: len(groups)]
    # the start agrees with the boundary where it begins: it is the blend of both at all times
    start = BlendedLiftOf(domain, groups) if order else None
    inside = domain.sample(SobolSampler(0), 200)
    distances = [[distance(domain, part) for part in parts] for parts in groups]
    return DistanceConstraint(
        Scaled(network, domain.lower, domain.upper),
        domain.dim,
        distances,
        [[float(each(inside).median()) for each in parts] for parts in distances],
        values=values if lifted else None,
        duration=(START, END) if order else None,
        time_order=order,
        start=start if lifted else None,
        velocity=rate_of(start) if lifted and order == 2 and start else None,
        rates=[rate_of(each) for each in values] if lifted and order == 2 else None,
    ).double()


class BlendedLiftOf:
    """Initial data that agree with the values of the pieces: their blend, and something inside."""

    def __init__(self, domain: Domain, groups: list[list[str]]) -> None:
        self.domain, self.groups = domain, groups

    def __call__(self, x: Tensor) -> Tensor:
        gaps = [self.domain.piece_distance(parts, x) for parts in self.groups]
        whole = self.domain.piece_distance([p for parts in self.groups for p in parts], x)
        if len(gaps) == 1:
            return low(x) + whole * torch.cos(x[:, :1])
        first, second = gaps
        return (second * low(x) + first * high(x)) / (first + second) + whole * torch.cos(x[:, :1])


def distance(domain: Domain, part: str) -> Callable[[Tensor], Tensor]:
    return lambda x: domain.piece_distance(part, x)


@shapes
@orders
def test_values_hold_exactly(shape: str, order: int) -> None:
    u, domain = built(shape, order), space_time(shape, order)
    for parts, value in zip(SHAPES[shape][1], (low, high), strict=False):
        for part in parts:
            x = domain.sample_piece(part, SobolSampler(1), 200)
            assert (u(x) - value(x)).abs().max() < 1e-11
    if order:
        x = domain.sample_piece("initial", SobolSampler(1), 200)
        given = BlendedLiftOf(domain, SHAPES[shape][1])
        assert (u(x) - given(x)).abs().max() < 1e-11
        if order == 2:
            assert (rate_of(u)(x) - rate_of(given)(x)).abs().max() < 1e-10
    inside = domain.sample(SobolSampler(1), 200)
    assert (u(inside) - low(inside)).abs().median() > 0.1


@shapes
def test_zero_data_hold_in_float32_too(shape: str) -> None:
    u, domain = built(shape, 1, lifted=False).float(), space_time(shape, 1)
    assert u.lift is None
    for part in [*(part for parts in SHAPES[shape][1] for part in parts), "initial"]:
        x = domain.sample_piece(part, SobolSampler(1), 200).float()
        size = u(domain.sample(SobolSampler(1), 200).float()).abs().median()
        assert size > 0.1 and u(x).abs().max() < 1e-4 * size


@shapes
@orders
def test_the_factor_is_positive_and_of_order_one_inside(shape: str, order: int) -> None:
    u, domain = built(shape, order), space_time(shape, order)
    factor = u.factor(domain.sample(SobolSampler(1), 500))
    assert factor.min() > 0 and factor.max() < 20
    assert 0.03 < factor.median() < 2


@shapes
def test_the_engines_agree_on_it(shape: str) -> None:
    u, domain = built(shape, 1), space_time(shape, 1)
    x = domain.sample(SobolSampler(2), 20)
    found = [laplacian(u, method=method)(x) for method in ("taylor", "nested", "reverse")]
    for other in found[1:]:
        assert torch.allclose(found[0], other, rtol=1e-9, atol=1e-7)


def test_where_pieces_meet_the_value_is_that_of_both() -> None:
    square = Polygon([[0, 0], [1, 0], [1, 1], [0, 1]])
    u = DistanceConstraint(
        MLP(2, 1),
        2,
        [[distance(square, "edge_0")], [distance(square, "edge_1")]],
        [[1.0], [1.0]],
        values=[lambda x: x[:, :1], lambda x: 1 + x[:, 1:]],
    ).double()
    corner = torch.tensor([[1.0, 0.0]], dtype=torch.float64)
    assert abs(u(corner).item() - 1) < 1e-12


def test_a_slab_has_the_walls_and_a_start_of_its_own() -> None:
    u, domain = built("annulus", 2), space_time("annulus", 2)
    part = u.without_data(MLP(3, 2), 1.0, 2.0).double()
    x = domain.sample_piece("in", SobolSampler(1), 100)
    assert part(x).abs().max() < 1e-12
    x = domain.sample(SobolSampler(1), 100)
    x[:, -1] = 1.0
    assert part(x).abs().max() == 0 and rate_of(part)(x).abs().max() == 0
    x[:, -1] = 2.0
    assert part(x).abs().median() > 1e-3


def test_data_that_are_a_network_move_and_are_counted() -> None:
    value = nn.Linear(2, 1)
    one = distance(Ball([0, 0], 1), "sphere")
    u = DistanceConstraint(MLP(2, 1), 2, [[one]], [[1.0]], values=[value]).double()
    assert value.weight.dtype == torch.float64
    assert isinstance(u.lift, BlendedLift) and u.lift.terms == 1


REFUSALS = {
    "lengths": ({"lengths": [[1.0, 2.0]]}, "one number for each of the distances"),
    "a length": ({"lengths": [[0.0]]}, "above zero"),
    "values": ({"values": [low, low]}, "one entry for each of the 1 conditions"),
    "time": ({"duration": (0.0, 1.0)}, "time_order must be 0 without"),
    "no time": ({"time_order": 1}, "time_order must be 0 without"),
    "nothing": ({"distances": [], "lengths": []}, "nothing to build in"),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_what_does_not_go_together_is_refused(case: str) -> None:
    changed, message = REFUSALS[case]
    arguments = {"inputs": 2, "distances": [[low]], "lengths": [[1.0]]} | changed
    with pytest.raises(ArgumentError, match=message):
        DistanceConstraint(MLP(2, 1), **arguments)


def test_a_wrong_number_of_columns_is_refused() -> None:
    with pytest.raises(ShapeError, match=r"must be \(\*batch, 3\)"):
        built("annulus", 1)(torch.rand(4, 2, dtype=torch.float64))
