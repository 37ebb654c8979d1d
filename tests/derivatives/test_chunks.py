"""chunk_size: the same numbers and gradients of every order, in less memory."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from pinnderiv.derivatives import (
    biharmonic,
    derivatives,
    hessian,
    hvp,
    jacobian,
    laplacian,
    linear_operator,
    second_derivatives,
)
from pinnderiv.errors import ShapeError, UnsupportedOperationError
from tests.derivatives.common import METHODS, assert_close, fresh_network, network, points

Made = Callable[..., Tensor]
SIZES = (1, 3, 7, 100)


def first_parts(x: Tensor) -> Tensor:
    return torch.stack([x[..., 0].sin(), x.sum(-1)], -1)


OPERATORS: dict[str, Made] = {
    "jacobian": lambda f, x, **k: jacobian(f, **k)(x),
    "hessian": lambda f, x, **k: hessian(f, **k)(x),
    "second_derivatives": lambda f, x, **k: second_derivatives(f, **k)(x),
    "weights_at_points": lambda f, x, **k: laplacian(f, weights=first_parts(x), **k)(x),
    "parts_at_points": lambda f, x, **k: linear_operator(
        f,
        first_parts(x),
        torch.diag_embed(first_parts(x)) + 1,
        first_parts(x),
        x.sum(-1),
        **k,
    )(x),
    "hvp": lambda f, x, **k: hvp(f, **k)(x, first_parts(x)),
    "biharmonic": lambda f, x, **k: biharmonic(f, **k)(x),
    "names": lambda f, x, **k: torch.stack(
        list(derivatives(f, ["u", "v_t", "u_xt"], ("x", "t"), ("u", "v"), **k)(x).values())
    ),
}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", OPERATORS)
def test_results_and_gradients_are_the_same(name: str, method: str) -> None:
    call, net = OPERATORS[name], network(2, 2)

    def everything(x: Tensor, **options: Any) -> list[Tensor]:
        leaves = [x, *net.parameters()]
        result = call(net, x, method=method, **options)
        return [
            result,
            *torch.autograd.grad(
                result.square().sum(), leaves, allow_unused=True, materialize_grads=True
            ),
        ]

    for shape in [(7, 2), (2, 3, 2), (2,), (0, 2)][: 1 if name == "biharmonic" else 4]:
        x = points(*shape).requires_grad_()
        expected = everything(x)
        for size in (1, 4) if len(shape) > 2 else SIZES:
            for a, b in zip(everything(x, chunk_size=size), expected, strict=True):
                assert_close(a, b)


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
@pytest.mark.parametrize("method", METHODS)
def test_without_gradients(method: str, mode: Callable[[], Any]) -> None:
    net, x = network(2, 2), points(7, 2)
    with mode():
        found = laplacian(net, method=method, chunk_size=3)(x)
    assert not found.requires_grad
    assert_close(found, laplacian(net)(x))


def test_the_value_comes_in_chunks_too() -> None:
    net, x = network(2, 2), points(7, 2)
    value, result = laplacian(net, return_value=True, chunk_size=3)(x)
    assert_close(value, net(x))
    assert_close(result, laplacian(net)(x))
    (gradient,) = torch.autograd.grad(value.sum(), net[0].weight)
    assert_close(gradient, torch.autograd.grad(net(x).sum(), net[0].weight)[0])


def waves(t: Tensor, size: int | None, method: str) -> Tensor:
    """A parameter in f and in the weights: ∂/∂t must count both paths once."""
    return laplacian(
        lambda y: torch.sin(t * y**3).sum(-1, keepdim=True),
        weights=(t, t**2),
        method=method,
        chunk_size=size,
    )(points(5, 2))


def moved_points(t: Tensor, size: int | None, method: str) -> Tensor:
    """A parameter in f and in the points."""
    return laplacian(lambda y: t * y**4, method=method, chunk_size=size)(t.cos() * points(5, 2))


def hyper_network(t: Tensor, size: int | None, method: str) -> Tensor:
    """Weights of f, coefficients and points that another network makes: no leaves."""
    made = torch.tanh(t * torch.linspace(0.1, 1, 6, dtype=t.dtype).reshape(2, 3))
    x = points(5, 2)
    return linear_operator(
        lambda y: torch.tanh(y @ made).sum(-1, keepdim=True),
        second=(1, t),
        first=t * x,
        zeroth=t * x[:, 0],
        method=method,
        chunk_size=size,
    )(x * t)


@pytest.mark.parametrize("method", ["nested", "reverse"])
@pytest.mark.parametrize("made", [waves, moved_points, hyper_network])
def test_gradients_of_higher_order(made: Made, method: str) -> None:
    """First, second and third derivative of a loss by a parameter, by repeated reverse mode."""

    def orders(size: int | None) -> list[Tensor]:
        t = nn.Parameter(torch.tensor(0.9, dtype=torch.float64))
        found = [made(t, size, method).square().sum()]
        for _ in range(3):
            found.append(torch.autograd.grad(found[-1], t, create_graph=True)[0])
        return found

    expected = orders(None)
    for size in (1, 2, 100):
        for a, b in zip(orders(size), expected, strict=True):
            assert_close(a, b)


def test_a_hyper_network_that_is_used_elsewhere_in_the_loss() -> None:
    """One backward pass through the chunks and through the shared graph behind f's weights."""
    gradients = []
    for size in (None, 2):
        t = nn.Parameter(torch.tensor(0.9, dtype=torch.float64))
        made = torch.tanh(t * torch.ones(2, 3, dtype=t.dtype))

        def f(y: Tensor, made: Tensor = made) -> Tensor:
            return torch.tanh(y @ made)

        before = f(points(3, 2)).square().sum()
        chunks = laplacian(f, chunk_size=size)(points(5, 2)).square().sum()
        (before + chunks + f(points(4, 2)).square().sum()).backward()
        gradients.append(t.grad)
    assert_close(gradients[1], gradients[0])


def test_backward_passes_can_be_repeated_and_accumulate() -> None:
    net, x = fresh_network(2, 2), points(5, 2)
    result = laplacian(net, chunk_size=2)(x).square().sum()
    result.backward(retain_graph=True)
    once = [p.grad.clone() for p in net.parameters() if p.grad is not None]
    result.backward()
    twice = [p.grad for p in net.parameters() if p.grad is not None]
    for a, b in zip(twice, once, strict=True):
        assert_close(a, 2 * b)


@pytest.mark.parametrize("method", ["nested", "reverse"])
def test_dropout_draws_the_same_mask_again(method: str) -> None:
    """With check=False a random f is differentiated for one draw, in both passes the same."""
    net = nn.Sequential(nn.Linear(2, 16), nn.Tanh(), nn.Dropout(0.5), nn.Linear(16, 1)).double()
    x = points(6, 2)
    apply = laplacian(net, method=method, chunk_size=2, check=False)
    torch.manual_seed(3)
    result = apply(x).sum()
    state = torch.get_rng_state()
    found = torch.autograd.grad(result, net[3].weight, retain_graph=True)[0]
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(found, torch.autograd.grad(result, net[3].weight)[0])
    # The Laplacian is linear in the last weights, so their gradient gives it back.
    assert_close((found * net[3].weight).sum(), result)
    torch.manual_seed(3)
    assert torch.equal(apply(x).sum(), result)


class Held:
    """Bytes that autograd's graphs hold for the backward pass, now and at the most."""

    def __init__(self) -> None:
        self.now = self.most = 0

    def pack(self, tensor: Tensor) -> list[Tensor]:
        # Detached: a saved output that held its own graph would be a cycle.
        box = _Box([tensor.detach()])
        size = tensor.numel() * tensor.element_size()
        self.now += size
        self.most = max(self.most, self.now)
        weakref.finalize(box, self._drop, size)
        return box

    def _drop(self, size: int) -> None:
        self.now -= size


class _Box(list):
    """A list that can be watched."""


def held_by(apply: Callable[[Tensor], Tensor], x: Tensor) -> tuple[int, int, int]:
    """Bytes held after the forward pass, and the most in forward and in backward."""
    held = Held()
    with torch.autograd.graph.saved_tensors_hooks(held.pack, lambda box: box[0]):
        result = apply(x)
        after, most = held.now, held.most
        held.most = 0
        result.square().mean().backward()
    return after, most, held.most


@pytest.mark.parametrize("method", METHODS)
def test_memory_is_bounded_by_the_size_of_a_chunk(method: str) -> None:
    net = fresh_network(2, 1, width=32)
    x = points(1000, 2)
    whole, chunks, smaller = (
        held_by(laplacian(net, method=method, chunk_size=size), x) for size in (None, 50, 10)
    )
    # Between the passes only the points are held, and what is held in either follows the size.
    assert max(chunks[0], smaller[0]) < 2 * x.numel() * x.element_size()
    assert max(chunks[1:]) < max(whole) / 10
    assert max(smaller[1:]) < max(chunks[1:]) / 2


def test_parameters_that_change_between_the_passes_are_noticed() -> None:
    net = fresh_network(2, 1)
    result = laplacian(net, chunk_size=3)(points(6, 2)).sum()
    with torch.no_grad():
        net[0].weight.mul_(2)
    with pytest.raises(UnsupportedOperationError, match=r"backward\(\) before optimiser.step"):
        result.backward()


def test_a_parameter_that_only_some_rows_use_is_not_lost_in_silence() -> None:
    class Branching(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.low, self.high = fresh_network(2, 1), fresh_network(2, 1, seed=1)

        def forward(self, x: Tensor) -> Tensor:
            net = self.high if x.shape[0] > 1 else self.low
            return net(x)

    result = laplacian(Branching(), chunk_size=3, check=False)(points(6, 2))
    with pytest.raises(UnsupportedOperationError, match="did not use for the first ones"):
        result.sum().backward()


def test_f_that_takes_no_fewer_rows_is_told_so() -> None:
    data = points(6, 1)
    net = network(2, 1)
    with pytest.raises(ShapeError, match=r"chunk_size=4 .* only takes all 6 rows"):
        laplacian(lambda y: data * net(y), chunk_size=4)(points(6, 2))
    assert laplacian(lambda y: data * net(y), chunk_size=6)(points(6, 2)).shape == (6, 1)
