"""Equations as text: residuals against independent derivatives, and everything around them."""

import copy
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import sympy
import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap

from pinnderiv.equations import CATALOGUE, Equation, GridFunction, TextField, Trainable
from pinnderiv.errors import ArgumentError, ShapeError

D = Callable[[int], Callable[..., Tensor]]


def network(columns: int, outputs: int = 1, dtype: torch.dtype = torch.float64) -> nn.Module:
    torch.manual_seed(1)
    return nn.Sequential(
        nn.Linear(columns, 10), nn.Tanh(), nn.Linear(10, 10), nn.Tanh(), nn.Linear(10, outputs)
    ).to(dtype)


def points(columns: int, rows: int = 6) -> Tensor:
    return torch.rand(
        rows, columns, dtype=torch.float64, generator=torch.Generator().manual_seed(2)
    )


def by_autograd(u: nn.Module, x: Tensor) -> Callable[..., Tensor]:
    """∂ of one output by columns, (N,), by reverse mode again and again: shares no formula."""
    x = x.detach().requires_grad_()
    values = u(x)

    def derivative(*columns: int, of: int = 0) -> Tensor:
        found = values[:, of]
        for column in columns:
            (slopes,) = torch.autograd.grad(found.sum(), x, create_graph=True)
            found = slopes[:, column]
        return found

    return derivative


def k(x: Tensor) -> Tensor:
    return 1 + x[..., 0] ** 2 * x[..., 1]


AXES = (torch.linspace(0, 1, 5), torch.linspace(0, 1, 4))
TABLE = torch.rand(5, 4, generator=torch.Generator().manual_seed(0))
GRID = GridFunction(AXES, TABLE, smooth=True)


def flux(d: Callable[..., Tensor], x: Tensor, c: Callable[[Tensor], Tensor]) -> Tensor:
    """div(c grad u) in columns 0 and 1, the slopes of c by autograd."""
    x = x.detach().requires_grad_()
    value = c(x).reshape(-1)
    (slope,) = torch.autograd.grad(value.sum(), x)
    return value * (d(0, 0) + d(1, 1)) + slope[:, 0] * d(0) + slope[:, 1] * d(1)


CASES = {
    "burgers": (
        Equation("u_t + u*u_x - nu*u_xx", nu=0.01),
        lambda d, x: d(1) + d() * d(0) - 0.01 * d(0, 0),
        2,
    ),
    "heat with a source": (
        Equation("u_t - kappa*laplacian(u) = sin(x)*y", ("x", "y", "t"), kappa=0.3),
        lambda d, x: d(2) - 0.3 * (d(0, 0) + d(1, 1)) - torch.sin(x[:, 0]) * x[:, 1],
        3,
    ),
    "variable coefficient": (
        Equation("u_t - div(k*grad(u))", ("x", "y", "t"), k="1 + x**2*y"),
        lambda d, x: d(2) - flux(d, x, k),
        4,
    ),
    "coefficient by a function": (
        Equation("div(k*grad(u)) + 1", ("x", "y"), k=k),
        lambda d, x: flux(d, x, k) + 1,
        3,
    ),
    "coefficient on a grid": (
        Equation("div(k*grad(u))", ("x", "y"), k=GRID),
        lambda d, x: flux(d, x, GRID),
        3,
    ),
    "different coefficients": (
        Equation("u_xx + (1 + x**2)*u_yy + 3*u_xy - y*u", ("x", "y")),
        lambda d, x: d(0, 0) + (1 + x[:, 0] ** 2) * d(1, 1) + 3 * d(0, 1) - x[:, 1] * d(),
        3,
    ),
    "coefficient of the solution": (
        Equation("(1 + u**2)*laplacian(u) + dot(grad(u), grad(u))", ("x", "y")),
        lambda d, x: (1 + d() ** 2) * (d(0, 0) + d(1, 1)) + d(0) ** 2 + d(1) ** 2,
        3,
    ),
    "porous medium": (
        Equation("u_t - d(u**2*u_x, x)"),
        lambda d, x: d(1) - 2 * d() * d(0) ** 2 - d() ** 2 * d(0, 0),
        3,
    ),
    "products of second derivatives": (
        Equation("u_xx*u_yy - u_xy**2", ("x", "y")),
        lambda d, x: d(0, 0) * d(1, 1) - d(0, 1) ** 2,
        5,
    ),
    "Korteweg-de Vries": (
        Equation("u_t + 6*u*u_x + u_xxx"),
        lambda d, x: d(1) + 6 * d() * d(0) + d(0, 0, 0),
        None,
    ),
    "Kuramoto-Sivashinsky": (
        Equation("u_t + u*u_x + u_xx + u_xxxx"),
        lambda d, x: d(1) + d() * d(0) + d(0, 0) + d(0, 0, 0, 0),
        None,
    ),
    "plate of two stiffnesses": (
        Equation("u_xxxx + 4*u_xxyy + 4*u_yyyy", ("x", "y")),
        lambda d, x: d(0, 0, 0, 0) + 4 * d(0, 0, 1, 1) + 4 * d(1, 1, 1, 1),
        15,
    ),
    "first order": (
        Equation("u_t + dot(b, grad(u))", ("x", "y", "t"), b=["-y", "x"]),
        lambda d, x: d(2) - x[:, 1] * d(0) + x[:, 0] * d(1),
        1,
    ),
    "algebraic in its slope": (
        Equation("sqrt(1 + u_x**2) + exp(-u) - max(u_t, 0)"),
        lambda d, x: torch.sqrt(1 + d(0) ** 2) + torch.exp(-d()) - d(1).clamp(min=0),
        2,
    ),
}
cases = pytest.mark.parametrize(("equation", "by_hand", "channels"), CASES.values(), ids=CASES)


@cases
def test_the_residual_is_what_the_text_says(
    equation: Equation, by_hand: Callable[..., Tensor], channels: int | None
) -> None:
    x, u = points(len(equation.coordinates)), network(len(equation.coordinates))
    expected = by_hand(by_autograd(u, x), x)
    got = equation(u)(x)
    assert got.shape == (6, 1)
    assert torch.allclose(got.squeeze(-1), expected, rtol=1e-9, atol=1e-10)
    weights = list(u.parameters())[:-1]
    gradients = torch.autograd.grad(got.square().sum(), weights)
    wanted = torch.autograd.grad(expected.square().sum(), weights)
    for a, b in zip(gradients, wanted, strict=True):
        assert torch.allclose(a, b, rtol=1e-7, atol=1e-8)
    for options in ({"chunk_size": 4}, {"check": False}, {"method": "reverse"}):
        again = equation.residual(u, x, **options)
        assert torch.allclose(again.squeeze(-1), expected, rtol=1e-9, atol=1e-10)
    if channels is not None:
        assert f"channels beside the value: {channels}\n" in equation.explain() + "\n"


@cases
def test_rows_alone_under_vmap_have_the_gradients_of_the_batch(
    equation: Equation, by_hand: Callable[..., Tensor], channels: int | None
) -> None:
    x, u = points(len(equation.coordinates), 3), network(len(equation.coordinates))
    parameters = {n: p.detach() for n, p in u.named_parameters()}

    def at(parameters: dict[str, Tensor], row: Tensor) -> Tensor:
        def f(y: Tensor) -> Tensor:
            return functional_call(u, parameters, (y,))

        return equation.residual(f, row[None], check=False).sum()

    rows = vmap(grad(at), in_dims=(None, 0))(parameters, x)
    residual = equation.residual(u, x).squeeze(-1)
    for n in range(3):
        (expected,) = torch.autograd.grad(residual[n], u[2].weight, retain_graph=True)
        assert torch.allclose(rows["2.weight"][n], expected, rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize("name", CATALOGUE)
def test_every_shipped_equation_has_its_solution(name: str) -> None:
    entry = CATALOGUE[name]
    equation, solution, source = entry.equation(), entry.exact_solution(), entry.source()
    x = points(len(equation.coordinates), 40) * 1.6 - 0.4
    residual = equation.residual(solution, x, None if source is None else source(x))
    assert residual.shape == (40, equation.count)
    assert residual.abs().max() < 1e-10
    # and by derivatives that share no formula with the first
    again = equation.residual(solution, x, None if source is None else source(x), method="reverse")
    assert again.abs().max() < 1e-10
    # a residual that is zero for everything would pass: another function must not solve it
    assert equation.residual(lambda y: solution(y) + y[..., :1] ** 4, x).abs().max() > 1e-2
    assert "channels" in equation.explain()


def test_shipped_solutions_follow_their_parameters() -> None:
    entry = CATALOGUE["burgers"]
    x = points(2)
    assert entry.equation(nu=0.2).residual(entry.exact_solution(nu=0.2), x).abs().max() < 1e-12
    assert entry.equation(nu=0.2).residual(entry.exact_solution(), x).abs().max() > 1e-3
    with pytest.raises(ArgumentError, match="no parameter 'mu'; it has"):
        entry.equation(mu=1.0)


def test_a_system_is_solved_by_columns() -> None:
    equation = Equation(
        {"mass": "rho_t + d(rho*v, x)", "momentum": "v_t + v*v_x + rho_x = 0"},
        ("x", "t"),
        ("rho", "v"),
    )
    x, net = points(2), network(2, 2)
    d = by_autograd(net, x)
    expected = torch.stack(
        [
            d(1) + d(0) * d(of=1) + d() * d(0, of=1),
            d(1, of=1) + d(of=1) * d(0, of=1) + d(0),
        ],
        dim=-1,
    )
    assert torch.allclose(equation.residual(net, x), expected, rtol=1e-10)
    assert equation.names == ("mass", "momentum") and equation.count == 2 and not equation.linear
    assert equation.order("x", "rho") == 1 and equation.time_order == 1
    with pytest.raises(ShapeError, match="u has 1 outputs"):
        equation.residual(network(2), x)


def test_linear_parts_add_up() -> None:
    x = points(2)
    for text, linear in {
        "u_tt - laplacian(u) = x*t": True,
        "u_t - d(k*u_x, x) + u = exp(x)": True,
        "u_t + u*u_x": False,
        "(1 + u_x)**2": False,
        "abs(u_x)": False,
    }.items():
        values = {"k": "2 + x"} if "k" in text else {}
        equation = Equation(text, **values)
        assert equation.linear is linear
        if not linear:
            with pytest.raises(ArgumentError, match="not linear"):
                equation.apply(network(2), x)
            continue
        many = network(2, 5)
        applied = equation.apply(many, x)
        whole = equation.residual(many, x)
        assert applied.shape == (6, 5) and equation.free_part(x).shape == (6, 1)
        assert torch.allclose(whole, applied + equation.free_part(x), rtol=1e-12)
        column = equation.apply(lambda y, net=many: net(y)[..., 3:4], x)
        assert torch.allclose(applied[:, 3:4], column, rtol=1e-10, atol=1e-12)
        assert torch.allclose(equation.apply(lambda y, net=many: 2 * net(y), x), 2 * applied)


def test_unknown_numbers_get_gradients() -> None:
    x, u = points(2), network(2)
    given = nn.Parameter(torch.tensor(1.5))
    equation = Equation("u_t + a*u*u_x - nu*u_xx", a=given, nu=Trainable(0.3, true=0.1))
    assert set(equation.trainable) == {"a", "nu"} and equation.true == {"nu": 0.1}
    assert equation.trainable["a"] is given
    assert equation.estimates() == {"a": 1.5, "nu": 0.3}
    loss = equation.residual(u, x).square().mean()
    got = torch.autograd.grad(loss, [given, equation.trainable["nu"]])
    d = by_autograd(u, x)
    a, nu = (torch.tensor(v, dtype=torch.float64, requires_grad=True) for v in (1.5, 0.3))
    by_hand = (d(1) + a * d() * d(0) - nu * d(0, 0)).square().mean()
    for g, w in zip(got, torch.autograd.grad(by_hand, [a, nu]), strict=True):
        assert torch.allclose(g.double(), w, rtol=1e-6)

    # another value, by functional_call through the module that holds them
    class Holder(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.unknowns = equation.unknowns

        def forward(self, y: Tensor) -> Tensor:
            return equation.residual(u, y)

    swapped = functional_call(
        Holder(), {"unknowns.numbers.nu": torch.tensor(0.7, dtype=torch.float64)}, (x,)
    )
    fixed = Equation("u_t + 1.5*u*u_x - 0.7*u_xx").residual(u, x)
    assert torch.allclose(swapped, fixed, rtol=1e-9)


def test_a_coefficient_can_be_a_network() -> None:
    coefficient, u, x = network(2), network(2), points(2)
    equation = Equation("u_t - d(k*u_x, x)", k=coefficient)
    d, c = by_autograd(u, x), by_autograd(coefficient, x)
    expected = d(1) - c(0) * d(0) - c() * d(0, 0)
    got = equation.residual(u, x).squeeze(-1)
    assert equation.networks["k"] is coefficient
    assert torch.allclose(got, expected, rtol=1e-10)
    parameters = list(coefficient.parameters())
    for a, b in zip(
        torch.autograd.grad(got.sum(), parameters),
        torch.autograd.grad(expected.sum(), parameters),
        strict=True,
    ):
        assert torch.allclose(a, b, rtol=1e-8, atol=1e-11)


def test_manufactured_sources() -> None:
    equation = Equation("u_t + u*u_x - d(k*u_x, x)", k="1 + x**2")
    x = points(2)
    text = "sin(pi*x)*exp(-t)"
    source = equation.source_for(text)
    exact = TextField(text)
    assert equation.residual(exact, x, source(x)).abs().max() < 1e-12
    numeric = equation.source_for(lambda y: exact(y))
    assert torch.allclose(source(x), numeric(x), rtol=1e-10)
    single = source(x.float())
    assert single.dtype == torch.float32 and torch.allclose(single.double(), source(x), rtol=1e-5)
    inverse = Equation("u_t - nu*u_xx", nu=Trainable(1.0, true=0.25))
    wanted = Equation("u_t - 0.25*u_xx").source_for(text)
    assert torch.allclose(inverse.source_for(text)(x), wanted(x))
    with pytest.raises(ArgumentError, match="true values"):
        Equation("u_t - nu*u_xx", nu=Trainable(1.0)).source_for(text)


def test_sympy_expressions_are_read() -> None:
    x, t, nu = sympy.symbols("x t nu")
    f = sympy.Function("u")(x, t)
    wave = sympy.Eq(f.diff(t) + f * f.diff(x), nu * f.diff(x, 2) + sympy.sin(x) * sympy.exp(-t))
    equation = Equation(wave, nu=0.1)
    same = Equation("u_t + u*u_x = nu*u_xx + sin(x)*exp(-t)", nu=0.1)
    net, y = network(2), points(2)
    assert torch.allclose(equation.residual(net, y), same.residual(net, y), rtol=1e-12)
    symbols = Equation(sympy.Symbol("u_t") - sympy.Symbol("u_xx"))
    assert torch.allclose(symbols.residual(net, y), Equation("u_t - u_xx").residual(net, y))
    with pytest.raises(ArgumentError, match="gamma of SymPy"):
        Equation(sympy.gamma(f.diff(x)))
    with pytest.raises(ArgumentError, match="unknown name 'w_x'"):
        Equation(sympy.Symbol("w_x"))


def test_python_functions_of_the_derivatives() -> None:
    equation = Equation.from_function(
        lambda d: d["u_t"] + d["u"] * d["u_x"] - d["nu"] * d["x"] * d["u_xx"],
        request=["u", "u_t", "u_x", "u_xx"],
        nu=Trainable(0.1, true=0.2),
    )
    same = Equation("u_t + u*u_x - 0.1*x*u_xx")
    net, x = network(2), points(2)
    assert torch.allclose(equation.residual(net, x), same.residual(net, x), rtol=1e-6)
    assert equation.time_order == 1 and equation.order("x") == 2 and not equation.linear
    (gradient,) = torch.autograd.grad(equation.residual(net, x).sum(), [equation.trainable["nu"]])
    assert gradient.abs() > 0
    known = Equation("u_t + u*u_x - 0.2*x*u_xx").source_for("sin(x)*t")
    assert torch.allclose(equation.source_for("sin(x)*t")(x), known(x), rtol=1e-6)
    wrong = Equation.from_function(lambda d: d["u_t"].sum(), request=["u_t"])
    with pytest.raises(ShapeError, match="one number a point"):
        wrong.residual(net, x)


def test_single_precision_and_other_shapes() -> None:
    equation = Equation("u_t + u*u_x - nu*u_xx = k", nu=0.01, k="x/3")
    x, u = points(2), network(2)
    double = equation.residual(u, x)
    single = equation.residual(copy.deepcopy(u).float(), x.float())
    assert single.dtype == torch.float32
    assert torch.allclose(single.double(), double, rtol=1e-4, atol=1e-5)
    cube = equation.residual(u, x.reshape(2, 3, 2))
    assert torch.allclose(cube, double.reshape(2, 3, 1), rtol=1e-12)


def test_equations_can_be_copied_and_sent() -> None:
    equation = Equation("u_t + a*u*u_x - d(k*u_x, x)", a=Trainable(2.0), k="1 + x**2")
    u, x = network(2), points(2)
    for other in (copy.deepcopy(equation), pickle.loads(pickle.dumps(equation))):
        assert torch.equal(other.residual(u, x), equation.residual(u, x))
        assert other.trainable["a"] is not equation.trainable["a"]
        with torch.no_grad():
            other.trainable["a"].fill_(3.0)
        assert not torch.allclose(other.residual(u, x), equation.residual(u, x))


def test_slopes_survive_a_narrow_first_layer() -> None:
    # more directions than the first layer is wide, which Taylor mode makes fewer of elsewhere
    names = (*(f"x{n}" for n in range(8)), "t")
    equation = Equation("u_t - laplacian(u) + u*(u_x0 + u_x1)*u_t + u_x3**2", names)
    torch.manual_seed(0)
    u = nn.Sequential(nn.Linear(9, 3), nn.Tanh(), nn.Linear(3, 1)).double()
    x = torch.rand(2000, 9, dtype=torch.float64)
    got = equation.residual(u, x, method="taylor")
    assert torch.allclose(got, equation.residual(u, x, method="reverse"), rtol=1e-10, atol=1e-13)


def test_compiled_equals_eager() -> None:
    equation = Equation("u_t + u*u_x - d(k*u_x, x)", k="0.1 + x**2")
    u, x = network(2), points(2)
    compiled = torch.compile(lambda y: equation(u)(y), fullgraph=True, backend="aot_eager")
    eager, got = equation.residual(u, x), compiled(x)
    assert torch.allclose(got, eager, rtol=1e-10)
    for a, b in zip(
        torch.autograd.grad(got.square().sum(), u[0].weight),
        torch.autograd.grad(eager.square().sum(), u[0].weight),
        strict=True,
    ):
        assert torch.allclose(a, b, rtol=1e-9)


def test_grids_interpolate(tmp_path: Path) -> None:
    axes = {"y": np.linspace(0, 1, 4), "x": np.array([0.0, 0.3, 1.0])}
    table = 2 * axes["y"][:, None] - 3 * axes["x"] + axes["y"][:, None] * axes["x"]
    np.savez(tmp_path / "k.npz", values=table, **axes)
    x = points(3, 20)
    expected = 2 * x[:, 1] - 3 * x[:, 0] + x[:, 0] * x[:, 1]
    grid = GridFunction.from_npz(tmp_path / "k.npz").over(("x", "y", "t"))
    assert torch.allclose(grid(x).squeeze(-1), expected, rtol=1e-12)
    assert torch.allclose(grid.partial(x, (0,)).squeeze(-1), -3 + x[:, 1], rtol=1e-10)
    assert not grid.partial(x, (2,)).any()
    assert torch.allclose(grid(torch.full((1, 3), 9.0).double()), grid(torch.ones(1, 3).double()))
    # smooth interpolation converges with third order for smooth functions
    errors = []
    for count in (20, 40, 80):
        line = torch.linspace(0, 1, count)
        smooth = GridFunction([line], torch.sin(5 * line.double()), smooth=True)
        inner = torch.linspace(0.2, 0.8, 500, dtype=torch.float64)[:, None]
        errors.append(float((smooth(inner) - torch.sin(5 * inner)).abs().max()))
    assert errors[0] / errors[1] > 6 and errors[1] / errors[2] > 6
    u = network(2)
    k = Equation("k*u_x", ("x", "y"), k=GRID).residual(u, points(2), method="reverse")
    assert torch.allclose(k, Equation("k*u_x", ("x", "y"), k=GRID).residual(u, points(2)))


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: Equation("u_t - u_xx", nu=0.1), r"values \['nu'\] do not occur"),
        (lambda: Equation("u_t - nu*u_xx"), r"unknown name 'nu' at column 7"),
        (lambda: Equation("x + t"), "no unknown"),
        (lambda: Equation("u - x"), "no derivative"),
        (lambda: Equation("u_x - u_x + u"), "no derivative"),
        (lambda: Equation("u_t - u_xx", outputs=("u", "v")), r"\['v'\] do not occur"),
        (lambda: Equation(["u_t"], outputs=()), "no unknown|unknown name"),
        (lambda: Equation(3), "a text or a sympy expression"),
        (lambda: Equation([]), "no equation"),
        (lambda: Equation("u_t", "xt"), "must be a sequence of names"),
        (lambda: Equation("u_t*k", k=[torch.ones(2)]), "k\\[0\\]"),
        (lambda: Equation("u_t*k", k=torch.ones(2)), "shape"),
        (lambda: Equation("u_t*k", k=float("nan")), "finite"),
        (lambda: Equation("u_t*k", k=True), "k must be a number"),
        (lambda: Equation("u_t*k", k=None), "k must be a number"),
        (lambda: Equation("u_t*keys", keys=Trainable(1.0)), "cannot be the name"),
        (lambda: Trainable(float("inf")), "initial must be a finite number"),
        (lambda: Equation("u_t").order("z"), "none of the coordinates"),
        (lambda: Equation("u_t").source_for(["x", "t"]), "got 2"),
        (lambda: GridFunction([[0.0, 1.0], [1.0, 0.0]], np.ones((2, 2))), "rising"),
        (lambda: GridFunction([[0.0, 1.0]], np.ones(3)), "values on the grid must be"),
        (lambda: TextField("u + x"), "unknown name 'u'"),
        (lambda: TextField("x", a=1.0), "not used"),
    ],
)
def test_what_makes_no_sense_is_refused(build: Callable[[], object], message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        build()


def test_coefficients_of_wrong_shape_are_refused() -> None:
    equation = Equation("k*u_t", k=lambda x: torch.ones(3, 2))
    with pytest.raises(ShapeError, match="one value a point"):
        equation.residual(network(2), points(2))
