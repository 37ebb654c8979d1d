import pytest
import torch
from torch import Tensor

from pinnderiv.equations import LinearOperator, d, d_t, d_tt, laplace
from pinnderiv.errors import ArgumentError

COORDINATES = ("x", "y", "t")


def u(p: Tensor) -> Tensor:
    x, y, t = p.unbind(dim=-1)
    return torch.stack([torch.sin(2 * x) * y**2 * torch.exp(-t), x * y * t], dim=-1)


# Derivatives of both outputs of u, worked out by hand.
def by_hand(p: Tensor) -> dict[tuple[str, ...], Tensor]:
    x, y, t = p.unbind(dim=-1)
    s, c, e = torch.sin(2 * x), torch.cos(2 * x), torch.exp(-t)
    zero = torch.zeros_like(x)
    pairs = {
        (): (s * y**2 * e, x * y * t),
        ("x",): (2 * c * y**2 * e, y * t),
        ("t",): (-s * y**2 * e, x * y),
        ("x", "x"): (-4 * s * y**2 * e, zero),
        ("y", "y"): (2 * s * e, zero),
        ("t", "t"): (s * y**2 * e, zero),
        ("x", "y"): (4 * c * y * e, t),
        ("t", "y"): (-2 * s * y * e, x),
    }
    return {term: torch.stack(values, dim=-1) for term, values in pairs.items()}


OPERATORS = {
    "heat": (d_t - 0.3 * laplace(("x", "y")), {("t",): 1, ("x", "x"): -0.3, ("y", "y"): -0.3}),
    "wave": (d_tt - laplace(("x",)) * 4, {("t", "t"): 1, ("x", "x"): -4}),
    "weighted": (-laplace(("x", "y"), weights=(2, -5)), {("x", "x"): -2, ("y", "y"): 5}),
    "first order": (d("x") / 2 + d_t, {("x",): 0.5, ("t",): 1}),
    "everything": (
        d("y", "x") - 3 * d("t", "y") + d_tt + 7 * d() - d("x"),
        {("x", "y"): 1, ("t", "y"): -3, ("t", "t"): 1, (): 7, ("x",): -1},
    ),
}


@pytest.mark.parametrize(("operator", "terms"), OPERATORS.values(), ids=OPERATORS.keys())
@pytest.mark.parametrize("batch", [(), (7,), (2, 3)])
def test_an_operator_is_the_sum_of_its_terms(
    operator: LinearOperator, terms: dict[tuple[str, ...], float], batch: tuple[int, ...]
) -> None:
    assert operator.terms == terms
    torch.manual_seed(0)
    p = torch.rand(*batch, 3, dtype=torch.float64) + 0.5
    derivative = by_hand(p)
    expected = sum(c * derivative[term] for term, c in terms.items())
    got = operator.apply(u, p, COORDINATES)
    assert got.shape == (*batch, 2)
    assert torch.allclose(got, expected, rtol=1e-11, atol=1e-11)


def test_coefficients_keep_the_precision_of_the_points() -> None:
    p = torch.rand(5, 3, dtype=torch.float64)
    got = (0.1 * d("x", "x")).apply(u, p, COORDINATES)
    assert torch.allclose(got, 0.1 * by_hand(p)[("x", "x")], rtol=1e-13, atol=1e-15)
    assert (0.1 * d_t).apply(u, p.float(), COORDINATES).dtype == torch.float32


def test_algebra() -> None:
    assert d("y", "x") == d("x", "y")
    assert d_t - d_t == 0 * d_t
    assert 2 * (d_t + d_tt) == d_tt * 2 + d_t + d_t
    assert d_t != d_tt and d_t != 1
    assert (d_t - 4 * laplace(("x",))).order("t") == 1
    assert (d_tt - d("t")).order("t") == 2 and d_tt.order("x") == 0
    assert repr(d_t - 0.5 * d("x", "x") + 2 * d()) == "LinearOperator(+1 d_t -0.5 d_xx +2)"


def test_what_is_no_linear_operator_is_refused() -> None:
    with pytest.raises(ArgumentError, match="second order"):
        d("x", "x", "x")
    with pytest.raises(ArgumentError, match="coefficient"):
        float("nan") * d_t
    with pytest.raises(TypeError):
        d_t * d_t
    with pytest.raises(TypeError):
        d_t + 1
    with pytest.raises(ArgumentError, match="2 coordinates need as many"):
        laplace(("x", "y"), weights=(1.0,))
    with pytest.raises(ArgumentError, match=r"differentiates by \['z'\]"):
        laplace(("x", "z")).apply(u, torch.rand(4, 3), COORDINATES)
