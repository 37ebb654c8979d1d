"""The oracle itself, against closed forms and against functions whose autograd lies."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from tests.case_functions import CubeDetachedBackward, CubeWrongBackward
from tests.oracle import agrees, by_differences, by_reverse_mode, extrapolate, oracle, slope


def product(x: Tensor) -> Tensor:
    """u = sin(a) exp(b), v = a² b³."""
    a, b = x[:, 0], x[:, 1]
    return torch.stack([a.sin() * b.exp(), a**2 * b**3], -1)


def product_hessian(x: Tensor) -> Tensor:
    """The Hessians of ``product``, by hand."""
    a, b = x[:, 0], x[:, 1]
    u = [[-a.sin() * b.exp(), a.cos() * b.exp()], [a.cos() * b.exp(), a.sin() * b.exp()]]
    v = [[2 * b**3, 6 * a * b**2], [6 * a * b**2, 6 * a**2 * b]]
    stack = [torch.stack([torch.stack(line, -1) for line in h], -2) for h in (u, v)]
    return torch.stack(stack, 1)


@pytest.fixture
def points() -> Tensor:
    return torch.tensor([[0.3, -0.7], [1.1, 0.4], [-0.6, 0.9]], dtype=torch.float64)


def test_differences_reach_the_stated_accuracy(points):
    """1e-11 relative for second derivatives, and the error estimate is not too small."""
    estimate, error = by_differences(product, points, "hessian")
    truth = product_hessian(points)
    assert ((estimate - truth).abs() / truth.abs().max()).max() < 1e-11
    assert ((estimate - truth).abs() <= 30 * error + 1e-13).all()
    jacobian, _ = by_differences(product, points, "jacobian")
    a, b = points[:, 0], points[:, 1]
    rows = [
        torch.stack([a.cos() * b.exp(), a.sin() * b.exp()], -1),
        torch.stack([2 * a * b**3, 3 * a**2 * b**2], -1),
    ]
    assert (jacobian - torch.stack(rows, 1)).abs().max() < 1e-12


def test_reverse_mode_is_exact_to_rounding(points):
    truth = product_hessian(points)
    assert (by_reverse_mode(product, points, "hessian") - truth).abs().max() < 1e-14
    diagonal = truth.diagonal(dim1=-2, dim2=-1)
    second = by_reverse_mode(product, points, "second_derivatives")
    assert (second - diagonal).abs().max() < 1e-14
    laplacian = by_reverse_mode(product, points, "laplacian")
    assert (laplacian - diagonal.sum(-1)).abs().max() < 1e-14


@pytest.mark.parametrize("kind", ["value", (), (0,), (1,), (0, 0), (0, 1), (1, 0)])
def test_multi_indices(points, kind):
    a, b = points[:, 0], points[:, 1]
    truth = {
        (0,): torch.stack([a.cos() * b.exp(), 2 * a * b**3], -1),
        (1,): torch.stack([a.sin() * b.exp(), 3 * a**2 * b**2], -1),
        (0, 0): product_hessian(points)[..., 0, 0],
        (0, 1): product_hessian(points)[..., 0, 1],
        (1, 0): product_hessian(points)[..., 0, 1],
    }.get(kind, product(points))
    assert (oracle(product, points, kind) - truth).abs().max() < 1e-14


def test_harmonic_function_has_no_laplacian(points):
    harmonic = lambda x: x[:, :1].exp() * x[:, 1:].sin()  # noqa: E731
    estimate, _ = by_differences(harmonic, points, "laplacian")
    assert estimate.abs().max() < 1e-11
    assert oracle(harmonic, points, "laplacian").abs().max() < 1e-14


def test_differences_beside_a_kink():
    """|x|³ close to 0: the large steps straddle the kink, the small ones do not."""
    x = torch.tensor([[0.05], [-0.3]], dtype=torch.float64)
    estimate, error = by_differences(lambda x: x.abs() ** 3, x, "second_derivatives")
    truth = 6 * x.abs()[..., None]
    assert ((estimate - truth).abs() <= 30 * error + 1e-12).all()
    assert (estimate - truth).abs().max() < 1e-9


def test_error_estimate_admits_a_kink():
    """At the kink of |x| x there is no second derivative, and the oracle says so."""
    x = torch.zeros(1, 1, dtype=torch.float64)
    assert not agrees(x[..., None], *by_differences(lambda x: x.abs(), x, "second_derivatives"))


@pytest.mark.parametrize(
    ("function", "kind"), [(CubeDetachedBackward, "hessian"), (CubeWrongBackward, "jacobian")]
)
def test_a_lying_backward_is_found(points, function, kind):
    with pytest.raises(ValueError, match="disagree"):
        oracle(function.apply, points, kind)
    honest = oracle(lambda x: x**3, points, kind)
    estimate, error = by_differences(function.apply, points, kind)
    assert agrees(honest, estimate, error)


def test_a_small_mistake_is_found(points):
    """A relative mistake of 1e-6 in one entry is not taken for rounding."""
    estimate, error = by_differences(product, points, "hessian")
    wrong = product_hessian(points)
    wrong[0, 0, 0, 1] *= 1 + 1e-6
    assert not agrees(wrong, estimate, error)
    assert agrees(product_hessian(points), estimate, error)


def test_slope():
    value, error = slope(lambda s: math.exp(3 * s) * math.cos(s))
    assert abs(value - 3) < 1e-11
    assert abs(value - 3) <= 30 * error + 1e-13


def test_extrapolation_is_of_high_order():
    """Eleven steps from 0.4 remove the error terms up to h²⁰: all digits but a few."""
    estimate, _ = extrapolate(
        lambda h: torch.tensor([math.sin(1 + h) - math.sin(1 - h)], dtype=torch.float64) / (2 * h),
        0.4,
    )
    assert abs(float(estimate) - math.cos(1)) < 1e-13


def test_input_that_the_oracle_cannot_take(points):
    with pytest.raises(ValueError, match="float64"):
        by_differences(product, points.float(), "hessian")
    with pytest.raises(ValueError, match="unknown kind"):
        by_differences(product, points, "curl")
    with pytest.raises(ValueError, match="second order"):
        by_reverse_mode(product, points, (0, 0, 1))
