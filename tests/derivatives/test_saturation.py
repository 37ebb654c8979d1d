"""Steep functions that flatten out are right where only rounding is left of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from pinnderiv.derivatives import biharmonic, laplacian, safety
from pinnderiv.derivatives.cache import Cache
from pinnderiv.errors import UnsupportedOperationError
from tests import case_functions as custom


def histogram(x: Tensor) -> Tensor:
    edges = torch.linspace(-1, 1, 5, dtype=x.dtype)
    return torch.sigmoid(50 * (x[..., None] - edges)).diff().flatten(1)


# The function, its operator, the lower end of the points and their number of columns.
STEEP: dict[str, tuple[Callable[[Tensor], Tensor], Callable[..., Any], float, int]] = {
    "tanh": (lambda x: 1 - torch.tanh(30 * x), laplacian, 0.2, 2),
    "scaled_tanh": (lambda x: 0.3 * (1 - torch.tanh(30 * x)), laplacian, 0.2, 2),
    "layer": (lambda x: 1 - torch.exp(-x / 1e-3) - 1, laplacian, 0.0, 2),
    "sigmoid": (lambda x: 1 - torch.sigmoid(60 * x), laplacian, 0.2, 2),
    "sigmoid_of_nothing_else": (lambda x: 1 - torch.sigmoid(60 * x), laplacian, 0.8, 2),
    "soft_histogram": (histogram, laplacian, 0.0, 1),
    "front": (lambda x: torch.tanh((x - 0.5) / 0.005), biharmonic, 0.0, 2),
}


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("name", STEEP)
def test_is_not_refused(name: str, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    f, transform, low, columns = STEEP[name]
    for seed in range(12):
        monkeypatch.setattr(safety, "_CACHE", Cache())
        generator = torch.Generator().manual_seed(seed)
        x = torch.rand(100, columns, generator=generator, dtype=torch.float64)
        x = (low + (1 - low) * x).to(dtype).requires_grad_(seed % 2 == 0)
        assert transform(f, method="auto")(x).isfinite().all()


@pytest.mark.parametrize("scale", [1.0, 1e-12, 1e12])
@pytest.mark.parametrize(
    "wrong",
    [
        lambda x: custom.StraightThroughRound.apply(20 * x) / 20,
        lambda x: custom.CubeWrongBackward.apply(x),
        lambda x: custom.CubeDetachedBackward.apply(x),
    ],
)
def test_wrong_formulas_are_still_found(wrong: Callable[[Tensor], Tensor], scale: float) -> None:
    x = torch.rand(100, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    with pytest.raises(UnsupportedOperationError):
        laplacian(lambda y: scale * wrong(y))(x)
