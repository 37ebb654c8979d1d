"""Derivatives of derivatives: nested operators, torch.func around them, and training."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import pytest
import torch
from torch import Tensor, nn
from torch.autograd import forward_ad
from torch.func import functional_call, grad, jacfwd, jacrev, jvp, vjp, vmap

from pinnderiv.derivatives import (
    biharmonic,
    derivatives,
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
from pinnderiv.errors import UnsupportedOperationError
from tests.derivatives.common import (
    METHODS,
    assert_close,
    fresh_network,
    network,
    points,
    reference,
)
from tests.oracle import laplacian_of_batch, slope

X = points(4, 2)
NET = network(2, 2)
PARAMETERS = dict(NET.named_parameters())


def laplacian_at(x: Tensor) -> Tensor:
    """The Laplacian of NET by plain reverse mode, as a function that keeps its graph."""
    columns = []
    for output in NET(x).unbind(-1):
        (gradient,) = torch.autograd.grad(output.sum(), x, create_graph=True)
        second = [
            torch.autograd.grad(gradient[:, d].sum(), x, create_graph=True)[0][:, d]
            for d in range(x.shape[-1])
        ]
        columns.append(sum(second))
    return torch.stack(columns, -1)


@pytest.mark.parametrize(("outer", "inner"), list(product(METHODS, METHODS)))
def test_the_laplacian_of_the_laplacian_is_the_biharmonic(outer: str, inner: str) -> None:
    if outer == "taylor" and inner in ("nested", "reverse"):
        with pytest.raises(UnsupportedOperationError, match="give both the same method"):
            laplacian(laplacian(NET, method=inner), method=outer)(X)
        return
    found = laplacian(laplacian(NET, method=inner), method=outer)(X)
    assert_close(found, biharmonic(NET, method="reverse")(X))


@pytest.mark.parametrize("method", METHODS)
def test_operators_of_operators(method: str) -> None:
    second = hessian(NET)(X)

    def gradient(y: Tensor) -> Tensor:
        return jacobian(NET, method=method)(y)[..., 0, :]

    assert_close(jacobian(gradient, method=method)(X), second[:, 0])
    assert_close(divergence(gradient, method=method)(X), laplacian(NET)(X)[:, 0])
    by_name = partial(partial(NET, 0, method=method), (1, 1), method=method)(X)
    assert_close(by_name, partial(NET, (0, 1, 1))(X))

    def u_xx(y: Tensor) -> Tensor:
        return derivatives(NET, ["u_xx"], ("x", "t"), ("u", "v"), method=method)(y)["u_xx"][
            ..., None
        ]

    assert_close(jacobian(u_xx, method=method)(X)[:, 0, 1], partial(NET, (0, 0, 1))(X)[:, 0])


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("chunk_size", [None, 3])
class TestUnderTorchFunc:
    """torch.func transforms around an operator, against the operator outside of them."""

    def test_vmap_over_rows(self, method: str, chunk_size: int | None) -> None:
        apply = laplacian(NET, method=method, chunk_size=chunk_size)
        assert_close(vmap(apply)(X), laplacian(NET)(X))
        both = torch.stack([X, X + 0.1], dim=1)
        expected = torch.stack([laplacian(NET)(X), laplacian(NET)(X + 0.1)])
        assert_close(vmap(apply, in_dims=1)(both), expected)

    def test_derivatives_in_x(self, method: str, chunk_size: int | None) -> None:
        apply = laplacian(NET, method=method, chunk_size=chunk_size)
        x = X.clone().requires_grad_()
        (expected,) = torch.autograd.grad(laplacian_at(x).sum(), x)
        ones = torch.ones_like(X)
        assert_close(grad(lambda y: apply(y).sum())(X), expected)
        assert_close(vjp(apply, X)[1](torch.ones(4, 2, dtype=X.dtype))[0], expected)
        assert_close(jvp(apply, (X,), (ones,))[1].sum(), expected.sum())
        assert_close(jacrev(lambda y: apply(y).sum())(X), expected)
        assert_close(jacfwd(lambda y: apply(y).sum())(X), expected)

    def test_gradients_in_parameters(self, method: str, chunk_size: int | None) -> None:
        def loss(parameters: dict[str, Tensor]) -> Tensor:
            f = laplacian(
                lambda y: functional_call(NET, parameters, (y,)),
                method=method,
                chunk_size=chunk_size,
            )
            return f(X).square().sum()

        found = grad(loss)(PARAMETERS)
        outside = laplacian_at(X.clone().requires_grad_()).square().sum()
        for name, expected in gradients_of(outside, PARAMETERS).items():
            assert_close(found[name], expected)

    def test_gradients_of_each_row(self, method: str, chunk_size: int | None) -> None:
        """What Gauss–Newton methods ask for: one row of the parameter Jacobian for each point."""

        def residual(parameters: dict[str, Tensor], row: Tensor) -> Tensor:
            f = laplacian(
                lambda y: functional_call(NET, parameters, (y,)),
                method=method,
                chunk_size=chunk_size,
            )
            return f(row)[0]

        one_by_one = vmap(grad(residual), (None, 0))(PARAMETERS, X)["0.weight"]
        all_rows = jacrev(lambda p: vmap(residual, (None, 0))(p, X))(PARAMETERS)["0.weight"]
        forward = jacfwd(lambda p: vmap(residual, (None, 0))(p, X))(PARAMETERS)["0.weight"]
        for i, row in enumerate(X):
            outside = laplacian_at(row[None].clone().requires_grad_())[0, 0]
            expected = gradients_of(outside, PARAMETERS)["0.weight"]
            assert_close(one_by_one[i], expected)
            assert_close(all_rows[i], expected)
            assert_close(forward[i], expected)

    def test_an_ensemble_of_networks(self, method: str, chunk_size: int | None) -> None:
        stacked = {name: torch.stack([p, 2 * p]) for name, p in PARAMETERS.items()}

        def one(parameters: dict[str, Tensor]) -> Tensor:
            f = laplacian(
                lambda y: functional_call(NET, parameters, (y,)),
                method=method,
                chunk_size=chunk_size,
            )
            return f(X)

        found = vmap(one)(stacked)
        for i in range(2):
            assert_close(found[i], one({name: p[i] for name, p in stacked.items()}))

    def test_coefficients(self, method: str, chunk_size: int | None) -> None:
        options = {"method": method, "chunk_size": chunk_size}
        w, v = points(5, 2, seed=1), points(5, 2, seed=2)
        a = points(5, 2, 2, seed=3)
        a = a + a.mT
        found = vmap(lambda w: laplacian(NET, weights=w, **options)(X))(w)
        assert_close(found, torch.stack([laplacian(NET, weights=row)(X) for row in w]))
        found = vmap(lambda a: second_order_operator(NET, a, **options)(X))(a)
        assert_close(found, torch.stack([second_order_operator(NET, row)(X) for row in a]))
        found = vmap(lambda v: hvp(NET, **options)(X, v))(v)
        assert_close(found, torch.stack([hvp(NET)(X, row) for row in v]))
        found = grad(lambda a: second_order_operator(NET, a, **options)(X)[:, 0].sum())(a[0])
        assert_close(found, hessian(NET)(X)[:, 0].sum(0))


def gradients_of(loss: Tensor, parameters: dict[str, Tensor]) -> dict[str, Tensor]:
    """Gradients by name, zero where the loss does not depend on a parameter."""
    found = torch.autograd.grad(loss, list(parameters.values()), allow_unused=True)
    return {
        name: torch.zeros_like(p) if g is None else g
        for (name, p), g in zip(parameters.items(), found, strict=True)
    }


@pytest.mark.parametrize("method", ["reverse"])
def test_forward_mode_of_torch_autograd_around_an_operator(method: str) -> None:
    with forward_ad.dual_level():
        x = forward_ad.make_dual(X, torch.ones_like(X))
        result = laplacian(lambda y: y**4, method=method)(x)
        tangent = forward_ad.unpack_dual(result).tangent
    assert_close(tangent, 24 * X)


OPERATORS: dict[str, Callable[..., Tensor]] = {
    "jacobian": lambda f, x, **k: jacobian(f, **k)(x),
    "hessian": lambda f, x, **k: hessian(f, **k)(x),
    "second_derivatives": lambda f, x, **k: second_derivatives(f, **k)(x),
    "laplacian": lambda f, x, **k: laplacian(f, weights=(1, -2), **k)(x),
    "matrix": lambda f, x, **k: second_order_operator(f, ((1, 2), (2, -1)), **k)(x),
    "first": lambda f, x, **k: linear_operator(f, first=(1, -2), zeroth=3, **k)(x),
    "hvp": lambda f, x, **k: hvp(f, **k)(x, (1, -2)),
    "divergence": lambda f, x, **k: divergence(f, **k)(x),
    "partial": lambda f, x, **k: partial(f, (0, 0, 1), **k)(x),
    "biharmonic": lambda f, x, **k: biharmonic(f, **k)(x),
}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", OPERATORS)
def test_gradients_in_points_and_parameters_against_differences(name: str, method: str) -> None:
    """d/ds of a loss along a random direction in points and parameters together."""
    net, x = fresh_network(2, 2, width=4), points(2, 2).requires_grad_()
    leaves = [x, *net.parameters()]
    start = [leaf.detach().clone() for leaf in leaves]
    generator = torch.Generator().manual_seed(5)
    directions = [torch.randn(p.shape, generator=generator, dtype=p.dtype) for p in leaves]

    def loss() -> Tensor:
        result = OPERATORS[name](net, x, method=method)
        return (result * torch.linspace(0.5, 1.5, result.numel()).reshape(result.shape)).sum()

    gradients = torch.autograd.grad(loss(), leaves, allow_unused=True)
    found = sum(
        float((g * d).sum()) for g, d in zip(gradients, directions, strict=True) if g is not None
    )

    def moved(s: float) -> float:
        with torch.no_grad():
            for leaf, p, d in zip(leaves, start, directions, strict=True):
                leaf.copy_(p + s * d)
            return float(loss())

    expected, error = slope(moved)
    assert abs(found - expected) <= 1e-7 * max(1, abs(expected)) + 30 * error


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("shape", [(2,), (4, 2), (2, 2, 2)], ids=str)
def test_gradients_agree_between_engines(shape: tuple[int, ...], method: str) -> None:
    x = points(*shape).requires_grad_()
    leaves = [x, *NET.parameters()]
    for call in OPERATORS.values():
        found, expected = (
            torch.autograd.grad(call(NET, x, method=m).square().sum(), leaves, allow_unused=True)
            for m in (method, "reverse")
        )
        for a, b in zip(found, expected, strict=True):
            assert_close(
                torch.zeros(1) if a is None else a, torch.zeros(1) if b is None else b, 1e-9
            )


@pytest.mark.parametrize("method", METHODS)
def test_points_that_are_no_leaf(method: str) -> None:
    scale = nn.Parameter(torch.tensor(0.7, dtype=torch.float64))
    base = X.clone().requires_grad_()
    (expected,) = torch.autograd.grad(laplacian_at(base * 0.7).sum(), base)
    result = laplacian(NET, method=method)(base * scale).sum()
    found, in_scale = torch.autograd.grad(result, [base, scale])
    assert_close(found, expected)
    assert_close(in_scale, (expected / 0.7 * X).sum())


@pytest.mark.parametrize("method", METHODS)
def test_training_with_an_operator_in_the_loss(method: str) -> None:
    """u'' = −π² sin πx with u = 0 at the ends: a few steps lower the loss with every engine."""
    net = fresh_network(1, 1, width=16)
    x = torch.linspace(0, 1, 20, dtype=torch.float64)[:, None]
    optimiser = torch.optim.Adam(net.parameters(), lr=1e-2)
    losses = []
    for _ in range(30):
        optimiser.zero_grad()
        residual = laplacian(net, method=method)(x) + torch.pi**2 * torch.sin(torch.pi * x)
        loss = residual.square().mean() + net(x[[0, -1]]).square().mean()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]


def test_the_reference_of_these_tests_is_the_oracle_s() -> None:
    x = X.clone().requires_grad_()
    assert_close(laplacian_at(x), laplacian_of_batch(NET, X))
    assert_close(laplacian_at(x), reference(NET, X)[2].diagonal(dim1=-2, dim2=-1).sum(-1))


@pytest.mark.parametrize("activation", [nn.Tanh(), nn.SiLU()])
@pytest.mark.parametrize(
    "operator",
    [
        laplacian,
        hessian,
        jacobian,
        lambda f, **keywords: linear_operator(
            f,
            matrix=torch.tensor([[1.0, 2.0], [2.0, -1.0]]).double(),
            first=torch.ones(2).double(),
            **keywords,
        ),
    ],
)
def test_many_cotangents_at_once_go_through_a_graph(
    operator: Callable[..., Callable[[Tensor], Tensor]], activation: nn.Module
) -> None:
    # how a Jacobian by the parameters is taken of a residual that was computed in the ordinary way
    network = nn.Sequential(
        nn.Linear(2, 6), activation, nn.Linear(6, 6), activation, nn.Linear(6, 1, bias=False)
    ).double()
    result = operator(network, method="taylor")(torch.rand(5, 2).double()).flatten()
    parameters = [each for each in network.parameters() if each.ndim == 2]

    def backward(cotangent: Tensor) -> tuple[Tensor, ...]:
        return torch.autograd.grad(result, parameters, cotangent, retain_graph=True)

    every = torch.eye(len(result)).double()
    expected = [torch.stack(rows) for rows in zip(*map(backward, every), strict=True)]
    batched = torch.autograd.grad(
        result, parameters, every, is_grads_batched=True, retain_graph=True
    )
    for found in (batched, vmap(backward)(every)):
        for one, other in zip(found, expected, strict=True):
            torch.testing.assert_close(one, other)
