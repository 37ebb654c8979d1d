"""Coefficients to be learnt: their gradients arrive, also where nothing else requires one."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from pinnderiv.derivatives import (
    hvp,
    laplacian,
    linear_operator,
    second_order_operator,
    stochastic,
)
from tests.derivatives.common import METHODS, assert_close, fresh_network, points

X = points(5, 2)

# Coefficients as they are learnt, and the operator that has them.
OPERATORS: dict[str, tuple[tuple[Tensor, ...], Callable[..., Tensor]]] = {
    "speed_and_reaction": (
        (torch.tensor(0.1), torch.tensor(0.3)),
        lambda f, k, c, **o: linear_operator(f, first=(k, 1.0), zeroth=c, **o)(X),
    ),
    "weights": ((torch.tensor([0.5, -2.0]),), lambda f, w, **o: laplacian(f, weights=w, **o)(X)),
    "second": ((points(5, 2),), lambda f, w, **o: linear_operator(f, second=w, **o)(X)),
    "second_and_first": (
        (points(2), points(5, 2)),
        lambda f, w, b, **o: linear_operator(f, second=w, first=b, **o)(X),
    ),
    "matrix": (
        (torch.tensor([[1.0, 0.2], [0.2, -1.0]]),),
        lambda f, a, **o: second_order_operator(f, a, **o)(X),
    ),
    "direction": ((points(5, 2),), lambda f, v, **o: hvp(f, **o)(X, v)),
}


@pytest.mark.parametrize("chunk_size", [None, 2])
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", OPERATORS)
def test_a_frozen_network_passes_gradients_to_coefficients(
    name: str, method: str, chunk_size: int | None
) -> None:
    given, apply = OPERATORS[name]
    net = fresh_network(2, 1).requires_grad_(False)
    learnt = [c.double().requires_grad_() for c in given]
    result = apply(net, *learnt, method=method, chunk_size=chunk_size)
    found = torch.autograd.grad(result.square().sum(), learnt)
    expected = _by_differences(lambda *c: apply(net, *c, method="nested").square().sum(), learnt)
    for a, b in zip(found, expected, strict=True):
        assert_close(a, b, 1e-6)


def _by_differences(loss: Callable[..., Tensor], at: list[Tensor]) -> list[Tensor]:
    """The gradient by central differences; a matrix is moved symmetrically."""
    result = []
    with torch.no_grad():
        for n, c in enumerate(at):
            gradient = torch.zeros_like(c)
            for place in range(c.numel()):
                step = torch.zeros_like(c).reshape(-1)
                step[place] = 1e-5
                step = step.reshape(c.shape)
                if c.shape == (2, 2):
                    step = (step + step.mT) / 2
                sides = [loss(*at[:n], c + s * step, *at[n + 1 :]) for s in (1, -1)]
                gradient.view(-1)[place] = (sides[0] - sides[1]) / 2e-5
            result.append(gradient)
    return result


@pytest.mark.parametrize("method", METHODS)
def test_estimates_pass_gradients_to_coefficients(method: str) -> None:
    net = fresh_network(2, 1).requires_grad_(False)
    w = torch.tensor([0.5, 2.0], dtype=torch.float64, requires_grad=True)
    found = []
    for _ in range(2):
        generator = torch.Generator().manual_seed(0)
        result = stochastic.laplacian(net, 4, weights=w, generator=generator, method=method)(X)
        found += torch.autograd.grad(result.square().sum(), w)
    assert_close(found[0], found[1])
    assert bool((found[0] != 0).all())


def test_without_anything_to_learn_there_is_no_graph() -> None:
    net = fresh_network(2, 1).requires_grad_(False)
    value, result = laplacian(net, method="reverse", return_value=True)(X)
    assert not value.requires_grad and not result.requires_grad
