"""Partial derivatives of any order: by columns and by name, out of one pass."""

from __future__ import annotations

from itertools import combinations_with_replacement

import pytest
import torch
from torch import Tensor

from pinnderiv.derivatives import biharmonic, derivatives, partial
from pinnderiv.errors import ArgumentError, ShapeError
from tests.derivatives.common import METHODS, assert_close, network, points

X, Y = points(6, 3), points(2, 2, 3)


def u(x: Tensor) -> Tensor:
    """Two outputs: sin(a) exp(2b) and a³ b² c + c⁴."""
    a, b, c = x.unbind(-1)
    return torch.stack([a.sin() * (2 * b).exp(), a**3 * b**2 * c + c**4], -1)


def derivative_of_sine(n: int, a: Tensor) -> Tensor:
    return torch.sin(a + n * torch.pi / 2)


def power(base: Tensor, exponent: int, n: int) -> Tensor:
    """The n-th derivative of base ** exponent."""
    factor = 1
    for k in range(n):
        factor *= exponent - k
    return factor * base ** max(exponent - n, 0)


def exact(index: tuple[int, ...], x: Tensor) -> Tensor:
    """Any partial derivative of u, by hand."""
    n = [index.count(d) for d in range(3)]
    a, b, c = x.unbind(-1)
    first = derivative_of_sine(n[0], a) * 2 ** n[1] * (2 * b).exp() * (n[2] == 0)
    second = power(a, 3, n[0]) * power(b, 2, n[1]) * power(c, 1, n[2])
    if n[0] == n[1] == 0:
        second = second + power(c, 4, n[2])
    return torch.stack([first, second], -1)


INDICES = [i for n in range(1, 5) for i in combinations_with_replacement(range(3), n)]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("index", INDICES, ids=str)
def test_every_partial_up_to_the_fourth_order(index: tuple[int, ...], method: str) -> None:
    assert_close(partial(u, index, method=method)(X), exact(index, X))


@pytest.mark.parametrize("method", METHODS)
def test_the_order_of_differentiation_does_not_matter(method: str) -> None:
    expected = exact((0, 0, 1), X)
    for dims in [(0, 0, 1), (0, 1, 0), [1, 0, 0], (-3, -2, 0), torch.tensor([0, 1, 0])]:
        assert_close(partial(u, dims, method=method)(X), expected)
    assert_close(partial(u, (d for d in (0, 0, 1)), method=method)(X), expected)


@pytest.mark.parametrize("method", METHODS)
def test_a_partial_of_the_fifth_order(method: str) -> None:
    index = (0, 0, 0, 1, 1)
    assert_close(partial(u, index, method=method)(X), exact(index, X))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("x", [X, Y, X[0], X[:0]], ids=["N", "BT", "single", "empty"])
def test_names_on_every_batch_shape(x: Tensor, method: str) -> None:
    names = ["v_c", "u", "u_ab", "v_aab", "u_aabb", "v"]
    found = derivatives(u, names, ("a", "b", "c"), ("u", "v"), method=method)(x)
    assert list(found) == names
    for name, index in zip(names, [(2,), (), (0, 1), (0, 0, 1), (0, 0, 1, 1), ()], strict=True):
        assert_close(found[name], exact(index, x)[..., "uv".index(name[0])])
        assert found[name].shape == x.shape[:-1] and found[name].dtype == x.dtype


def test_names_of_several_characters() -> None:
    found = derivatives(
        u, ["p_x1x1", "p_x2tau", "vel_x1", "vel"], ("x1", "x2", "tau"), ("vel", "p")
    )(X)
    assert_close(found["p_x1x1"], exact((0, 0), X)[..., 1])
    assert_close(found["p_x2tau"], exact((1, 2), X)[..., 1])
    assert_close(found["vel_x1"], exact((0,), X)[..., 0])
    assert_close(found["vel"], u(X)[..., 0])


def test_outputs_may_have_underscores_and_a_name_may_be_asked_twice() -> None:
    found = derivatives(u, ["u_1_a", "u_1_a", "u_2"], ("a", "b", "c"), ("u_1", "u_2"))(X)
    assert list(found) == ["u_1_a", "u_2"]
    assert_close(found["u_1_a"], exact((0,), X)[..., 0])


def test_a_single_name_need_not_be_in_a_list() -> None:
    found = derivatives(u, "v_bb", ("a", "b", "c"), ("u", "v"))(X)
    assert_close(found["v_bb"], exact((1, 1), X)[..., 1])


def test_an_output_whose_name_is_like_a_derivative_of_another() -> None:
    """``u_a`` is both an output and ∂u/∂a: nobody can tell which was meant."""
    with pytest.raises(ArgumentError, match="2 ways"):
        derivatives(u, ["u_a"], ("a", "b", "c"), ("u", "u_a"))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("x", [X, Y, X[0]], ids=["N", "BT", "single"])
def test_f_is_called_once(x: Tensor, method: str) -> None:
    calls: list[torch.Size] = []

    def counted(y: Tensor) -> Tensor:
        calls.append(y.shape)
        return u(y)

    names = ["u", "u_a", "u_aa", "u_ab", "v_ccc", "v_aabb"]
    derivatives(counted, names, ("a", "b", "c"), ("u", "v"), method=method, check=False)(x)
    assert len(calls) == 1


@pytest.mark.parametrize("method", METHODS)
def test_only_the_value(method: str) -> None:
    found = derivatives(u, ["u"], ("a", "b", "c"), ("u", "v"), method=method)(X)
    assert_close(found["u"], u(X)[..., 0])


@pytest.mark.parametrize("method", METHODS)
def test_named_derivatives_of_a_network_can_be_trained_on(method: str) -> None:
    net = network(2, 1)
    found = derivatives(net, ["u", "u_t", "u_xx"], ("x", "t"), method=method)(points(5, 2))
    gradients = [
        torch.autograd.grad(t.sum(), net[0].weight, retain_graph=True)[0] for t in found.values()
    ]
    assert all(g.abs().max() > 0 for g in gradients)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("dims", [None, (0, 1), (2,), (-1, 0)])
def test_biharmonic(dims: tuple[int, ...] | None, method: str) -> None:
    columns = range(3) if dims is None else dims
    expected = sum(exact((i % 3, i % 3, j % 3, j % 3), Y) for i in columns for j in columns)
    assert_close(biharmonic(u, dims, method=method)(Y), expected)


def test_the_numbers_of_names_must_fit() -> None:
    with pytest.raises(ShapeError, match="x has 3 columns, but coordinates"):
        derivatives(u, ["u_a"], ("a", "b"), ("u", "v"))(X)
    with pytest.raises(ShapeError, match="f has 2 outputs, but outputs"):
        derivatives(u, ["u_a"], ("a", "b", "c"))(X)
