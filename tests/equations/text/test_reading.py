"""The language: what texts mean, and what is refused with a place and a hint."""

import math

import pytest
import sympy
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pinnderiv.equations import Equation, TextField
from pinnderiv.equations.text.expression import Atom, Number, combine, multiply, power
from pinnderiv.equations.text.reading import read, read_equation
from pinnderiv.equations.text.scope import Scope
from pinnderiv.errors import ArgumentError

POINTS = torch.tensor([[0.3, 0.7], [1.1, 0.2], [0.45, 1.6]], dtype=torch.float64)


def texts(depth: int) -> st.SearchStrategy[str]:
    """Expressions in x and t that are finite and smooth near the points."""
    leaf = st.sampled_from(["x", "t", "2", "0.5", "pi", "1.5e-1", "k"])
    if depth == 0:
        return leaf
    inner = texts(depth - 1)
    return st.one_of(
        leaf,
        st.builds("({} + {})".format, inner, inner),
        st.builds("{} - {}".format, inner, leaf).map(lambda text: f"({text})"),
        st.builds("{}*{}".format, inner, inner),
        st.builds("({})/(2 + ({})**2)".format, inner, inner),
        st.builds("-({})".format, inner),
        st.builds("({})**{}".format, inner, st.sampled_from(["2", "3", "5"])),
        st.builds("(1 + ({})^2)**{}".format, inner, st.sampled_from(["-1", "0.5", "-1.5", "x"])),
        st.builds("{}({})".format, st.sampled_from(["sin", "cos", "tanh", "erf", "atan"]), inner),
        st.builds("exp(-({})**2)".format, inner),
        st.builds("log(3 + cos({}))".format, inner),
        st.builds("sqrt(2 + sin({}))".format, inner),
        st.builds("atan2({}, 2 + ({})**2)".format, inner, inner),
    )


def by_sympy(text: str, *by: str) -> torch.Tensor:
    """The oracle: SymPy's own parser, derivatives and 30-digit numbers."""
    x, t = sympy.symbols("x t")
    k = sympy.sin(x) + t
    expression = sympy.sympify(text.replace("^", "**"), locals={"x": x, "t": t, "k": k})
    for name in by:
        expression = sympy.diff(expression, {"x": x, "t": t}[name])
    values = [
        complex(expression.evalf(30, subs={x: sympy.Float(a), t: sympy.Float(b)}))
        for a, b in POINTS.tolist()
    ]
    assert all(abs(value.imag) < 1e-12 for value in values)
    return torch.tensor([value.real for value in values], dtype=torch.float64)


def assert_close(got: torch.Tensor, expected: torch.Tensor) -> None:
    scale = expected.abs().max().clamp(min=1.0)
    assert torch.allclose(got / scale, expected / scale, rtol=1e-9, atol=1e-10)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(texts(3))
def test_values_are_those_of_sympy(text: str) -> None:
    field = TextField(text, ("x", "t"), **({"k": "sin(x) + t"} if "k" in text else {}))
    assert_close(field(POINTS).squeeze(-1), by_sympy(text))


@settings(max_examples=30, deadline=None, derandomize=True)
@given(texts(2), st.sampled_from([("x",), ("t",), ("x", "x"), ("x", "t")]))
def test_derivatives_are_those_of_sympy(text: str, by: tuple[str, ...]) -> None:
    field = TextField(text, ("x", "t"), **({"k": "sin(x) + t"} if "k" in text else {}))
    assert_close(field.derivative(*by)(POINTS).squeeze(-1), by_sympy(text, *by))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("2**3**2", 512.0),
        ("-2**2", -4.0),
        ("2**-2", 0.25),
        ("2^3", 8.0),
        ("6/2*3", 9.0),
        ("1 - 2 - 3", -4.0),
        ("--3", 3.0),
        ("e", math.e),
        ("1e-3 + .5", 0.501),
        ("max(2, min(5, 3)) + abs(-2) + sign(-7)", 4.0),
        ("heaviside(2) + heaviside(0)", 1.5),
        ("pow(2, 3) + ln(e)", 9.0),
        ("[1, 2]·[3, 4]", 11.0),
        ("dot([1, 2], 2*[3, 4] - [1, 1])", 19.0),
    ],
)
def test_numbers(text: str, value: float) -> None:
    assert read(text, Scope(("x",), (), {}, read)) == Number(value)


@pytest.mark.parametrize(
    "name",
    ["tan", "sinh", "cosh", "asin", "acos", "abs", "sign", "heaviside"],
)
def test_every_function_has_its_value_and_slope(name: str) -> None:
    field = TextField(f"{name}(x*t/2)", ("x", "t"))
    x = POINTS.clone().requires_grad_()
    inner = x[:, 0] * x[:, 1] / 2
    torch_name = {"heaviside": lambda z: (z > 0).to(z)}.get(name) or getattr(torch, name)
    expected = torch_name(inner)
    assert torch.allclose(field(x).squeeze(-1), expected)
    if expected.requires_grad:
        (slope,) = torch.autograd.grad(expected.sum(), x)
        assert torch.allclose(field.derivative("t")(x).squeeze(-1), slope[:, 1])


def test_minimum_and_maximum_differentiate_as_what_they_pick() -> None:
    field = TextField("min(x**2, t) + max(x, 3*t)", ("x", "t")).derivative("x")
    x, t = POINTS.unbind(-1)
    expected = torch.where(x**2 < t, 2 * x, 0 * x) + (x > 3 * t).to(x)
    assert torch.allclose(field(POINTS).squeeze(-1), expected)


def scope(**values: object) -> Scope:
    meanings = {n: Number(v) if isinstance(v, float) else v for n, v in values.items()}
    return Scope(("x", "y", "t"), ("u", "v"), meanings, read)


def u(*index: int) -> Atom:
    return Atom("output", "u", index)


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("laplacian(u)", "u_xx + u_yy"),
        ("laplace(u)", "div(grad(u))"),
        ("biharmonic(u)", "u_xxxx + 2*u_xxyy + u_yyyy"),
        ("d(u, x, x)", "u_xx"),
        ("d(u*v, x)", "u_x*v + u*v_x"),
        ("div(k*grad(u))", "k*laplacian(u) + k_x*u_x + k_y*u_y"),
        ("d(k*d(u, x), x)", "2*x*u_x + (1 + x**2)*u_xx"),
        ("div(u*[u, v])", "2*u*u_x + u_y*v + u*v_y"),
        ("div(u*v, v)", "u_x*v + u*v_x + v_y"),
        ("grad(u)·grad(v)", "u_x*v_x + u_y*v_y"),
        ("dot(grad(u), grad(u))", "u_x**2 + u_y**2"),
        ("d(u**2/2, x)", "u*u_x"),
        ("u_t = u_xx", "u_t - u_xx"),
        ("u_yx", "u_xy"),
        ("d([u, v], t)·[1, 2]", "u_t + 2*v_t"),
        ("u_t − k×u", "u_t - k*u"),
    ],
)
def test_operators_are_what_they_stand_for(text: str, same: str) -> None:
    both = []
    for each in (text, same):
        difference = combine([(read_equation(each, scope(k="1 + x**2")), 1.0)])
        both.append(difference)
    values = {}
    generator = torch.Generator().manual_seed(0)

    def value(atom: Atom) -> torch.Tensor:
        if atom not in values:
            values[atom] = torch.rand(4, generator=generator, dtype=torch.float64) + 0.5
        return values[atom]

    from pinnderiv.equations.text.program import Program

    found = []
    for expression in both:
        program = Program([expression])
        found.append(program([value(atom) for atom in program.inputs])[0])
    assert torch.allclose(*found, rtol=1e-12)


def test_names_with_digits_and_several_letters() -> None:
    names = Scope(("x1", "x2", "r"), ("phi", "E_z"), {}, read)
    assert read("phi_x1x1", names) == Atom("output", "phi", (0, 0))
    assert read("phi_rx2", names) == Atom("output", "phi", (1, 2))
    assert read("E_z_x2", names) == Atom("output", "E_z", (1,))


def test_a_coordinate_or_value_hides_a_constant() -> None:
    assert read("e", Scope(("e",), (), {}, read)) == Atom("coordinate", "e", (0,))
    assert read("2*e", Scope(("x",), (), {"e": Number(3.0)}, read)) == Number(6.0)


def test_like_terms_and_powers_are_collected() -> None:
    known = scope()
    assert read("u_x*u - u*u_x", known) == Number(0.0)
    assert read("u*u*u/u", known) == power(u(), Number(2.0))
    assert read("2*u_x + 3*u_x", known) == multiply([Number(5.0), u(0)])
    # roots stay apart, since √u √u is defined for positive u only
    assert read("sqrt(u)*sqrt(u)", known) != u()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "u_t + u*u_x - nu*u_xz",
            r"unknown name 'u_xz' at column 18:\n.*\n {19}\^\nDid you mean 'u_xx'",
        ),
        ("laplacain(u)", r"unknown function 'laplacain' at column 1:(.|\n)*'laplacian'"),
        ("2x*u_x", r"no sign between '2' and 'x' at column 2"),
        ("u_x +", r"missing before the end at column 6"),
        ("(u_x", r"'\)' is missing before the end at column 5"),
        ("u_x)", r"unexpected '\)' at column 4"),
        ("d(u, z)", r"differentiates by coordinates only \(x, y, t\) at column 6"),
        ("d(u, 2)", r"differentiates by coordinates only"),
        ("u(x, t)", r"'u' is not a function"),
        ("sin + u_x", r"'sin' is a function: write sin\(...\)"),
        ("sin(u, v)", r"sin takes 1 argument"),
        ("grad(u)", r"a vector stands as a whole equation"),
        ("grad(u)*grad(v)", r"two vectors cannot be joined by '\*' at column 8"),
        ("grad(u) + u", r"a vector can be added to a vector"),
        ("div(u)", r"div takes a vector"),
        ("div([u, v, u])", r"div takes one component for each of \(x, y\), not 3"),
        ("u_x = u = v", r"unexpected '='"),
        ("u_x/(2 - 2)", r"divides by zero at column 4"),
        ("log(0)*u_x", r"log\(0\) in the expression is no finite number"),
        ("9**9**9**9*u_x", r"no finite number"),
        ("1e999*u_x", r"not finite"),
        ("u_xxxxxxxxx", r"unknown name"),
        ("d(u_xxxxxxxx, x)", r"order 9 is out of reach"),
        ("(" * 5000 + "u" + ")" * 5000, r"more than 60 brackets"),
        ("2**" * 3000 + "u_x", r"more than 60 brackets or powers"),
        ("u_x + " * 9000, r"too long"),
    ],
)
def test_errors_say_where_and_what_was_meant(text: str, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        read_equation(text, scope(nu=0.1))


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os').system('true')",
        "().__class__",
        "u.__class__",
        "lambda: u_x",
        "[u for u in u_x]",
        "u_x if u else u",
        "exec(u_x)",
        "eval(u_x)",
        "open(u_x)",
        "'u_x'",
        '"u_x"',
        "f'{u_x}'",
        "u_x; u_x",
        "u_x := 1",
        "u_x @ u",
        "u_x\\u",
        "getattr(u, x)",
        "u[0]",
        "{u_x}",
        "u_x # comment",
        "~u_x",
        "u_x // 2",
        "u_x % 2",
        "__builtins__ + u_x",
        "torch + u_x",
        "self + u_x",
    ],
)
def test_nothing_but_the_language_is_read(text: str) -> None:
    with pytest.raises(ArgumentError):
        Equation(text)


def test_long_chains_are_no_deep_trees() -> None:
    text = " + ".join(f"{n}*u_x" for n in range(1, 1500))
    assert read_equation(text, scope()) == multiply([Number(sum(range(1, 1500))), u(0)])
    assert read_equation("-" * 3001 + "u_x", scope()) == multiply([Number(-1.0), u(0)])


def test_growing_derivatives_are_stopped() -> None:
    inner = "x"
    for _ in range(12):
        inner = f"sin({inner})*exp({inner})*cos({inner})"
        if len(inner) > 6000:
            break
    with pytest.raises(ArgumentError, match=r"too long|terms|order"):
        TextField(f"d({inner}" + ", x" * 12 + ")", ("x",))


def test_ambiguous_names_are_refused() -> None:
    with pytest.raises(ArgumentError, match=r"'u_xx' can be read in 2 ways"):
        read("u_xx", Scope(("x", "xx"), ("u",), {}, read))
    with pytest.raises(ArgumentError, match="can also be read as a derivative"):
        Scope(("x",), ("u", "u_x"), {}, read)
    with pytest.raises(ArgumentError, match="given twice"):
        Scope(("x",), ("u",), {"x": Number(1.0)}, read)


def test_values_that_depend_on_themselves_are_refused() -> None:
    with pytest.raises(ArgumentError, match="depends on itself"):
        read("a*u", Scope(("x",), ("u",), {"a": "b", "b": "a"}, read))
    with pytest.raises(ArgumentError, match=r"in the value of 'k': unknown name 'u'"):
        read("k*u", Scope(("x",), ("u",), {"k": "1 + u"}, read))
