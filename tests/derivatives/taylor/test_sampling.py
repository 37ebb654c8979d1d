"""Rules of sampling and of orthogonal polynomials, against finite differences of PyTorch's own."""

from __future__ import annotations

import itertools
import math
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from pinnderiv.derivatives import laplacian
from pinnderiv.derivatives.taylor import check_rule
from pinnderiv.derivatives.taylor.rules.polynomials import _STEPS
from tests.derivatives.common import assert_close


def normal(*shape: int) -> Tensor:
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("name", sorted(_STEPS))
def test_orthogonal_polynomials(name: str) -> None:
    function = getattr(torch.special, name)
    z = normal(2, 3) * 0.6
    for degree in (0, 1, 2, 3, 7):
        check_rule(function, z, degree, tolerance=1e-7)
    check_rule(function, z, torch.tensor([4, 0, 2]), tolerance=1e-7)
    assert not laplacian(lambda x: function(x, -1), method="taylor")(z).any()


def test_every_polynomial_of_torch_has_a_rule() -> None:
    assert set(_STEPS) == {name for name in dir(torch.special) if "_polynomial_" in name}


@pytest.mark.parametrize("method", ["auto", "taylor"])
def test_legendre_series_trains(method: str) -> None:
    """The Legendre equation, (1 − x²) p″ − 2x p′ + n(n + 1) p = 0, and gradients of p″."""
    x = torch.linspace(-0.8, 0.9, 7, dtype=torch.float64)[:, None]
    weights = torch.tensor([0.3, -1.1, 0.7, 0.2], dtype=torch.float64, requires_grad=True)

    def series(y: Tensor) -> Tensor:
        terms = [torch.special.legendre_polynomial_p(y, n) for n in range(4)]
        return sum(w * t for w, t in zip(weights, terms, strict=True))

    found = laplacian(series, method=method)(x)
    expected = weights[2] * 3 + weights[3] * 15 * x
    assert_close(found, expected)
    (gradient,) = torch.autograd.grad(found.sum(), weights)
    assert_close(gradient, torch.tensor([0, 0, 3 * 7, 15 * x.sum()], dtype=torch.float64))


def test_laplacian_of_a_laplacian_of_a_polynomial() -> None:
    x = normal(5, 1)

    def hermite(y: Tensor) -> Tensor:
        return torch.special.hermite_polynomial_h(y, 6)

    # H_n′ = 2n H_{n−1} (Abramowitz & Stegun 22.8.7), four times.
    expected = 16 * math.perm(6, 4) * torch.special.hermite_polynomial_h(x, 2)
    found = laplacian(laplacian(hermite, method="taylor"), method="taylor")(x)
    assert_close(found, expected)


SAMPLES = [
    (spatial, mode, padding, aligned)
    for spatial, mode, padding, aligned in itertools.product(
        (2, 3), ("bilinear", "nearest", "bicubic"), ("zeros", "border", "reflection"), (True, False)
    )
    if not (mode == "bicubic" and spatial == 3)
]


@pytest.mark.parametrize(("spatial", "mode", "padding", "aligned"), SAMPLES)
def test_grid_sample(spatial: int, mode: str, padding: str, aligned: bool) -> None:
    sizes = (4, 5, 3)[:spatial]
    points = 8
    count = torch.tensor(sizes[::-1], dtype=torch.float64)
    # Inside and outside of the image, and away from grid lines, middles and edges.
    whole = torch.stack(
        [(torch.arange(points) * s) % (n + 2) - 1 for s, n in ((3, 5), (2, 4), (1, 3))]
    )
    whole = whole.T[:, -spatial:] if spatial == 3 else whole.T[:, :2]
    place = whole + 0.2 + 0.15 * torch.sigmoid(normal(points, spatial))
    grid = 2 * place / (count - 1) - 1 if aligned else (2 * place + 1) / count - 1
    grid = grid.reshape(1, *(2, 4, 1)[:spatial], spatial)
    keywords: dict[str, Any] = {"mode": mode, "padding_mode": padding, "align_corners": aligned}
    image = normal(1, 2, *sizes)
    assert F.grid_sample(image, grid, **keywords).abs().max() > 0.1
    check_rule(F.grid_sample, image, grid, tolerance=1e-7, **keywords)
    if mode == "nearest":  # the others have the same path
        return
    number = (
        ("bilinear", "nearest", "bicubic").index(mode),
        ("zeros", "border", "reflection").index(padding),
        aligned,
    )
    check_rule(torch.grid_sampler, image, grid, *number, tolerance=1e-7)


@pytest.mark.parametrize("mode", ["sum", "mean", "max"])
@pytest.mark.parametrize("padding_idx", [None, 2, -1])
def test_embedding_bag(mode: str, padding_idx: int | None) -> None:
    weight = normal(5, 3)
    flat, offsets = torch.tensor([0, 2, 2, 4, 1, 2]), torch.tensor([0, 2, 2, 5])
    if mode == "max":
        if padding_idx is None:
            check_rule(F.embedding_bag, flat.reshape(3, 2), weight, mode=mode)
        return
    keywords: dict[str, Any] = {"mode": mode, "padding_idx": padding_idx}
    check_rule(F.embedding_bag, flat.reshape(3, 2), weight, **keywords)
    check_rule(F.embedding_bag, flat, weight, offsets, **keywords)
    check_rule(F.embedding_bag, flat, weight, offsets, include_last_offset=True, **keywords)


def test_embedding_of_a_table_that_depends_on_the_points() -> None:
    check_rule(F.embedding, torch.tensor([[0, 2], [2, 1]]), normal(3, 4))
    rows = torch.tensor([0, 1, 1, 0])

    def weighted(x: Tensor) -> Tensor:
        table = torch.stack([x.sin(), x.cos()])  # (2, N, 2)
        picked = F.embedding(rows, table.reshape(2, -1)).reshape(4, *x.shape)
        return picked.sum(0)

    x = normal(3, 2)
    expected = -2 * (x.sin() + x.cos())
    assert_close(laplacian(weighted, method="taylor")(x), expected)


def test_embedding_of_integers_is_a_constant() -> None:
    table = torch.nn.Embedding(4, 2, dtype=torch.float64)

    def f(x: Tensor) -> Tensor:
        return table((x[:, 0] * 0 + 1).long()) * x**3

    x = normal(3, 2)
    expected = 6 * x * table.weight[1]
    assert_close(laplacian(f, method="taylor", strict=True)(x), expected)


def test_other_compositions() -> None:
    check_rule(torch.native_layer_norm, normal(2, 4), (4,), normal(4), normal(4) * 2, 1e-5)
    softmax = torch.ops.aten._safe_softmax.default
    check_rule(softmax, normal(3, 4), -1)
    hidden = torch.full((4,), -math.inf, dtype=torch.float64)
    assert not laplacian(lambda x: softmax(hidden + x, -1), method="taylor")(normal(3, 4)).any()
    check_rule(torch.linalg.pinv, normal(3, 3) + 3 * torch.eye(3), hermitian=True)


def test_bags_without_offsets_are_refused_as_by_torch() -> None:
    def bags(x: Tensor) -> Tensor:
        return F.embedding_bag(torch.tensor([0, 1, 1]), x)

    x = normal(2, 3)
    with pytest.raises(ValueError, match="offsets has to be a 1D Tensor"):
        bags(x)
    with pytest.raises(Exception, match="offsets has to be a 1D Tensor"):
        laplacian(bags, method="taylor", check=False)(x)
