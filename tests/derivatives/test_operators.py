"""Every operator with every engine, on every batch shape, against plain reverse mode."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from pinnderiv.derivatives import (
    divergence,
    hessian,
    hvp,
    jacobian,
    laplacian,
    linear_operator,
    partial,
    second_derivatives,
    second_order_operator,
)
from pinnderiv.errors import ShapeError
from tests.derivatives.common import (
    METHODS,
    assert_close,
    fresh_network,
    network,
    points,
    reference,
)

D, M = 3, 3
SHAPES = [(), (1,), (5,), (2, 3), (0,), (2, 0)]
# An indefinite, symmetric matrix with a zero on its diagonal.
MATRIX = ((1.0, 0.3, -2.0), (0.3, 0.0, 0.7), (-2.0, 0.7, -1.5))


def per_point(x: Tensor, *trailing: int) -> Tensor:
    """A smooth coefficient of both signs at each point, ``(*batch, *trailing)``."""
    count = 1
    for length in trailing:
        count *= length
    angles = torch.arange(1, count + 1, dtype=x.dtype) * x.sum(-1, keepdim=True)
    return (0.2 + torch.sin(angles)).reshape((*x.shape[:-1], *trailing))


def matrix_at(x: Tensor) -> Tensor:
    """A symmetric, indefinite matrix at each point."""
    a = per_point(x, D, D)
    return a + a.mT


def diagonal(hessians: Tensor) -> Tensor:
    return hessians.diagonal(dim1=-2, dim2=-1)


def traced(a: Tensor, hessians: Tensor) -> Tensor:
    return (a.unsqueeze(-3) * hessians).sum((-1, -2))


W = (1.0, -2.0, 0.5)
B = (0.3, 0.0, -1.0)
Case = tuple[Callable[..., Any], Callable[..., Tensor]]
# name: (what is called, what it is in terms of x, value u, Jacobian j and Hessian h)
CASES: dict[str, Case] = {
    "jacobian": (lambda f, x, **k: jacobian(f, **k)(x), lambda x, u, j, h: j),
    "hessian": (lambda f, x, **k: hessian(f, **k)(x), lambda x, u, j, h: h),
    "second_derivatives": (
        lambda f, x, **k: second_derivatives(f, **k)(x),
        lambda x, u, j, h: diagonal(h),
    ),
    "laplacian": (
        lambda f, x, **k: laplacian(f, **k)(x),
        lambda x, u, j, h: diagonal(h).sum(-1),
    ),
    "laplacian_of_some_columns": (
        lambda f, x, **k: laplacian(f, (2, 0), **k)(x),
        lambda x, u, j, h: h[..., 0, 0] + h[..., 2, 2],
    ),
    "laplacian_of_negative_column": (
        lambda f, x, **k: laplacian(f, dims=-1, **k)(x),
        lambda x, u, j, h: h[..., 2, 2],
    ),
    "laplacian_with_signed_weights": (
        lambda f, x, **k: laplacian(f, weights=W, **k)(x),
        lambda x, u, j, h: diagonal(h) @ torch.tensor(W, dtype=x.dtype),
    ),
    "laplacian_with_weights_in_the_order_of_dims": (
        lambda f, x, **k: laplacian(f, (2, 0), (-1.0, 3.0), **k)(x),
        lambda x, u, j, h: 3 * h[..., 0, 0] - h[..., 2, 2],
    ),
    "laplacian_with_weights_at_each_point": (
        lambda f, x, **k: laplacian(f, (1, 2), per_point(x, 2), **k)(x),
        lambda x, u, j, h: (diagonal(h)[..., 1:] * per_point(x, 2).unsqueeze(-2)).sum(-1),
    ),
    "matrix": (
        lambda f, x, **k: second_order_operator(f, MATRIX, **k)(x),
        lambda x, u, j, h: traced(torch.tensor(MATRIX, dtype=x.dtype), h),
    ),
    "matrix_at_each_point": (
        lambda f, x, **k: second_order_operator(f, matrix_at(x), **k)(x),
        lambda x, u, j, h: traced(matrix_at(x), h),
    ),
    "matrix_of_zeros": (
        lambda f, x, **k: second_order_operator(f, torch.zeros(D, D, dtype=x.dtype), **k)(x),
        lambda x, u, j, h: torch.zeros_like(u),
    ),
    "second": (
        lambda f, x, **k: linear_operator(f, second=(1.0, 0.0, -2.0), **k)(x),
        lambda x, u, j, h: h[..., 0, 0] - 2 * h[..., 2, 2],
    ),
    "second_of_zeros": (
        lambda f, x, **k: linear_operator(f, second=(0, 0, 0), **k)(x),
        lambda x, u, j, h: torch.zeros_like(u),
    ),
    "second_at_each_point": (
        lambda f, x, **k: linear_operator(f, second=per_point(x, D), **k)(x),
        lambda x, u, j, h: (diagonal(h) * per_point(x, D).unsqueeze(-2)).sum(-1),
    ),
    "first": (
        lambda f, x, **k: linear_operator(f, first=B, **k)(x),
        lambda x, u, j, h: j @ torch.tensor(B, dtype=x.dtype),
    ),
    "first_at_each_point": (
        lambda f, x, **k: linear_operator(f, first=per_point(x, D), **k)(x),
        lambda x, u, j, h: (j * per_point(x, D).unsqueeze(-2)).sum(-1),
    ),
    "zeroth": (
        lambda f, x, **k: linear_operator(f, zeroth=-1.5, **k)(x),
        lambda x, u, j, h: -1.5 * u,
    ),
    "zeroth_at_each_point": (
        lambda f, x, **k: linear_operator(f, zeroth=per_point(x), **k)(x),
        lambda x, u, j, h: u * per_point(x).unsqueeze(-1),
    ),
    "all_parts": (
        lambda f, x, **k: linear_operator(f, W, MATRIX, B, 2.0, **k)(x),
        lambda x, u, j, h: (
            diagonal(h) @ torch.tensor(W, dtype=x.dtype)
            + traced(torch.tensor(MATRIX, dtype=x.dtype), h)
            + j @ torch.tensor(B, dtype=x.dtype)
            + 2 * u
        ),
    ),
    "all_parts_at_each_point": (
        lambda f, x, **k: linear_operator(
            f, per_point(x, D), matrix_at(x), per_point(x, D), per_point(x), **k
        )(x),
        lambda x, u, j, h: (
            ((diagonal(h) + j) * per_point(x, D).unsqueeze(-2)).sum(-1)
            + traced(matrix_at(x), h)
            + u * per_point(x).unsqueeze(-1)
        ),
    ),
    "hvp": (
        lambda f, x, **k: hvp(f, **k)(x, W),
        lambda x, u, j, h: h @ torch.tensor(W, dtype=x.dtype),
    ),
    "hvp_at_each_point": (
        lambda f, x, **k: hvp(f, **k)(x, per_point(x, D)),
        lambda x, u, j, h: (h @ per_point(x, D)[..., None, :, None]).squeeze(-1),
    ),
    "divergence": (
        lambda f, x, **k: divergence(f, **k)(x),
        lambda x, u, j, h: diagonal(j).sum(-1),
    ),
    "partial_of_order_1": (
        lambda f, x, **k: partial(f, 1, **k)(x),
        lambda x, u, j, h: j[..., 1],
    ),
    "partial_of_order_2": (
        lambda f, x, **k: partial(f, (2, 0), **k)(x),
        lambda x, u, j, h: h[..., 0, 2],
    ),
}


@cache
def truth(shape: tuple[int, ...]) -> tuple[Tensor, Tensor, Tensor]:
    return reference(network(D, M), points(*shape, D))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("name", CASES)
def test_every_operator_on_every_batch_shape(
    name: str, shape: tuple[int, ...], method: str
) -> None:
    call, expected = CASES[name]
    x = points(*shape, D)
    found = call(network(D, M), x, method=method)
    assert found.dtype == x.dtype and found.device == x.device
    assert_close(found, expected(x, *truth(shape)))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", CASES)
def test_single_precision(name: str, method: str) -> None:
    call, expected = CASES[name]
    x = points(5, D, dtype=torch.float32)
    found = call(network(D, M, torch.float32), x, method=method)
    assert found.dtype == torch.float32
    double = network(D, M, torch.float32), x.double()
    net = fresh_network(D, M)
    net.load_state_dict(double[0].state_dict())
    assert_close(found, expected(x.double(), *reference(net, x.double())))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("columns", "outputs"), [(1, 1), (1, 4), (2, 5), (7, 2), (30, 1), (2, 50)])
def test_dimensions_and_numbers_of_outputs(columns: int, outputs: int, method: str) -> None:
    f, x = network(columns, outputs), points(2, columns)
    _, j, h = reference(f, x)
    assert_close(jacobian(f, method=method)(x), j)
    assert_close(laplacian(f, method=method)(x), diagonal(h).sum(-1))
    assert_close(second_derivatives(f, method=method)(x), diagonal(h))
    if columns <= 7:
        assert_close(hessian(f, method=method)(x), h)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    "transform",
    [
        jacobian,
        second_derivatives,
        laplacian,
        lambda f, **k: linear_operator(f, second=W, first=B, **k),
        lambda f, **k: linear_operator(f, matrix=MATRIX, **k),
        lambda f, **k: linear_operator(f, zeroth=2, **k),
        lambda f, **k: linear_operator(f, second=(0, 0, 0), **k),
    ],
)
def test_return_value_gives_f_of_x_from_the_same_pass(
    transform: Callable[..., Any], method: str
) -> None:
    net, x, calls = network(D, M), points(4, D), []

    def f(y: Tensor) -> Tensor:
        calls.append(y.shape)
        return net(y)

    value, result = transform(f, return_value=True, method=method, check=False)(x)
    assert len(calls) == 1
    assert_close(value, net(x))
    assert_close(result, transform(net, method=method)(x))
    assert value.requires_grad


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", CASES)
def test_where_points_and_coefficients_require_gradients(name: str, method: str) -> None:
    """Coefficients that may be trained are treated in other ways than constant ones."""
    call, expected = CASES[name]
    x = points(5, D).requires_grad_()
    found = call(network(D, M), x, method=method)
    assert_close(found, expected(points(5, D), *truth((5,))))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", CASES)
class TestGraph:
    def test_follows_the_parameters(self, name: str, method: str) -> None:
        found = CASES[name][0](network(D, M), points(3, D), method=method)
        assert found.requires_grad

    def test_ends_where_nothing_requires_gradients(self, name: str, method: str) -> None:
        found = CASES[name][0](cubes, points(3, D), method=method)
        assert not found.requires_grad

    def test_follows_the_points(self, name: str, method: str) -> None:
        x = points(3, D).requires_grad_()
        found = CASES[name][0](cubes, x, method=method)
        assert found.requires_grad
        found.sum().backward()
        assert x.grad is not None and x.grad.shape == x.shape

    def test_leaves_no_trace(self, name: str, method: str) -> None:
        net, x = fresh_network(D, M), points(3, D).requires_grad_()
        before, state = x.detach().clone(), {k: v.clone() for k, v in net.state_dict().items()}
        CASES[name][0](net, x, method=method)
        assert x.grad is None and all(p.grad is None for p in net.parameters())
        assert torch.equal(x, before)
        assert all(torch.equal(v, state[k]) for k, v in net.state_dict().items())

    @pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
    def test_without_gradients(self, name: str, method: str, mode: Callable[[], Any]) -> None:
        call, expected = CASES[name]
        with mode():
            found = call(network(D, M), points(5, D), method=method)
        assert not found.requires_grad
        assert_close(found, expected(points(5, D), *truth((5,))))


def cubes(x: Tensor) -> Tensor:
    """A function without parameters; every derivative depends on x."""
    return torch.sin(x) * (x + 2).prod(-1, keepdim=True)


@pytest.mark.parametrize("method", METHODS)
def test_points_made_in_inference_mode(method: str) -> None:
    with torch.inference_mode():
        x = points(5, D)
        v = torch.ones(D, dtype=x.dtype)
    net = network(D, M)
    assert_close(laplacian(net, method=method)(x), diagonal(truth((5,))[2]).sum(-1))
    assert_close(hvp(net, method=method)(x, v), truth((5,))[2].sum(-1))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    "x",
    [
        points(1, D).expand(4, D),
        points(D, 4).T,
        points(4, 2 * D)[:, ::2],
        points(2, 4, D).transpose(0, 1),
        points(D).expand(2, 3, D),
    ],
    ids=["expanded", "transposed", "strided", "permuted", "twice expanded"],
)
def test_points_in_unusual_memory(x: Tensor, method: str) -> None:
    net = network(D, M)
    _, j, h = reference(net, x)
    assert_close(jacobian(net, method=method)(x), j)
    assert_close(hessian(net, method=method)(x), h)
    assert_close(laplacian(net, method=method, chunk_size=3)(x), diagonal(h).sum(-1))
    assert_close(hvp(net, method=method)(x, W), h @ torch.tensor(W, dtype=x.dtype))


@pytest.mark.parametrize("method", METHODS)
def test_a_trainable_matrix_receives_the_hessian_as_its_gradient(method: str) -> None:
    x, net = points(4, D), network(D, M)
    a = torch.tensor(MATRIX, dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(second_order_operator(net, a, method=method)(x).sum(), a)
    assert_close(gradient, reference(net, x)[2].sum((0, 1)))


@pytest.mark.parametrize("method", METHODS)
def test_trainable_coefficients_in_a_tuple_keep_their_graph(method: str) -> None:
    """c in u_tt − c² u_xx is what an inverse problem looks for."""
    x, net = points(4, D), network(D, M)
    _, j, h = reference(net, x)
    c = nn.Parameter(torch.tensor(1.3, dtype=torch.float64))
    wave = laplacian(net, (0, 1), weights=(-(c**2), 1), method=method)(x)
    (gradient,) = torch.autograd.grad(wave.sum(), c)
    assert_close(gradient, -2 * c * h[..., 0, 0].sum())
    drift = linear_operator(net, second=[0, c, 0], first=[c, 0, 1], zeroth=c, method=method)(x)
    (gradient,) = torch.autograd.grad(drift.sum(), c)
    assert_close(gradient, (h[..., 1, 1] + j[..., 0] + net(x)).sum())
    matrix = [[c, 0.0, c], [0, 1, 0], [c, 0, 0]]
    (gradient,) = torch.autograd.grad(second_order_operator(net, matrix, method=method)(x).sum(), c)
    assert_close(gradient, (h[..., 0, 0] + 2 * h[..., 0, 2]).sum())


@pytest.mark.parametrize("method", METHODS)
def test_a_constant_derivative_stays_in_the_graph(method: str) -> None:
    """The Laplacian of a linear network is 0 for all parameters; loss.backward() must work."""
    for net in (nn.Linear(D, 2).double(), network(D, 2, activation=nn.ReLU)):
        result = laplacian(net, method=method)(points(4, D))
        assert result.requires_grad and not result.any()
        gradients = torch.autograd.grad(result.sum(), list(net.parameters()), allow_unused=True)
        assert all(g is None or not g.any() for g in gradients)


@pytest.mark.parametrize("method", METHODS)
def test_divergence_needs_as_many_outputs_as_columns(method: str) -> None:
    with pytest.raises(ShapeError, match=r"2 outputs and\s+x has 3 columns"):
        divergence(network(D, 2), method=method)(points(4, D))
