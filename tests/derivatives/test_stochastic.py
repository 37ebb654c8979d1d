"""Estimates: unbiased, reproducible, with an honest standard error, and trainable."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import pinnderiv
from pinnderiv.derivatives import stochastic
from pinnderiv.errors import ArgumentError, ShapeError

COLUMNS = 5


@pytest.fixture
def net() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(COLUMNS, 16), nn.Tanh(), nn.Linear(16, 2)).double()


@pytest.fixture
def x() -> torch.Tensor:
    return torch.rand(4, COLUMNS, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("per_point", [False, True])
@pytest.mark.parametrize("sampler", stochastic.SAMPLERS)
def test_is_unbiased(net, x, sampler, per_point):
    weights = torch.tensor([1.0, -2.0, 0.5, 3.0, -1.0], dtype=torch.float64)
    exact = pinnderiv.laplacian(net, weights=weights)(x)
    generator = seeded(2)
    estimate = stochastic.laplacian(
        net, 4, weights=weights, sampler=sampler, per_point=per_point, generator=generator
    )
    draws = torch.stack([estimate(x).detach() for _ in range(300)])
    error = draws.std(0) / 300**0.5
    assert bool(((draws.mean(0) - exact).abs() < 4.5 * error + 1e-12).all())


@pytest.mark.parametrize("sampler", ["rademacher", "gaussian"])
def test_standard_error_is_the_scatter_of_the_estimates(net, x, sampler):
    generator = seeded(3)
    estimate = stochastic.laplacian(
        net, 8, sampler=sampler, generator=generator, standard_error=True
    )
    draws = [estimate(x) for _ in range(300)]
    scatter = torch.stack([d.value.detach() for d in draws]).std(0)
    claimed = torch.stack([d.standard_error.detach() for d in draws]).square().mean(0).sqrt()
    assert torch.allclose(scatter, claimed, rtol=0.25)


def test_all_coordinates_are_exact_and_say_so(net, x):
    estimate = stochastic.laplacian(net, COLUMNS, sampler="coordinates", standard_error=True)(x)
    assert torch.allclose(estimate.value, pinnderiv.laplacian(net)(x), atol=1e-12)
    assert float(estimate.standard_error.detach().max()) < 1e-9


def test_indefinite_matrix_with_exact_lower_orders(net, x):
    a = torch.randn(COLUMNS, COLUMNS, dtype=torch.float64, generator=seeded(4))
    a, b = a + a.mT, torch.arange(5.0, dtype=torch.float64)
    parts = {"matrix": a, "first": b, "zeroth": -2.0}
    exact = pinnderiv.linear_operator(net, **parts)(x)
    found = stochastic.linear_operator(net, 400, **parts, generator=seeded(5), standard_error=True)(
        x
    )
    assert bool(((found.value - exact).abs() < 5 * found.standard_error).all())
    # The same directions without the error take another path through the engine.
    again = stochastic.linear_operator(net, 400, **parts, generator=seeded(5))(x)
    assert torch.allclose(found.value, again, atol=1e-12)


def test_gaussian_curvature_of_a_quadratic_has_the_variance_of_theory(x):
    # Hutchinson with normal entries: var of one sample is 2‖H‖²_F (Avron & Toledo, 2011).
    h = torch.diag(torch.arange(1.0, 6.0, dtype=torch.float64))
    f = lambda y: 0.5 * ((y @ h) * y).sum(-1, keepdim=True)  # noqa: E731
    found = stochastic.laplacian(
        f, 4000, sampler="gaussian", generator=seeded(6), standard_error=True
    )(x[:1])
    variance = float(found.standard_error.square() * 4000)
    assert variance == pytest.approx(2 * float(h.square().sum()), rel=0.15)


def test_same_generator_same_directions_and_chunks_do_not_matter(net, x):
    whole = stochastic.laplacian(net, 6, generator=seeded(7), per_point=True)(x)
    pieces = stochastic.laplacian(net, 6, generator=seeded(7), per_point=True, chunk_size=3)(x)
    assert torch.allclose(whole, pieces, atol=1e-13)
    other = stochastic.laplacian(net, 6, generator=seeded(8), per_point=True)(x)
    assert not torch.allclose(whole, other)


@pytest.mark.parametrize("method", ["taylor", "nested", "reverse"])
def test_gradients_agree_between_engines(net, x, method):
    def gradients(m: str) -> list[torch.Tensor]:
        loss = stochastic.laplacian(net, 3, generator=seeded(9), method=m)(x).square().mean()
        return list(torch.autograd.grad(loss, [net[0].weight, net[2].weight]))

    for a, b in zip(gradients(method), gradients("reverse"), strict=True):
        assert torch.allclose(a, b, rtol=1e-10, atol=1e-14)


def test_a_thousand_dimensions_train():
    torch.manual_seed(1)
    columns = 1000
    net = nn.Sequential(nn.Linear(columns, 32), nn.Tanh(), nn.Linear(32, 1))
    x = torch.rand(64, columns)
    optimiser = torch.optim.Adam(net.parameters(), 1e-3)
    losses = []
    generator = seeded(10)
    for _ in range(40):
        optimiser.zero_grad()
        residual = stochastic.laplacian(net, 8, generator=generator)(x) - 1.0
        loss = residual.square().mean()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    exact = pinnderiv.laplacian(net)(x) - 1.0
    assert float(exact.detach().square().mean()) < 0.7
    assert losses[-1] < losses[0]


@pytest.mark.parametrize(
    ("arguments", "error", "says"),
    [
        ({"samples": 0}, ArgumentError, "at least 1"),
        ({"samples": 1, "standard_error": True}, ArgumentError, "at least 2"),
        ({"samples": 2.5}, ArgumentError, "whole number"),
        ({"samples": 4, "sampler": "rademacer"}, ArgumentError, "rademacher"),
        ({"samples": 9, "sampler": "coordinates"}, ArgumentError, "without replacement"),
        ({"samples": 4, "weights": [1.0, 2.0]}, ShapeError, "second"),
    ],
)
def test_bad_arguments_are_named(net, x, arguments, error, says):
    with pytest.raises(error, match=says):
        stochastic.laplacian(net, **arguments)(x)


def test_nothing_to_estimate():
    with pytest.raises(ArgumentError, match="exact"):
        stochastic.linear_operator(nn.Linear(2, 1), 4, first=[1.0, 0.0])
