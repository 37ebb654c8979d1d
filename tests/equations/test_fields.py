"""Functions of the coordinates mean their coordinates by name, whatever the columns are."""

import pytest
import torch
from torch import Tensor

from pinnderiv.equations import Equation, GridFunction, TextField, Trainable
from pinnderiv.errors import ArgumentError

HEAT = "u_t - k*u_xx - k_x*u_x"


def columns(order: tuple[str, ...], x: Tensor, t: Tensor) -> Tensor:
    return torch.stack([{"x": x, "t": t}[name] for name in order], -1)


def swapped(make: object, text: str = HEAT) -> tuple[Tensor, Tensor]:
    """The residual of one function at the same places, with the columns in two orders.

    Both equations are made before either is used.
    """
    x, t = torch.rand(2, 9, dtype=torch.float64)
    orders = (("x", "t"), ("t", "x"))
    equations = [Equation(text, order, k=make) for order in orders]

    def u(order: tuple[str, ...]) -> object:
        at, of = order.index("x"), order.index("t")
        return lambda p: torch.sin(2 * p[:, at : at + 1]) * torch.exp(-p[:, of : of + 1])

    one, two = (
        equation.residual(u(order), columns(order, x, t))  # type: ignore[arg-type]
        for equation, order in zip(equations, orders, strict=True)
    )
    return one, two


@pytest.mark.parametrize(
    "k",
    [
        GridFunction({"x": [0.0, 0.4, 1.0]}, [1.0, 2.0, 4.0], smooth=True),
        GridFunction({"t": [0.0, 1.0], "x": [0.0, 0.4, 1.0]}, [[1.0, 2, 4], [3, 1, 2]]),
        TextField("1 + x**2*exp(-t)", ("x", "t")),
        TextField("1 + x**2", ("x",)),
    ],
)
def test_one_function_serves_equations_with_other_columns(k: object) -> None:
    one, two = swapped(k)
    assert float(one.abs().max()) > 0.1
    torch.testing.assert_close(one, two, rtol=1e-12, atol=1e-12)


def test_a_text_field_knows_its_coordinates_by_name() -> None:
    field = TextField("x - 3*t*a", ("t", "x"), a=2)
    moved = field.over(("y", "x", "t"))
    points = torch.rand(5, 3, dtype=torch.float64)
    torch.testing.assert_close(moved(points)[:, 0], points[:, 1] - 6 * points[:, 2])
    slope = moved.derivative("t")(points)
    torch.testing.assert_close(slope, torch.full_like(slope, -6))
    assert field.over(("t", "x")) is field
    with pytest.raises(ArgumentError, match=r"depends on \['t'\], and the coordinates are \('x',"):
        field.over(("x", "y"))
    with pytest.raises(ArgumentError, match=r"depends on \['t'\]"):
        Equation("k*u_xx + u_yy", ("x", "y"), k=field)


def test_a_manufactured_solution_means_its_coordinates_by_name() -> None:
    equation = Equation("u_t - nu*u_xx", ("x", "t"), nu=Trainable(1.0, true=0.5))
    points = torch.rand(7, 2, dtype=torch.float64)
    expected = equation.source_for("sin(x)*exp(-3*t)")(points)
    field = TextField("sin(x)*exp(-3*t)", ("t", "x"))
    torch.testing.assert_close(equation.source_for(field)(points), expected)


def test_complex_numbers_of_sympy_are_refused() -> None:
    sympy = pytest.importorskip("sympy")
    u_t, u_xx = sympy.symbols("u_t u_xx")
    with pytest.raises(ArgumentError, match="I in the SymPy expression is no real number"):
        Equation(sympy.I * u_t - u_xx)
