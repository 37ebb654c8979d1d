"""Hard constraints where only some walls carry values, and along periodic axes."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.func import jvp

from pinnderiv import partial
from pinnderiv.errors import ArgumentError
from pinnderiv.networks import MLP, HardConstraint, Scaled, TransfiniteLift

# Bounds that binary numbers round; time starts away from zero, too.
LOWER, UPPER = [0.1, -1.3, 0.7, 0.3], [0.7, 0.4, 1.9, 2.4]

Function = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Setup:
    """Axes of space, the order in time, and what happens on each axis' walls."""

    space: int
    order: int
    periodic: tuple[int, ...]
    walls: tuple[tuple[int, int], ...]

    @property
    def columns(self) -> list[int]:
        return [*range(self.space), *([3] if self.order else [])]

    @property
    def time(self) -> int | None:
        return self.space if self.order else None

    @property
    def box(self) -> tuple[Tensor, Tensor]:
        low = [LOWER[c] for c in self.columns]
        high = [UPPER[c] for c in self.columns]
        return torch.tensor(low, dtype=torch.float64), torch.tensor(high, dtype=torch.float64)

    @property
    def nothing_given(self) -> bool:
        return not self.walls and not self.order

    def value(self, x: Tensor) -> Tensor:
        """Two outputs that vanish nowhere in particular, (N, D) -> (N, 2)."""
        low, high = self.box
        rates = torch.arange(1, x.shape[1] + 1, dtype=x.dtype)
        turns = 2 * math.pi * (x - low) / (high - low)
        # periodic where u is to be, and nowhere else
        periodic = torch.tensor([c in self.periodic for c in range(x.shape[1])])
        phase = torch.where(periodic, torch.sin(turns + rates), x * rates).sum(dim=1, keepdim=True)
        return torch.cat([torch.sin(phase) + 0.3 * phase, torch.exp(-0.2 * phase)], dim=1)

    def velocity(self, x: Tensor) -> Tensor:
        return rate(self.value, x)

    def constraint(self, value: Function | None, velocity: Function | None) -> HardConstraint:
        low, high = (bound.tolist() for bound in self.box)
        torch.manual_seed(3)
        network = MLP(len(low), 2, width=16, depth=2, periodic_axes=self.periodic)
        with torch.no_grad():
            network.output.weight *= 100  # so that a factor that does not vanish is seen
        return HardConstraint(
            Scaled(network, low, high),
            low,
            high,
            value,
            time_axis=self.time,
            time_order=self.order,
            velocity=velocity if self.order == 2 and value is not None else None,
            periodic=self.periodic,
            walls=self.walls,
        ).double()

    def points(self, count: int) -> Tensor:
        low, high = self.box
        return low + torch.rand(count, len(low), dtype=torch.float64) * (high - low)


def rate(function: Function, x: Tensor) -> Tensor:
    """d/dt of a function, t the last column."""
    along_time = torch.zeros_like(x)
    along_time[:, -1] = 1
    return jvp(function, (x,), (along_time,))[1]


@st.composite
def setups(draw: st.DrawFn) -> Setup:
    space, order = draw(st.integers(1, 3)), draw(st.sampled_from([0, 1, 2]))
    periodic = tuple(axis for axis in range(space) if draw(st.integers(0, 3)) == 0)
    walls = tuple(
        (axis, side)
        for axis in range(space)
        if axis not in periodic
        for side in (0, 1)
        if draw(st.booleans())
    )
    return Setup(space, order, periodic, walls)


many = settings(max_examples=30, deadline=None, derandomize=True, database=None)


@many
@given(setups())
def test_conditions_hold_exactly_where_they_are_given_and_only_there(setup: Setup) -> None:
    if setup.nothing_given:
        return
    u = setup.constraint(setup.value, setup.velocity)
    torch.manual_seed(5)
    for axis in range(setup.space):
        for side in (0, 1):
            x = setup.points(6)
            x[:, axis] = setup.box[side][axis]
            error = (u(x) - setup.value(x)).abs()
            if (axis, side) in setup.walls:
                assert error.max() < 1e-11
                assert (u.factor(x) == 0).all()
            else:
                assert error.min() > 1e-6
                assert u.factor(x).min() > 0
    if setup.order:
        x = setup.points(6)
        x[:, -1] = setup.box[0][-1]
        assert (u(x) - setup.value(x)).abs().max() < 1e-11
        if setup.order == 2:
            assert (rate(u, x) - setup.velocity(x)).abs().max() < 1e-11


@many
@given(setups())
def test_u_repeats_along_periodic_axes(setup: Setup) -> None:
    value = None if setup.nothing_given else setup.value
    u = setup.constraint(value, setup.velocity)
    torch.manual_seed(5)
    for axis in setup.periodic:
        x = setup.points(4)
        ends = []
        for bound in setup.box:
            x[:, axis] = bound[axis]
            # in reverse mode, since the data's velocity is a jvp
            orders = [partial(u, (axis,) * k, method="reverse", check=False) for k in (1, 2)]
            ends.append([u(x), *(derivative(x) for derivative in orders)])
        for at_lower, at_upper in zip(*ends, strict=True):
            assert (at_lower - at_upper).abs().max() < 1e-11 * at_lower.abs().max().clamp(min=1.0)


@many
@given(setups())
def test_data_are_asked_for_only_where_they_are_given(setup: Setup) -> None:
    if setup.nothing_given:
        return
    asked: list[Tensor] = []

    def value(x: Tensor) -> Tensor:
        asked.append(x)
        return setup.value(x)

    u = setup.constraint(value, setup.velocity)
    x = setup.points(9)
    u(x)
    (points,) = asked
    allowed = torch.zeros(len(points), dtype=torch.bool)
    for axis, side in setup.walls:
        allowed |= points[:, axis] == setup.box[side][axis]
    if setup.order:
        allowed |= points[:, -1] == setup.box[0][-1]
    assert allowed.all()
    assert u.lift.terms == setup_terms(setup)


def setup_terms(setup: Setup) -> int:
    """Choices of each axis, less "free on every axis"."""
    each = [1 + sum(wall[0] == axis for wall in setup.walls) for axis in range(setup.space)]
    return math.prod(each) * (1 + setup.order) - 1


def projected(setup: Setup, function: Function) -> Function:
    """The lift as its definition has it: u less ∏(I − P) u, one projector after the other."""
    low, high = setup.box

    def at(f: Function, x: Tensor, axis: int, bound: Tensor) -> Tensor:
        moved = x.clone()
        moved[:, axis] = bound[axis]
        return f(moved)

    rest = function
    for axis in range(setup.space):
        sides = [side for wall, side in setup.walls if wall == axis]

        def without(x: Tensor, f: Function = rest, axis: int = axis, sides: list = sides) -> Tensor:
            s = ((x - low) / (high - low))[:, axis, None]
            if sides == [0, 1]:
                ends = (1 - s) * at(f, x, axis, low) + s * at(f, x, axis, high)
            else:
                ends = at(f, x, axis, (low, high)[sides[0]]) if sides else 0.0
            return f(x) - ends

        rest = without
    if not setup.order:
        return lambda x: function(x) - rest(x)

    def start(x: Tensor) -> Tensor:
        moved = torch.cat([x[:, :-1], low[-1].expand(len(x), 1)], dim=1)
        found = rest(moved)
        return found + (x[:, -1:] - low[-1]) * rate(rest, moved) if setup.order == 2 else found

    return lambda x: function(x) - (rest(x) - start(x))


@many
@given(setups())
def test_the_lift_is_the_sum_of_projections(setup: Setup) -> None:
    if setup.nothing_given:
        return
    torch.manual_seed(7)
    x = setup.points(8)
    lift = setup.constraint(setup.value, setup.velocity).lift
    torch.testing.assert_close(lift(x), projected(setup, setup.value)(x), rtol=1e-10, atol=1e-10)


def test_all_walls_by_name_are_the_default() -> None:
    setup = Setup(2, 2, (), ((1, 1), (0, 0), (0, 1), (1, 0)))
    x = setup.points(20)
    low, high = (bound.tolist() for bound in setup.box)
    u = setup.constraint(setup.value, setup.velocity)
    default = HardConstraint(u.network, low, high, setup.value, 2, 2, setup.velocity).double()
    assert torch.equal(default(x), u(x))


def test_many_axes_with_values_on_few_walls() -> None:
    # 2⁹ choices are fewer than the 3⁶ that are allowed; 3⁷ are more
    few = [(axis, 0) for axis in range(9)]
    lift = TransfiniteLift([0.0] * 12, [1.0] * 12, lambda x: x.sum(1, True), walls=few)
    assert lift.terms == 2**9 - 1
    many_walls = [(axis, side) for axis in range(7) for side in (0, 1)]
    with pytest.raises(ArgumentError, match=r"at most 6 dimensions.*2,186 in 7"):
        TransfiniteLift([0.0] * 12, [1.0] * 12, lambda x: x, walls=many_walls)


def test_without_any_condition_it_is_the_network() -> None:
    setup = Setup(2, 0, (0, 1), ())
    u = setup.constraint(None, None)
    x = setup.points(5)
    assert torch.equal(u(x), u.network(x))
    with pytest.raises(ArgumentError, match="value is given nowhere"):
        setup.constraint(setup.value, None)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"periodic": [2]}, "periodic must leave out column 2"),
        ({"periodic": [3]}, "periodic must list columns from 0 to 2"),
        ({"walls": [(2, 0)]}, r"walls must be across columns of space .*\[0, 1\]"),
        ({"walls": [(0, 1)], "periodic": [0]}, r"not periodic \(\[1\]\); got \(0, 1\)"),
        ({"walls": [(0, 2)]}, "pairs of a column and an end"),
        ({"walls": [0, 1]}, "pairs of a column and an end"),
    ],
)
def test_walls_that_are_none_are_refused(arguments: dict, message: str) -> None:
    box = ([0.0] * 3, [1.0] * 3)
    with pytest.raises(ArgumentError, match=message):
        HardConstraint(MLP(3, 1), *box, None, time_axis=2, time_order=1, **arguments)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_network_that_does_not_repeat_is_refused(dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    low, high = LOWER[:2], UPPER[:2]
    plain = Scaled(MLP(2, 1, periodic_axes=[1]), low, high).to(dtype)
    with pytest.raises(ArgumentError, match=r"along column 0.*periodic_axes=\[0, 1\]"):
        HardConstraint(plain, low, high, None, periodic=[0, 1])
    # what is trained in float32 is periodic to its rounding only
    repeats = Scaled(MLP(2, 1, periodic_axes=[0, 1], harmonics=4), low, high).to(dtype)
    before = torch.get_rng_state()
    HardConstraint(repeats, low, high, None, periodic=[0, 1])
    assert torch.equal(torch.get_rng_state(), before)


def test_no_points_have_no_values() -> None:
    lift = TransfiniteLift((0.0, 0.0), (1.0, 2.0), lambda x: x.prod(-1, keepdim=True))
    assert lift(torch.rand(0, 2)).shape == (0, 1)
    assert lift(torch.rand(3, 0, 2)).shape == (3, 0, 1)


def test_values_by_wall_at_no_points_are_none() -> None:
    lift = TransfiniteLift(
        [0.0, 0.0],
        [1.0, 1.0],
        {(0, 0): lambda x: x[:, 1:], (0, 1): lambda x: x[:, 1:] + 0, None: lambda x: 0 * x[:, 1:]},
        time_axis=1,
        time_order=1,
    )
    assert lift(torch.zeros(0, 2)).shape == (0, 1)
