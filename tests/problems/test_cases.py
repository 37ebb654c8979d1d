import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from pinnderiv.domains import UniformSampler
from pinnderiv.errors import ArgumentError
from pinnderiv.problems import CASES, Problem, heat_case, poisson_case, wave_case

pi, sin, cos, exp = math.pi, torch.sin, torch.cos, torch.exp

# Exact solution and source as the literature has them: columns, solution, source.
LITERATURE: dict[str, tuple[tuple[str, ...], Callable[..., Tensor], Callable[..., Tensor]]] = {
    "heat": (
        ("x", "t"),
        lambda x, t: sin(pi * x) * exp(-0.1 * pi**2 * t),
        lambda x, t: 0 * x,
    ),
    "heat_manufactured": (
        ("x", "t"),
        lambda x, t: cos(pi * x) * exp(-t),
        lambda x, t: (pi**2 - 1) * cos(pi * x) * exp(-t),
    ),
    "heat1d_engd": (
        ("x", "t"),
        lambda x, t: sin(pi * x) * exp(-(pi**2) * t / 4),
        lambda x, t: 0 * x,
    ),
    "heat2d_ms": (
        ("x", "y", "t"),
        lambda x, y, t: sin(20 * pi * x) * sin(pi * y) * exp(-(1 + (20 / 500) ** 2) * t),
        lambda x, y, t: 0 * x,
    ),
    "wave": (("x", "t"), lambda x, t: sin(pi * x) * cos(pi * t), lambda x, t: 0 * x),
    "wave_travelling": (("x", "t"), lambda x, t: sin(pi * (x - t)), lambda x, t: 0 * x),
    "wave_periodic": (("x", "t"), lambda x, t: sin(2 * pi * (x - t)), lambda x, t: 0 * x),
    "wave1d_c": (
        ("x", "t"),
        lambda x, t: sin(pi * x) * cos(2 * pi * t) + 0.5 * sin(4 * pi * x) * cos(8 * pi * t),
        lambda x, t: 0 * x,
    ),
    "poisson": (
        ("x", "y"),
        lambda x, y: sin(pi * x) * sin(pi * y) + 0.5 * sin(2 * pi * x) * sin(2 * pi * y),
        lambda x, y: (
            2 * pi**2 * sin(pi * x) * sin(pi * y) + 4 * pi**2 * sin(2 * pi * x) * sin(2 * pi * y)
        ),
    ),
    "poisson2d_engd": (
        ("x", "y"),
        lambda x, y: sin(pi * x) * sin(pi * y),
        lambda x, y: 2 * pi**2 * sin(pi * x) * sin(pi * y),
    ),
    "poisson_nd": (
        ("x1", "x2", "x3", "x4", "x5"),
        lambda *x: sum(sin(pi * xi / 2) for xi in x),
        lambda *x: sum(pi**2 / 4 * sin(pi * xi / 2) for xi in x),
    ),
    "poisson5d_cos": (
        ("x1", "x2", "x3", "x4", "x5"),
        lambda *x: sum(cos(pi * xi) for xi in x),
        lambda *x: sum(pi**2 * cos(pi * xi) for xi in x),
    ),
    "poisson10d": (
        tuple(f"x{i}" for i in range(1, 11)),
        lambda *x: sum(x[2 * i] * x[2 * i + 1] for i in range(5)),
        lambda *x: 0 * x[0],
    ),
    "poisson100d": (
        tuple(f"x{i}" for i in range(1, 101)),
        lambda *x: sum(xi**2 for xi in x),
        lambda *x: -200 + 0 * x[0],
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_cases_are_what_the_literature_says(name: str) -> None:
    problem = CASES[name](name)
    coordinates, solution, source = LITERATURE[name]
    assert problem.name == name and problem.coordinates == coordinates
    assert problem.outputs == ("u",) and problem.reference
    space = len(coordinates) - ("t" in coordinates)
    assert problem.domain.lower == (0.0,) * len(coordinates)
    end = () if "t" not in coordinates else ((5.0,) if name == "heat2d_ms" else (1.0,))
    assert problem.domain.upper == (1.0,) * space + end
    x = problem.domain.interior(UniformSampler(0).draw(50, problem.domain.dim))
    columns = x.unbind(dim=1)
    assert torch.allclose(problem.exact(x)[:, 0], solution(*columns), rtol=1e-12, atol=1e-13)
    assert torch.allclose(problem.source(x)[:, 0], source(*columns), rtol=1e-10, atol=1e-10)


def test_coefficients_are_what_the_literature_says() -> None:
    assert heat_case("heat1d_engd").equation.diffusivity == (0.25,)
    expected = (1 / (500 * pi) ** 2, 1 / pi**2)
    assert heat_case("heat2d_ms").equation.diffusivity == pytest.approx(expected, rel=1e-15)
    assert wave_case("wave1d_c").equation.speed == 2.0


def test_every_equation_has_an_easy_case_by_default() -> None:
    assert [build().name for build in (heat_case, wave_case, poisson_case)] == [
        "heat",
        "wave",
        "poisson",
    ]
    assert {heat_case().title, wave_case().title, poisson_case().title} == {
        "Heat equation, 1-d",
        "Wave equation, 1-d",
        "Poisson equation, 2-d",
    }


@pytest.mark.parametrize("dimension", range(1, 11))
def test_poisson_takes_any_dimension(dimension: int) -> None:
    x = torch.rand(20, dimension, dtype=torch.float64)
    problem = poisson_case(dimension=dimension)
    products = [sin(k * pi * x).prod(dim=1, keepdim=True) for k in (1, 2)]
    source = dimension * pi**2 * (products[0] + 4 * 0.5 * products[1])
    assert torch.allclose(problem.exact(x), products[0] + 0.5 * products[1], rtol=1e-12)
    assert torch.allclose(problem.source(x), source, rtol=1e-11, atol=1e-12)
    other = poisson_case("poisson_nd", dimension)
    assert torch.allclose(other.source(x), pi**2 / 4 * other.exact(x), rtol=1e-11)


def test_choices_are_taken() -> None:
    problem = heat_case(dimension=2, diffusivity=0.2, lower=[-1, 0], upper=[1, 3], final_time=4)
    assert problem.name == "heat_2d" and problem.title == "Heat equation, 2-d"
    assert problem.coordinates == ("x", "y", "t")
    assert problem.equation.diffusivity == (0.2, 0.2)
    assert problem.domain.lower == (-1, 0, 0) and problem.domain.upper == (1, 3, 4)
    x = torch.tensor([[0.0, 1.5, 0.0], [0.0, 1.5, 2.0]], dtype=torch.float64)
    rate = 0.2 * pi**2 * (1 / 4 + 1 / 9)
    assert problem.exact(x)[:, 0].tolist() == pytest.approx([1.0, math.exp(-2 * rate)])

    assert wave_case(speed=3).equation.speed == 3.0
    assert poisson_case("poisson_nd", 10).coordinates[-1] == "x10"
    two = poisson_case(dimension=1, frequencies=[1, 3, 5])
    x = torch.tensor([[0.5]], dtype=torch.float64)
    assert two.exact(x).item() == pytest.approx(1 - 1 + 1)
    assert poisson_case(dimension=1, frequencies=[1, 3]).exact(x).item() == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: heat_case("heat1d_end"), "Did you mean 'heat1d_engd'.*Known: heat, heat1d_engd,"),
        (lambda: wave_case("wave1dc"), "Did you mean 'wave1d_c'"),
        (lambda: poisson_case("laplace"), "Known: poisson, poisson100d, poisson10d,"),
        (lambda: heat_case(dimension=4), "'heat' is solved in 1 to 3 dimensions"),
        (lambda: heat_case("heat_manufactured", dimension=4), "in 1 to 3 dimensions"),
        (lambda: wave_case(dimension=3), "'wave' is solved in 1 to 2 dimensions"),
        (lambda: poisson_case(dimension=11), "'poisson' is solved in 1 to 10 dimensions"),
        (lambda: poisson_case("poisson_nd", dimension=11), "in 1 to 10 dimensions"),
        (lambda: poisson_case("poisson100d", dimension=101), "in 1 to 100 dimensions"),
        (lambda: heat_case(diffusivity=True), "diffusivity must be numbers above zero; got True"),
        (lambda: heat_case(diffusivity=[True]), r"above zero; got \[True\]"),
        (lambda: heat_case(lower=False), "lower must be numbers; got False"),
        (lambda: heat_case(frequencies=[True]), "frequencies must be numbers; got True"),
        (lambda: heat_case(dimension=0), "dimension must be an integer of at least 1; got 0"),
        (lambda: heat_case(dimension=1.5), "dimension must be an integer"),
        (lambda: heat_case("heat2d_ms", dimension=3), "has 2 dimensions of space"),
        (lambda: wave_case("wave1d_c", dimension=2), "has 1 dimension of space"),
        (lambda: heat_case(diffusivity=0.0), "diffusivity must be"),
        (lambda: heat_case(dimension=2, diffusivity=[1.0, 2.0, 3.0]), "one for each of"),
        (lambda: wave_case(speed=-2), "speed must be"),
        (lambda: heat_case(final_time=0), "final_time must be"),
        (lambda: wave_case(final_time="late"), "final_time must be"),
        (lambda: heat_case(lower=1.0), "lower must be below upper"),
        (lambda: poisson_case(lower=[0.0, 0.0, 0.0]), "one for each of 2 axes"),
        (lambda: poisson_case(upper=["a", "b"]), "upper must be numbers"),
        (lambda: poisson_case(frequencies=3), r"one entry a mode, such as \[1, 4\]"),
        (lambda: poisson_case(frequencies=[]), "one entry a mode"),
        (lambda: poisson_case(frequencies=[[1, 2, 3]]), "one for each of 2 axes"),
        (lambda: poisson_case(frequencies=[float("nan")]), "frequencies must be finite"),
        (lambda: poisson_case(amplitudes=[1.0]), "one for each of 2 modes"),
        (lambda: poisson_case(amplitudes=[1.0, float("inf")]), "amplitudes must be finite"),
        (lambda: poisson_case("poisson10d", frequencies=[1]), "leave frequencies out"),
        (lambda: poisson_case("poisson10d", amplitudes=[1]), "leave amplitudes out"),
    ],
)
def test_choices_that_do_not_fit_are_refused(build: Callable[[], Problem], message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        build()
