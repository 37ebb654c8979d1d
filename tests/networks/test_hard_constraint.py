import itertools
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.func import jvp

from pinnderiv.errors import ArgumentError, ShapeError
from pinnderiv.networks import MLP, HardConstraint, Scaled

# Bounds that binary numbers round; time starts away from zero, too.
LOWER, UPPER = [0.1, -1.3, 0.7, 0.3], [0.7, 0.4, 1.9, 2.4]


def wave(x: Tensor) -> Tensor:
    """Two outputs that vanish nowhere in particular, (N, D) -> (N, 2)."""
    rates = torch.arange(1, x.shape[1] + 1, dtype=x.dtype)
    phase = (x * rates).sum(dim=1, keepdim=True)
    return torch.cat([torch.sin(phase) + 0.3 * phase, torch.exp(-0.2 * phase)], dim=1)


def wave_rate(x: Tensor) -> Tensor:
    """d/dt of ``wave``, t the last column."""
    along_time = torch.zeros_like(x)
    along_time[:, -1] = 1
    return jvp(wave, (x,), (along_time,))[1]


def box(space: int, order: int) -> tuple[list[float], list[float]]:
    """The bounds of ``space`` axes, and of time where there is one."""
    columns = [*range(space), *([3] if order else [])]
    return [LOWER[c] for c in columns], [UPPER[c] for c in columns]


def untrained(columns: int, lower: list[float], upper: list[float]) -> nn.Module:
    """A network with large values, so that a factor that does not vanish is seen."""
    torch.manual_seed(3)
    network = MLP(columns, 2, width=32, depth=2)
    with torch.no_grad():
        network.output.weight *= 100
    return Scaled(network, lower, upper)


def constrained(
    space: int,
    order: int,
    value: Callable[[Tensor], Tensor] | None = wave,
    velocity: Callable[[Tensor], Tensor] | None = wave_rate,
) -> HardConstraint:
    lower, upper = box(space, order)
    return HardConstraint(
        untrained(len(lower), lower, upper),
        lower,
        upper,
        value,
        time_axis=len(lower) - 1 if order else None,
        time_order=order,
        velocity=velocity if order == 2 and value is not None else None,
    ).double()


def boundary_points(space: int, order: int) -> Tensor:
    """Points on every wall, edge and corner, and on t = t0 with all of its edges."""
    lower, upper = box(space, order)
    low, high = torch.tensor([lower, upper], dtype=torch.float64)
    torch.manual_seed(5)
    points = []
    # For each axis: free, at its lower end, at its upper end (no condition at the end of time).
    states = [(0, 1, 2)] * space + ([(0, 1)] if order else [])
    for state in itertools.product(*states):
        if not any(state):
            continue
        x = low + torch.rand(4, len(lower), dtype=torch.float64) * (high - low)
        for axis, fixed in enumerate(state):
            if fixed:
                x[:, axis] = (low, high)[fixed - 1][axis]
        points.append(x)
    return torch.cat(points)


CASES = [(1, 0), (2, 0), (3, 0), (1, 1), (2, 1), (3, 1), (1, 2), (2, 2), (3, 2), (0, 1), (0, 2)]
cases = pytest.mark.parametrize(("space", "order"), CASES, ids=[f"{d}d-{k}" for d, k in CASES])


@cases
def test_conditions_hold_exactly(space: int, order: int) -> None:
    u = constrained(space, order)
    x = boundary_points(space, order)
    assert len(x) == 4 * (3**space * (2 if order else 1) - 1)
    assert (u(x) - wave(x)).abs().max() < 1e-12
    inside = torch.rand(20, x.shape[1], dtype=torch.float64)
    inside = u.lower + inside * (u.upper - u.lower)
    assert (u(inside) - wave(inside)).abs().min() > 1e-6


@pytest.mark.parametrize("space", [0, 1, 2, 3])
def test_the_initial_velocity_holds_exactly(space: int) -> None:
    u = constrained(space, 2)
    x = boundary_points(space, 2)
    x = x[x[:, -1] == LOWER[3]]
    along_time = torch.zeros_like(x)
    along_time[:, -1] = 1
    rate = jvp(u, (x,), (along_time,))[1]
    assert (rate - wave_rate(x)).abs().max() < 1e-12


@cases
def test_data_are_asked_for_on_the_boundary_only_and_once(space: int, order: int) -> None:
    calls: dict[str, list[Tensor]] = {"value": [], "velocity": []}

    def value(x: Tensor) -> Tensor:
        calls["value"].append(x)
        return wave(x)

    def velocity(x: Tensor) -> Tensor:
        calls["velocity"].append(x)
        return wave_rate(x)

    u = constrained(space, order, value, velocity)
    low, high = torch.tensor(box(space, order), dtype=torch.float64)
    u(low + torch.rand(50, len(low), dtype=torch.float64) * (high - low))

    assert len(calls["value"]) == 1
    (x,) = calls["value"]
    at_start = x[:, -1] == low[-1] if order else torch.zeros(len(x), dtype=torch.bool)
    on_wall = ((x[:, :space] == low[:space]) | (x[:, :space] == high[:space])).any(dim=1)
    assert (on_wall | at_start).all()
    # With each projector's two summands, all choices but "free on every axis".
    assert len(x) == 50 * (3**space * (2 if order else 1) - 1)

    assert len(calls["velocity"]) == (1 if order == 2 else 0)
    for x in calls["velocity"]:
        assert (x[:, -1] == low[-1]).all()
        assert len(x) == 50 * 3**space


@cases
def test_what_is_left_to_the_network_is_of_order_one(space: int, order: int) -> None:
    u = constrained(space, order, value=None)
    low, high = torch.tensor(box(space, order), dtype=torch.float64)
    top = (low + high) / 2
    if order:
        top[-1] = high[-1]
    assert u.factor(top).item() == pytest.approx(1.0)
    assert torch.allclose(u(top), u.network(top))
    with_data = constrained(space, order)
    assert torch.allclose(with_data(top), with_data.lift(top) + with_data.free(top))
    x = boundary_points(space, order)
    assert (u.factor(x) == 0).all() and (u(x) == 0).all()


def test_a_lift_of_a_low_polynomial_is_the_polynomial() -> None:
    # Linear in each coordinate of space: the interpolation between walls is exact.
    def bilinear(x: Tensor) -> Tensor:
        return (1 + x[:, :1]) * (2 - 3 * x[:, 1:2])

    u = HardConstraint(nn.Linear(2, 1), [0.0, 0.0], [2.0, 1.0], bilinear).double()
    x = torch.rand(30, 2, dtype=torch.float64)
    assert torch.allclose(u.lift(x), bilinear(x), rtol=1e-13)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_walls_are_exact_after_any_change_of_dtype(dtype: torch.dtype) -> None:
    u = constrained(2, 1).float().double().to(dtype)
    x = boundary_points(2, 1).to(dtype)
    assert (u.factor(x) == 0).all()
    assert (u(x) - wave(x)).abs().max() < (1e-12 if dtype == torch.float64 else 2e-6)


def test_high_dimension_needs_data_that_are_zero() -> None:
    network = MLP(8, 1)
    with pytest.raises(ArgumentError, match=r"at most 6 dimensions.*6,560 in 8.*value=None"):
        HardConstraint(network, [0.0] * 8, [1.0] * 8, wave)
    u = HardConstraint(network, [0.0] * 8, [1.0] * 8, None)
    x = torch.rand(5, 8)
    x[:, 3] = 1.0
    assert (u(x) == 0).all()
    # Six of space and one of time still go.
    HardConstraint(MLP(7, 1), [0.0] * 7, [1.0] * 7, wave, time_axis=6, time_order=1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"time_order": 1}, "needs time_axis"),
        ({"time_axis": 1}, "time_order must be 1"),
        ({"time_axis": 1, "time_order": 3}, "time_order must be 1"),
        ({"time_axis": 2, "time_order": 1}, "column from 0 to 1"),
        ({"time_axis": 1, "time_order": 2}, "needs velocity"),
        ({"time_axis": 1, "time_order": 1, "velocity": wave}, "velocity goes with"),
        ({"value": None, "time_axis": 1, "time_order": 2, "velocity": wave}, "velocity goes with"),
        ({"lower": [0.0]}, "1 in lower and 2 in upper"),
    ],
)
def test_arguments_that_do_not_go_together_are_refused(
    arguments: dict[str, object], message: str
) -> None:
    given: dict = {"lower": [0.0, 0.0], "upper": [1.0, 1.0], "value": wave, **arguments}
    with pytest.raises(ArgumentError, match=message):
        HardConstraint(MLP(2, 2), **given)


def test_wrong_shapes_are_refused() -> None:
    unit = ([0.0, 0.0], [1.0, 1.0])
    with pytest.raises(ShapeError, match=r"\(\*batch, 2\)"):
        HardConstraint(MLP(2, 2), *unit, wave)(torch.rand(4, 3))
    with pytest.raises(ShapeError, match="got 2 and 1"):
        HardConstraint(MLP(2, 1), *unit, wave)(torch.rand(4, 2))
    with pytest.raises(ShapeError, match=r"value must map \(N, 2\) to \(N, M\)"):
        HardConstraint(MLP(2, 1), *unit, lambda x: x[:, 0])(torch.rand(4, 2))
