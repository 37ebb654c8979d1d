"""Optimisers alone, on residuals of one's own."""

import copy
import io
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

import pinnderiv
import pinnderiv.training.optimisers
from pinnderiv import optimisers
from pinnderiv.errors import (
    ArgumentError,
    CheckpointError,
    ConfigurationError,
    NonFiniteLossError,
    ShapeError,
    UnsupportedOperationError,
)
from pinnderiv.optimisers import (
    LBFGS,
    SOAP,
    Adam,
    GaussNewtonKrylov,
    LevenbergMarquardt,
    NaturalGradient,
    SelfScaled,
)
from pinnderiv.training.optimisers import FeatureSearch, Optimiser, VariableProjection

SECOND_ORDER = [LBFGS, SelfScaled, LevenbergMarquardt, NaturalGradient]
FIRST_ORDER = [Adam, SOAP]
EVERY = [*FIRST_ORDER, *SECOND_ORDER, GaussNewtonKrylov]


def network(dtype: torch.dtype = torch.float64, width: int = 10, depth: int = 1) -> nn.Module:
    torch.manual_seed(0)
    layers: list[nn.Module] = []
    for inputs in (2, *(width,) * (depth - 1)):
        layers += [nn.Linear(inputs, width), nn.Tanh()]
    return nn.Sequential(*layers, nn.Linear(width, 1)).to(dtype)


def points(rows: int = 30, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.rand(rows, 2, dtype=dtype, generator=torch.Generator().manual_seed(1))


class Poisson(nn.Module):
    """−Δu = 2π² sin πx sin πy on the unit square, with the zeros of u built in."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Tensor) -> Tensor:
        return (x * (1 - x)).prod(-1, keepdim=True) * self.net(x)

    def residual(self, x: Tensor) -> Tensor:
        return pinnderiv.laplacian(self)(x) + 2 * torch.pi**2 * self.exact(x)

    @staticmethod
    def exact(x: Tensor) -> Tensor:
        return torch.sin(torch.pi * x).prod(-1, keepdim=True)

    def relative_l2(self) -> float:
        x = torch.rand(400, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(7))
        with torch.no_grad():
            return float((self(x) - self.exact(x)).norm() / self.exact(x).norm())


@pytest.mark.parametrize("optimiser", SECOND_ORDER)
def test_the_valley_of_rosenbrock(optimiser: type[Optimiser]) -> None:
    x = torch.tensor([-1.2, 1.0], dtype=torch.float64, requires_grad=True)

    def residual() -> Tensor:
        return torch.stack([10 * (x[1] - x[0] ** 2), 1 - x[0]])

    found = optimiser().minimise(x, residual, steps=200, target=1e-24)
    assert found.loss < 1e-12 and found.steps < 100
    torch.testing.assert_close(x.detach(), torch.ones(2, dtype=torch.float64), rtol=0, atol=1e-9)
    assert found.terms == {"residual": pytest.approx(found.loss)}


def test_the_phase_says_how_many_steps_if_nobody_does() -> None:
    x = torch.tensor([-1.2, 1.0], dtype=torch.float64, requires_grad=True)
    found = Adam(lr=0.05, steps=7).minimise(
        x, lambda: {"bend": 10 * (x[1] - x[0] ** 2), "end": 1 - x[0]}
    )
    assert found.steps == 7 and found.terms.keys() == {"bend", "end"}
    assert found.loss == pytest.approx(sum(found.terms.values())) and found.loss < 24.2


def test_adam_takes_the_steps_of_torch() -> None:
    net, peer = network(), network()
    x = points()
    mine = Adam(lr=1e-2).on(net, lambda: {"a": net(x) - x[:, :1], "b": net(-x)})
    theirs = torch.optim.Adam(peer.parameters(), lr=1e-2)
    for _ in range(5):
        theirs.zero_grad()
        loss = (peer(x) - x[:, :1]).square().mean() + peer(-x).square().mean()
        loss.backward()
        theirs.step()
        torch.testing.assert_close(mine.step(), loss.detach())
    for one, other in zip(net.parameters(), peer.parameters(), strict=True):
        torch.testing.assert_close(one, other)


def test_levenberg_marquardt_solves_poisson_through_the_laplacian() -> None:
    u, x = Poisson(network(width=12, depth=2)), points(80)
    found = LevenbergMarquardt().minimise(u, u.residual, points=x, steps=60)
    assert found.loss < 1e-6
    assert u.relative_l2() < 1e-4


def test_the_graph_gives_the_steps_that_the_rows_give() -> None:
    x, losses = points(40), []
    for rows in (True, False):
        u = Poisson(network())
        going = (
            LevenbergMarquardt().on(u, u.residual, points=x)
            if rows
            else LevenbergMarquardt().on(u, lambda u=u: u.residual(x))
        )
        losses.append([float(going.step()) for _ in range(10)])
    assert losses[0] == pytest.approx(losses[1], rel=1e-6)


@pytest.mark.parametrize("optimiser", EVERY)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_each_lowers_the_loss_of_both_forms(optimiser: type[Optimiser], dtype: torch.dtype) -> None:
    x = points(dtype=dtype)
    ends = []
    for rows in (False, True):
        net = network(dtype)
        net[0].bias.requires_grad_(False)
        kept = net[0].bias.clone()

        def residual(y: Tensor, net: nn.Module = net) -> Tensor:
            return pinnderiv.laplacian(net)(y) - y[:, :1]

        going = (
            optimiser().on(net, residual, points=x)
            if rows
            else optimiser().on(net, lambda residual=residual: residual(x))
        )
        losses = [float(going.step()) for _ in range(8)]
        assert losses[-1] < (0.99 if optimiser in FIRST_ORDER else 0.2) * losses[0]
        assert going.steps == 8 and not going.stalled and going.note == ""
        assert torch.equal(net[0].bias, kept)
        ends.append(losses[0])
    assert ends[0] == pytest.approx(ends[1], rel=1e-3)


@pytest.mark.parametrize("optimiser", EVERY)
def test_going_on_from_a_saved_state_takes_the_same_steps(optimiser: type[Optimiser]) -> None:
    x = points()

    def make() -> tuple[nn.Module, Callable[[], Tensor]]:
        net = network()
        return net, lambda: net(x) - torch.sin(5 * x[:, :1])

    net, residual = make()
    going = optimiser().on(net, residual)
    for _ in range(4):
        going.step()
    file = io.BytesIO()
    torch.save({"net": net.state_dict(), "optimiser": going.state_dict()}, file)
    expected = [going.step() for _ in range(4)]
    for first in ("net", "optimiser"):
        file.seek(0)
        saved = torch.load(file, weights_only=True)
        other, residual = make()
        again = optimiser().on(other, residual)
        if first == "net":
            other.load_state_dict(saved["net"])
        again.load_state_dict(saved["optimiser"])
        if first == "optimiser":
            other.load_state_dict(saved["net"])
        assert [again.step() for _ in range(4)] == expected
        assert again.steps == 8
        for one, two in zip(net.parameters(), other.parameters(), strict=True):
            assert torch.equal(one, two)


def test_a_state_is_a_copy_and_belongs_to_one_kind_of_optimiser() -> None:
    net, x = network(), points()
    going = SelfScaled().on(net, lambda: net(x) - 1)
    going.step(), going.step()
    state = going.state_dict()
    kept = copy.deepcopy(state)
    going.step()
    torch.testing.assert_close(state["state"]["inverse"], kept["state"]["inverse"], rtol=0, atol=0)
    with pytest.raises(CheckpointError, match="state is one of self_scaled"):
        LBFGS().on(net, lambda: net(x) - 1).load_state_dict(state)


@pytest.mark.parametrize("optimiser", EVERY)
def test_parameters_that_somebody_else_sets_are_taken_in(optimiser: type[Optimiser]) -> None:
    net, x = network(), points()
    going = optimiser().on(net, lambda: net(x) - 1)
    going.step()
    with torch.no_grad():
        net[2].bias.fill_(50.0)
        first = float((net(x) - 1).square().mean())
    loss = float(going.step())
    assert not going.stalled
    assert loss == pytest.approx(first) if optimiser in FIRST_ORDER else 0 < loss < first
    assert optimiser not in FIRST_ORDER or 49 < float(net[2].bias.detach()) < 50


def test_one_optimiser_serves_two_minimisations() -> None:
    nets, x = (network(), network()), points()
    optimiser = LBFGS()
    one, other = (optimiser.on(net, lambda net=net: net(x) - 1) for net in nets)
    for _ in range(5):
        assert float(one.step()) == float(other.step())


def test_other_points_are_taken_between_steps() -> None:
    net, x = network(), [points(20)]

    @torch.no_grad()
    def loss(y: Tensor) -> float:
        return float((net(y) - 1).square().mean())

    closure = LBFGS().on(net, lambda: net(x[0]) - 1)
    closure.step()
    x[0] = points(25)
    with pytest.raises(ShapeError, match=r"points_changed\(\)"):
        closure.step()
    closure.points_changed()
    assert float(closure.step()) == pytest.approx(loss(x[0]))
    rows = NaturalGradient().on(net, lambda y: net(y) - 1, points=points(20))
    rows.step()
    rows.points_changed(points(25))
    assert float(rows.step()) == pytest.approx(loss(points(25)))
    with pytest.raises(ArgumentError, match="only to it"):
        closure.points_changed(points(25))


@pytest.mark.parametrize("optimiser", EVERY)
def test_a_loss_that_is_not_finite_is_named_and_leaves_the_parameters(
    optimiser: type[Optimiser],
) -> None:
    net, x = network(), points()
    undefined = [False]

    def residual() -> dict[str, Tensor]:
        value = net(x)
        return {"good": value, "bad": value / 0 if undefined[0] else value}

    going = optimiser().on(net, residual)
    going.step()
    undefined[0] = True
    going.points_changed()
    before = [each.detach().clone() for each in net.parameters()]
    with pytest.raises(NonFiniteLossError, match="at step 2 the loss's term 'bad' is inf"):
        going.step()
    assert all(map(torch.equal, before, net.parameters()))


@pytest.mark.parametrize("optimiser", EVERY)
def test_a_loss_that_was_not_finite_once_spoils_no_later_step(optimiser: type[Optimiser]) -> None:
    def losses(failing: bool) -> list[float]:
        net, x, undefined = network(), points(), [False]
        going = optimiser().on(net, lambda: net(x) - (float("nan") if undefined[0] else 1.0))

        def changed(now: bool) -> None:
            undefined[0] = now
            going.points_changed()

        found = [float(going.step()) for _ in range(3)]
        changed(failing)
        if failing:
            with pytest.raises(NonFiniteLossError):
                going.step()
        changed(False)
        return found + [float(going.step()) for _ in range(3)]

    assert losses(failing=True) == losses(failing=False)


@pytest.mark.parametrize("optimiser", EVERY)
@pytest.mark.parametrize("rows", [True, False])
def test_a_residual_that_is_not_a_number_from_the_start(
    optimiser: type[Optimiser], rows: bool
) -> None:
    net, x = network(), points()
    with torch.no_grad():
        net[0].weight[0, 0] = float("nan")
    going = (
        optimiser().on(net, lambda y: net(y) - 1, points=x)
        if rows
        else optimiser().on(net, lambda: net(x) - 1)
    )
    with pytest.raises(NonFiniteLossError, match="at step 1 the loss's term 'residual' is nan"):
        going.step()


@pytest.mark.parametrize("optimiser", SECOND_ORDER)
def test_a_minimum_ends_in_a_report(optimiser: type[Optimiser]) -> None:
    x = torch.tensor([1.0], dtype=torch.float64, requires_grad=True)
    found = optimiser().minimise(x, lambda: torch.cat([x - 3, 5 - x]), steps=300)
    assert found.stalled and found.steps < 100
    assert float(x.detach()) == pytest.approx(4) and found.loss == pytest.approx(1)


def test_a_residual_that_raises_leaves_the_parameters() -> None:
    net, x = network(), points()
    calls = [0]

    def residual() -> Tensor:
        calls[0] += 1
        if calls[0] == 12:
            raise KeyboardInterrupt
        return net(x) - 1

    going = LevenbergMarquardt().on(net, residual)
    kept = [each.detach().clone() for each in net.parameters()]
    with pytest.raises(KeyboardInterrupt):
        while True:
            kept = [each.detach().clone() for each in net.parameters()]
            going.step()
    assert all(map(torch.equal, kept, net.parameters()))


@pytest.mark.parametrize("optimiser", EVERY)
def test_a_random_residual_is_for_first_order_methods_only(optimiser: type[Optimiser]) -> None:
    net = nn.Sequential(network(), nn.Dropout(0.5))
    x = points()
    if optimiser in FIRST_ORDER:
        optimiser().on(net, lambda: net(x) - 1).step()
    else:
        with pytest.raises(ArgumentError, match="differs when it is computed again"):
            optimiser().on(net, lambda: net(x) - 1)
    net.eval()
    optimiser().on(net, lambda: net(x) - 1).step()


def test_every_optimiser_that_needs_no_problem_is_offered() -> None:
    offered = {each for each in vars(optimisers).values() if isinstance(each, type)}
    every = {
        each for each in vars(pinnderiv.training.optimisers).values() if isinstance(each, type)
    }
    able = {each for each in every if issubclass(each, Optimiser)}
    assert able - offered == {Optimiser, FeatureSearch, VariableProjection}
    assert set(EVERY) == able & offered


def test_products_with_the_jacobian_need_modules() -> None:
    x = torch.tensor([1.0], dtype=torch.float64, requires_grad=True)
    with pytest.raises(UnsupportedOperationError, match="give the modules that hold all param"):
        GaussNewtonKrylov().on(x, lambda: x - 3).step()


def test_more_parameters_than_residuals() -> None:
    net, x = network(width=40), points(10)
    found = LevenbergMarquardt().minimise(
        net, lambda y: net(y) - torch.sin(9 * y[:, :1]), points=x, steps=40, target=1e-20
    )
    assert found.loss <= 1e-20


@pytest.mark.parametrize("optimiser", [FeatureSearch, VariableProjection])
def test_what_needs_a_problem_says_so(optimiser: type[Optimiser]) -> None:
    net, x = network(), points()
    with pytest.raises(ConfigurationError, match="was given a residual function"):
        optimiser().on(net, lambda: net(x))


def test_a_number_of_steps_is_needed() -> None:
    net, x = network(), points()
    with pytest.raises(ArgumentError, match="needs a number of steps"):
        Adam().minimise(net, lambda: net(x))
    with pytest.raises(ArgumentError, match="at least 1"):
        Adam().minimise(net, lambda: net(x), steps=0)
