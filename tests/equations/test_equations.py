import itertools
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from pinnderiv.equations import Equation, Heat, Poisson, Wave
from pinnderiv.errors import ArgumentError, ShapeError

EQUATIONS: list[tuple[Equation, Callable[[list[Tensor], list[Tensor]], Tensor]]] = [
    # The left-hand side by hand, from first (g) and unmixed second (h) derivatives by column.
    (Heat(("x",), 0.3), lambda g, h: g[1] - 0.3 * h[0]),
    (Heat(("x", "y", "z"), 2.0), lambda g, h: g[3] - 2 * (h[0] + h[1] + h[2])),
    (Heat(("x", "y"), (0.1, 5.0)), lambda g, h: g[2] - 0.1 * h[0] - 5 * h[1]),
    (Wave(("x",), 3.0), lambda g, h: h[1] - 9 * h[0]),
    (Wave(("x", "y"), 0.5), lambda g, h: h[2] - 0.25 * (h[0] + h[1])),
    (Poisson(("x", "y")), lambda g, h: -h[0] - h[1]),
    (Poisson(("x1", "x2", "x3", "x4")), lambda g, h: -(h[0] + h[1] + h[2] + h[3])),
]
equations = pytest.mark.parametrize(
    ("equation", "by_hand"),
    EQUATIONS,
    ids=[f"{type(e).__name__} {','.join(e.coordinates)}" for e, _ in EQUATIONS],
)


def network(columns: int) -> nn.Module:
    torch.manual_seed(1)
    return nn.Sequential(nn.Linear(columns, 12), nn.Tanh(), nn.Linear(12, 1)).double()


def columnwise(u: nn.Module, x: Tensor) -> tuple[list[Tensor], list[Tensor]]:
    """First and unmixed second derivatives by reverse mode twice, (N, 1) each."""
    x = x.detach().requires_grad_()
    (gradient,) = torch.autograd.grad(u(x).sum(), x, create_graph=True)
    first = [gradient[:, [c]] for c in range(x.shape[1])]
    second = [
        torch.autograd.grad(g.sum(), x, create_graph=True)[0][:, [c]] for c, g in enumerate(first)
    ]
    return first, second


@equations
def test_residual_is_the_equation(
    equation: Equation, by_hand: Callable[[list[Tensor], list[Tensor]], Tensor]
) -> None:
    u = network(len(equation.coordinates))
    x = torch.rand(9, len(equation.coordinates), dtype=torch.float64)
    source = torch.rand(9, 1, dtype=torch.float64)
    expected = by_hand(*columnwise(u, x))
    assert torch.allclose(equation.residual(u, x), expected, rtol=1e-10, atol=1e-11)
    got = equation.residual(u, x, source)
    assert torch.allclose(got, expected - source, rtol=1e-10, atol=1e-11)


@equations
def test_residual_trains(
    equation: Equation, by_hand: Callable[[list[Tensor], list[Tensor]], Tensor]
) -> None:
    u = network(len(equation.coordinates))
    x = torch.rand(9, len(equation.coordinates), dtype=torch.float64)
    weights = [u[0].weight, u[0].bias, u[2].weight]
    got = torch.autograd.grad(equation.residual(u, x).square().mean(), weights)
    expected = torch.autograd.grad(by_hand(*columnwise(u, x)).square().mean(), weights)
    for a, b in zip(got, expected, strict=True):
        assert torch.allclose(a, b, rtol=1e-9, atol=1e-11)


@equations
def test_central_differences_converge_to_it_with_second_order(
    equation: Equation, by_hand: Callable[[list[Tensor], list[Tensor]], Tensor]
) -> None:
    columns = len(equation.coordinates)
    u = network(columns)
    x = torch.rand(9, columns, dtype=torch.float64)

    def differences(step: float) -> Tensor:
        shifts = step * torch.eye(columns, dtype=torch.float64)
        ahead, behind = [u(x + s) for s in shifts], [u(x - s) for s in shifts]
        first = [(a - b) / (2 * step) for a, b in zip(ahead, behind, strict=True)]
        second = [(a - 2 * u(x) + b) / step**2 for a, b in zip(ahead, behind, strict=True)]
        return by_hand(first, second)

    exact = equation.apply(u, x)
    errors = [float((differences(step) - exact).norm().detach()) for step in (4e-2, 2e-2, 1e-2)]
    for coarse, fine in itertools.pairwise(errors):
        assert coarse / fine == pytest.approx(4, rel=0.05)


def test_coordinates_and_number_of_initial_conditions() -> None:
    heat, wave, poisson = Heat(("x", "y"), 1.0), Wave("x", 1.0), Poisson(("x", "y"))
    assert heat.coordinates == ("x", "y", "t") and heat.time_order == 1
    assert wave.coordinates == ("x", "t") and wave.time_order == 2
    assert poisson.coordinates == ("x", "y") and poisson.time_order == 0


def test_options_reach_the_derivatives() -> None:
    equation, u = Heat(("x",), 0.3), network(2)
    x = torch.rand(10, 2, dtype=torch.float64)
    whole = equation.residual(u, x)
    for options in ({"chunk_size": 3}, {"check": False}):
        assert torch.allclose(equation.residual(u, x, **options), whole, rtol=1e-11, atol=1e-13)
    with pytest.raises(ArgumentError, match="method"):
        equation.residual(u, x, method="magic")


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: Heat(("x",), -1.0), "diffusivity must be a finite number above zero; got -1.0"),
        (lambda: Heat(("x",), float("inf")), "diffusivity"),
        (lambda: Heat(("x",), "fast"), "diffusivity must be a number"),
        (lambda: Heat(("x", "y"), (1.0,)), r"one for each of \(x, y\); got 1"),
        (lambda: Heat(("x", "y"), (1.0, 0.0)), "diffusivity"),
        (lambda: Wave(("x",), 0.0), "speed must be a finite number above zero; got 0.0"),
        (lambda: Wave(("x",), [1.0]), "speed must be a number"),
        (lambda: Heat(("x", "t"), 1.0), "without time"),
        (lambda: Poisson(()), "space must name"),
        (lambda: Poisson(("x", "x")), "each coordinate once"),
    ],
)
def test_bad_parameters_are_refused(build: Callable[[], Equation], message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        build()


def test_wrong_shapes_are_refused() -> None:
    equation, u = Heat(("x",), 0.3), network(2)
    x = torch.rand(10, 2, dtype=torch.float64)
    with pytest.raises(ShapeError, match=r"source must be \(10, 1\).*got \(10,\)"):
        equation.residual(u, x, torch.zeros(10, dtype=torch.float64))
    with pytest.raises(ShapeError, match=r"columns \(x, t\); got \(10, 3\)"):
        equation.residual(u, torch.rand(10, 3))
