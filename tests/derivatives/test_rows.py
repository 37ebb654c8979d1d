"""Rows that mix are found however large what does not move is, and in either precision."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from pinnderiv.derivatives import laplacian
from pinnderiv.errors import BatchMixingError
from tests.derivatives.common import METHODS, points

OFFSETS: dict[str, Callable[[Tensor], Tensor]] = {
    "softmax": lambda x: 300 + x.softmax(0),
    "cube": lambda x: 300 + (x - x.mean(0)) ** 3,
    "small_cube": lambda x: 20 + 0.02 * (x - x.mean(0)) ** 3,
    "normalised": lambda x: 3000 + torch.tanh((x - x.mean(0)) / x.std(0)),
}


@pytest.mark.parametrize("rows", [3, 64, 2000])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", OFFSETS)
def test_an_offset_does_not_hide_rows_that_mix(name: str, dtype: torch.dtype, rows: int) -> None:
    with pytest.raises(BatchMixingError, match="per row"):
        laplacian(OFFSETS[name])(points(rows, 2, dtype=dtype))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_an_offset_alone_is_no_mixing(dtype: torch.dtype, method: str) -> None:
    for offset in (0.0, 300.0, 1e6):
        found = laplacian(lambda x, c=offset: c + torch.sin(3 * x), method=method)(
            points(64, 2, dtype=dtype)
        )
        assert found.shape == (64, 2)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("offset", [0.0, 100.0, 1e4])
def test_batch_norm_in_training_is_mixing_for_every_method(
    offset: float, dtype: torch.dtype, method: str
) -> None:
    torch.manual_seed(0)
    layers = [nn.Linear(2, 8), nn.BatchNorm1d(8), nn.Tanh(), nn.Linear(8, 1)]
    net = nn.Sequential(*layers).to(dtype)
    x = points(64, 2, dtype=dtype)
    with pytest.raises(BatchMixingError, match=r"BatchNorm1d '1'.*net.eval\(\)"):
        laplacian(lambda y: offset + net(y), method=method)(x)
