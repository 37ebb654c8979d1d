"""What the curvature channels hold, where a pass starts, and how passes combine with autograd."""

import itertools
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, jacrev, vmap

import pinnderiv
from pinnderiv.derivatives.request import Collapsed
from pinnderiv.derivatives.taylor import TaylorEngine
from tests.oracle import by_reverse_mode

ENGINE = TaylorEngine()


def network(inputs: int = 3, outputs: int = 2, width: int = 6) -> nn.Sequential:
    torch.manual_seed(4)
    return nn.Sequential(
        nn.Linear(inputs, width),
        nn.Tanh(),
        nn.Linear(width, width),
        nn.GELU(),
        nn.Linear(width, outputs),
    ).double()


def points(*batch: int, inputs: int = 3) -> Tensor:
    return torch.randn(
        *batch, inputs, dtype=torch.float64, generator=torch.Generator().manual_seed(5)
    )


def expected(
    f: nn.Module, x: Tensor, directions: Tensor, weights: Tensor, first: Tensor | None
) -> Tensor:
    """Σ_k w_k v_kᵀ H v_k + b·∇f from full Hessians; v (K, N, D), w (K, N)."""
    hessian = by_reverse_mode(f, x, "hessian")
    result = torch.einsum("kn,kni,nmij,knj->nm", weights, directions, hessian, directions)
    if first is not None:
        jacobian = by_reverse_mode(f, x, "jacobian")
        result = result + torch.einsum("ni,nmi->nm", first.expand_as(x), jacobian)
    return result


WEIGHTS = {
    "ones": torch.ones(3),
    "signed": torch.tensor([1.5, -2.0, 0.3]),
    "negative": torch.tensor([-1.0, -2.0, -0.5]),
    "with_zero": torch.tensor([0.0, 1.0, -1.0]),
    "at_points": torch.linspace(0.2, 2.0, 12).reshape(3, 4),
    "at_points_negative": -torch.linspace(0.2, 2.0, 12).reshape(3, 4),
    "at_points_of_both_signs": torch.linspace(-1.0, 1.5, 12).reshape(3, 4),
    "at_points_zero_somewhere": torch.linspace(-1.0, 1.5, 12).reshape(3, 4).clamp(min=0),
    "at_points_all_zero": torch.zeros(3, 4),
}


@pytest.mark.parametrize("differentiable", [False, True])
@pytest.mark.parametrize("with_first", [None, "constant", "at_points"])
@pytest.mark.parametrize("kind", ["dims", "directions", "directions_at_points"])
@pytest.mark.parametrize("name", WEIGHTS)
def test_weighted_sums_of_second_derivatives(
    name: str, kind: str, with_first: str | None, differentiable: bool
) -> None:
    f, x = network(), points(4)
    weights = WEIGHTS[name].double().requires_grad_(differentiable)
    generator = torch.Generator().manual_seed(6)
    shape = (3, 4, 3) if kind == "directions_at_points" else (3, 3)
    directions = torch.randn(shape, dtype=torch.float64, generator=generator)
    dims = (0, 1, 2) if kind == "dims" else None
    if dims:
        directions = torch.eye(3, dtype=torch.float64)
    first = None
    if with_first:
        shape = (3,) if with_first == "constant" else (4, 3)
        first = torch.randn(shape, dtype=torch.float64, generator=generator)
    request = Collapsed(dims, None if dims else directions, weights, first)
    value, result = ENGINE.collapsed(f, x, request)
    full_weights = weights.detach().reshape(3, -1).expand(3, 4)
    full_directions = directions.reshape(3, -1, 3).expand(3, 4, 3)
    torch.testing.assert_close(value, f(x))
    torch.testing.assert_close(result, expected(f, x, full_directions, full_weights, first))
    if differentiable:
        # The result is linear in the weights, so its gradient is each second derivative.
        (gradient,) = torch.autograd.grad(result[:, 0].sum(), weights)
        for k in range(3):
            one = torch.zeros(3, 4, dtype=torch.float64)
            one[k] = 1.0
            single = expected(f, x, full_directions, one, None)[:, 0]
            wanted = single.sum() if weights.ndim == 1 else single
            torch.testing.assert_close(gradient[k], wanted)


@pytest.mark.parametrize("batch", [(), (1,), (5,), (2, 3), (0,)])
def test_every_leading_shape(batch: tuple[int, ...]) -> None:
    f, x = network(), points(*batch)
    value, jacobian = ENGINE.jacobian(f, x)
    _, second = ENGINE.second_derivatives(f, x)
    _, hessian = ENGINE.hessian(f, x)
    assert value.shape == (*batch, 2)
    assert jacobian.shape == second.shape == (*batch, 2, 3)
    assert hessian.shape == (*batch, 2, 3, 3)
    rows = x.reshape(-1, 3)
    if len(rows):
        torch.testing.assert_close(
            hessian.reshape(-1, 2, 3, 3), by_reverse_mode(f, rows, "hessian")
        )
        torch.testing.assert_close(jacobian.reshape(-1, 2, 3), by_reverse_mode(f, rows, "jacobian"))
        torch.testing.assert_close(second, hessian.diagonal(dim1=-2, dim2=-1))
        v = torch.randn_like(x)
        torch.testing.assert_close(
            ENGINE.hvp(f, x, v), torch.einsum("...mij,...j->...mi", hessian, v)
        )


def test_weights_of_one_need_not_be_given() -> None:
    f, x = network(), points(4)
    with_ones = ENGINE.collapsed(f, x, Collapsed((0, 2), None, torch.ones(2).double()))[1]
    torch.testing.assert_close(ENGINE.collapsed(f, x, Collapsed((0, 2), None, None))[1], with_ones)
    eye = torch.eye(3, dtype=torch.float64)[[0, 2]]
    torch.testing.assert_close(ENGINE.collapsed(f, x, Collapsed(None, eye, None))[1], with_ones)


def test_first_order_operators_need_no_directions() -> None:
    f, x = network(), points(4)
    b = torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64)
    request = Collapsed((), None, torch.ones(0, dtype=torch.float64), b)
    _, result = ENGINE.collapsed(f, x, request)
    torch.testing.assert_close(result, by_reverse_mode(f, x, "jacobian") @ b)


@pytest.mark.parametrize(
    "indices",
    [
        ((),),
        ((0,), (1,)),
        ((), (0,), (0, 0), (1, 2)),
        ((0, 1, 1),),
        ((), (0,), (0, 0, 1), (0, 1, 2, 2)),
        ((0, 0, 0, 0, 1),),
    ],
)
def test_partials_of_any_order(indices: tuple[tuple[int, ...], ...]) -> None:
    f, x = network(outputs=1), points(3)
    found = ENGINE.partials(f, x, indices)
    assert set(found) == set(indices)
    for index in indices:
        wanted = f
        for column in index:
            wanted = (lambda g, c: lambda y: jacobian_column(g, y, c))(wanted, column)
        torch.testing.assert_close(found[index], wanted(x.clone().requires_grad_()))


def jacobian_column(f: object, x: Tensor, column: int) -> Tensor:
    if not x.requires_grad:
        x = x.requires_grad_()
    (g,) = torch.autograd.grad(f(x).sum(), x, create_graph=True)
    return g[:, column : column + 1]


def test_f_is_called_once_for_all_partials() -> None:
    f, calls = network(), []

    def counted(x: Tensor) -> Tensor:
        calls.append(1)
        return f(x)

    ENGINE.partials(counted, points(3), ((), (0,), (0, 0), (1, 2)))
    ENGINE.partials(counted, points(3), ((), (0, 0, 1), (0, 1, 2, 2)))
    assert len(calls) == 2


def test_constant_and_linear_functions_have_zero_curvature() -> None:
    x = points(4)
    matrix = torch.randn(3, 2, dtype=torch.float64)
    for f in (
        lambda y: torch.ones(4, 2, dtype=y.dtype),
        lambda y: y @ matrix,
        lambda y: y[..., :2],
    ):
        _, jacobian = ENGINE.jacobian(f, x)
        _, hessian = ENGINE.hessian(f, x)
        request = Collapsed((0, 1), None, torch.ones(2).double())
        assert not hessian.any() and not ENGINE.collapsed(f, x, request)[1].any()
        assert jacobian.shape == (4, 2, 3)


def laplacian(f: object) -> object:
    def apply(x: Tensor) -> Tensor:
        dims = tuple(range(x.shape[-1]))
        return ENGINE.collapsed(f, x, Collapsed(dims, None, torch.ones(len(dims)).to(x.dtype)))[1]

    return apply


def test_passes_within_passes_do_not_mix_up_their_derivatives() -> None:
    """The inner pass must take what depends on the outer points for a constant."""
    x = points(4, inputs=1)

    def outer(y: Tensor) -> Tensor:
        inner = laplacian(lambda z: torch.sin(z) * y**3)
        return inner(y * 1.0) + laplacian(lambda z: y * z**2)(y)

    # d²/dy² of −y³ sin(y) + 2y, with the inner Laplacian taken at fixed y first.
    y = x.clone().requires_grad_()
    flat = -torch.sin(y) * y**3 + 2 * y
    (g,) = torch.autograd.grad(flat.sum(), y, create_graph=True)
    (h,) = torch.autograd.grad(g.sum(), y)
    torch.testing.assert_close(laplacian(outer)(x), h)


def test_gradients_of_gradients_of_the_result() -> None:
    f, x = network(), points(4).requires_grad_()
    inputs = [x, *f.parameters()]
    results = []
    for fused in (True, False):
        scale = torch.ones((), dtype=torch.float64)
        request = Collapsed((0, 1, 2), None, torch.tensor([1.0, -0.5, 2.0]).double())

        # Inside a transform the pass is written in ordinary operations.
        def compute(s: Tensor, request: Collapsed = request) -> Tensor:
            return (ENGINE.collapsed(f, x * s, request)[1] ** 2).sum()

        loss = compute(scale) if fused else vmap(compute)(scale[None])[0]
        gradients = torch.autograd.grad(loss, inputs, create_graph=True, allow_unused=True)
        squares = sum((g**2).sum() for g in gradients if g is not None)
        results.append((loss, torch.autograd.grad(squares, inputs, allow_unused=True)))
    torch.testing.assert_close(results[0][0], results[1][0])
    for a, b in zip(results[0][1], results[1][1], strict=True):
        assert (a is None) == (b is None)
        if a is not None:
            torch.testing.assert_close(a, b)


def test_per_point_gradients_with_respect_to_parameters() -> None:
    f, x = network(outputs=1), points(5)
    parameters = {k: p.detach() for k, p in f.named_parameters()}

    def residual(p: dict[str, Tensor], row: Tensor) -> Tensor:
        return laplacian(lambda y: functional_call(f, p, (y,)))(row)[0]

    each = vmap(grad(residual), (None, 0))(parameters, x)
    whole = jacrev(lambda p: laplacian(lambda y: functional_call(f, p, (y,)))(x)[:, 0])(parameters)
    result = laplacian(f)(x)[:, 0]
    names = [k for k, _ in f.named_parameters()]
    for row in range(5):
        wanted = torch.autograd.grad(
            result[row], list(f.parameters()), retain_graph=True, allow_unused=True
        )
        for name, w in zip(names, wanted, strict=True):
            w = torch.zeros_like(parameters[name]) if w is None else w
            torch.testing.assert_close(each[name][row], w)
            torch.testing.assert_close(whole[name][row], w)


def test_gradient_with_respect_to_the_points() -> None:
    f, x = network(), points(4).requires_grad_()
    (found,) = torch.autograd.grad(laplacian(f)(x).sum(), x)
    third = [
        ENGINE.partials(f, x.detach(), [tuple(sorted((i, i, d)))])
        for d, i in itertools.product(range(3), range(3))
    ]
    totals = [next(iter(t.values())).sum(-1) for t in third]
    wanted = torch.stack([sum(totals[3 * d : 3 * d + 3]) for d in range(3)], -1)
    torch.testing.assert_close(found, wanted)


def test_float32_keeps_its_dtype_and_agrees_with_float64() -> None:
    f, x = network(), points(50)
    exact = laplacian(f)(x)
    single = laplacian(f.float())(x.float())
    assert single.dtype == torch.float32
    torch.testing.assert_close(single.double(), exact, rtol=1e-4, atol=1e-5)


def test_no_graph_is_kept_without_gradients() -> None:
    f, x = network(), points(4)
    wanted = laplacian(f)(x)
    with torch.no_grad():
        found = laplacian(f)(x)
    assert not found.requires_grad
    torch.testing.assert_close(found, wanted.detach())


@pytest.mark.parametrize(
    "function",
    [
        lambda z: torch.stack([torch.dot(a, a.sin()) for a in z])[:, None],
        lambda z: torch.stack([a @ a.sin() for a in z])[:, None],
        lambda z: torch.stack([torch.mv(torch.outer(a, a.cos()), a.sin()) for a in z]),
        lambda z: torch.stack([a @ torch.outer(a, a.cos()) for a in z]),
    ],
    ids=["dot", "vector_at_vector", "mv", "vector_at_matrix"],
)
@pytest.mark.parametrize("context", [torch.enable_grad, torch.no_grad, torch.inference_mode])
def test_products_of_vectors_that_both_carry(context: Any, function: Any) -> None:
    linear = network()[0]

    def f(y: Tensor) -> Tensor:
        return function(linear(y))

    x = points(4)
    with context():
        for transform in (pinnderiv.jacobian, pinnderiv.laplacian, pinnderiv.hessian):
            found = transform(f)(x)
            torch.testing.assert_close(transform(f, method="taylor")(x), found)
            torch.testing.assert_close(transform(f, method="reverse")(x), found)


SQUARES = {
    "hard_constraint": lambda net: lambda x: net(x) * (1 - x**2).prod(-1, keepdim=True),
    "gaussian": lambda net: lambda x: torch.exp(-(x**2)),
    "logarithm": lambda net: lambda x: torch.log(1 + x**2),
    "network_of_squares": lambda net: lambda x: net(x**2),
}


@pytest.mark.parametrize("name", SQUARES)
def test_squares_of_the_points_can_be_trained_on(name: str) -> None:
    """The slope of z² is constant along constant tangents: part of the backward pass is zero."""
    f, x = SQUARES[name](network()), points(4).requires_grad_()
    found = []
    for method in ("taylor", "reverse"):
        result = pinnderiv.laplacian(f, method=method)(x).sum()
        (slope,) = torch.autograd.grad(result, x, create_graph=True)
        (bend,) = torch.autograd.grad(slope.square().sum(), x)
        found.append((slope, bend))
        unchecked = pinnderiv.laplacian(f, method=method, check=False)(x).sum()
        torch.testing.assert_close(torch.autograd.grad(unchecked, x, create_graph=True)[0], slope)
    for a, b in zip(*found, strict=True):
        torch.testing.assert_close(a, b)
    assert pinnderiv.explain(f, x).method == "taylor"


CONSTANT = points(4).flip(0)


@pytest.mark.parametrize(
    "like",
    [
        lambda c, x: c.float().to(x),
        lambda c, x: c.float().type_as(x),
        lambda c, x: c[:1].expand_as(x),
        lambda c, x: c.reshape(3, 4).view_as(x),
        lambda c, x: c.reshape(3, 4).reshape_as(x),
        lambda c, x: c.where(x > 0, x**2),
        lambda c, x: (x**2).where(x > 0, c),
    ],
    ids=["to", "type_as", "expand_as", "view_as", "reshape_as", "where", "where_of_carrier"],
)
def test_a_constant_made_like_the_points(like: Any) -> None:
    def f(x: Tensor) -> Tensor:
        return like(CONSTANT, x) * x**3

    found = pinnderiv.laplacian(f, method="taylor")(points(4))
    torch.testing.assert_close(found, pinnderiv.laplacian(f, method="reverse")(points(4)))
