"""Derivatives by column and one collapsed operator out of one pass."""

import pytest
import torch
from torch import Tensor, nn

from pinnderiv import derivatives, linear_operator
from pinnderiv.derivatives.shared import OPERATOR, Operator, shared
from pinnderiv.errors import ArgumentError


def network(width: int) -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Linear(4, width), nn.Tanh(), nn.Linear(width, 9), nn.SiLU(), nn.Linear(9, 2)
    ).double()


@pytest.mark.parametrize("method", ["auto", "taylor", "reverse", "nested"])
@pytest.mark.parametrize("width", [2, 12])
@pytest.mark.parametrize("rows", [5, 3000])
@pytest.mark.parametrize("trained", [False, True])
def test_it_is_the_operator_and_the_slopes(
    method: str, width: int, rows: int, trained: bool
) -> None:
    f, x = network(width), torch.rand(rows, 4, dtype=torch.float64)
    second, first = (2.0, -0.5), (0.0, 0.3, 0.0, 1.0)
    given: tuple[float, ...] | Tensor = second
    if trained:
        given = torch.tensor(second, dtype=torch.float64, requires_grad=True)
    operator = Operator((0, 2), given, first)
    found = shared(f, [(), (0,), (1,), (3,)], operator, method=method)(x)
    whole = linear_operator(f, second=(2.0, 0.0, -0.5, 0.0), first=first, method="reverse")(x)
    assert torch.allclose(found[OPERATOR], whole, rtol=1e-10, atol=1e-12)
    assert torch.equal(found[()], f(x)) or torch.allclose(found[()], f(x), rtol=1e-13)
    names = ["u_a", "u_b", "u_d", "v_b"]
    by_name = derivatives(f, names, ("a", "b", "c", "d"), ("u", "v"), method="reverse")(x)
    assert torch.allclose(found[0,][:, 0], by_name["u_a"], rtol=1e-10, atol=1e-13)
    assert torch.allclose(found[1,][:, 0], by_name["u_b"], rtol=1e-10, atol=1e-13)
    assert torch.allclose(found[1,][:, 1], by_name["v_b"], rtol=1e-10, atol=1e-13)
    assert torch.allclose(found[3,][:, 0], by_name["u_d"], rtol=1e-10, atol=1e-13)
    # gradients, through the operator and through a slope
    loss = (found[OPERATOR] * found[1,]).sum()
    expected = (whole[:, 0] * by_name["u_b"] + whole[:, 1] * by_name["v_b"]).sum()
    for a, b in zip(
        torch.autograd.grad(loss, list(f.parameters())[:-1], retain_graph=True),
        torch.autograd.grad(expected, list(f.parameters())[:-1]),
        strict=True,
    ):
        assert torch.allclose(a, b, rtol=1e-8, atol=1e-8)
    if trained:
        (slope,) = torch.autograd.grad(found[OPERATOR].sum(), [given])
        d = derivatives(f, ["u_aa", "u_cc", "v_aa", "v_cc"], ("a", "b", "c", "d"), ("u", "v"))(x)
        sums = torch.stack([(d["u_aa"] + d["v_aa"]).sum(), (d["u_cc"] + d["v_cc"]).sum()])
        assert torch.allclose(slope, sums, rtol=1e-10)


def test_without_an_operator_it_is_the_partials() -> None:
    f, x = network(6), torch.rand(7, 4, dtype=torch.float64)
    found = shared(f, [(1, 0), (2,), ()], chunk_size=3)(x)
    by_name = derivatives(f, ["u_ab", "v_c"], ("a", "b", "c", "d"), ("u", "v"))(x)
    assert torch.allclose(found[0, 1][:, 0], by_name["u_ab"])
    assert torch.allclose(found[2,][:, 1], by_name["v_c"])
    assert torch.allclose(found[()], f(x))


def test_what_makes_no_sense_is_refused() -> None:
    f = network(6)
    with pytest.raises(ArgumentError, match="no index and no operator"):
        shared(f, [])
    with pytest.raises(ArgumentError, match="first order beside an operator"):
        shared(f, [(0, 0)], Operator((0,), (1.0,)))


def test_weights_that_differ_from_point_to_point_are_refused() -> None:
    f, x = network(5), torch.rand(6, 4, dtype=torch.float64)
    with pytest.raises(ArgumentError, match=r"one weight a column, \(K,\), for second"):
        shared(f, [(0,)], Operator((0, 1), torch.rand(6, 2).double()))(x)
