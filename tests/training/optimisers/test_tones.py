"""Frequencies of values at scattered points."""

import math

import pytest
import torch
from torch import Tensor

from pinnderiv.domains import SobolSampler
from pinnderiv.training.optimisers.tones import find_tones

HALF_WAVE = math.pi / 2


def scattered(count: int, axes: int) -> Tensor:
    return 2 * torch.as_tensor(SobolSampler(seed=3).draw(count, axes)).double() - 1


def wave(x: Tensor, half_waves: tuple[float, ...], shift: float = 0.0) -> Tensor:
    """∏ sin(k (x_i + 1) π/2 + shift): k half-waves from -1 to 1."""
    frequencies = HALF_WAVE * x.new_tensor(half_waves)
    return torch.sin(frequencies * (x + 1) + shift).prod(dim=1, keepdim=True)


def half_waves(tones: Tensor) -> list[tuple[float, ...]]:
    return sorted(tuple(round(each, 6) for each in tone) for tone in (tones / HALF_WAVE).tolist())


@pytest.mark.parametrize("tone", [(12.0,), (12.0, 2.0), (24.3, 0.7), (9.0, 2.0, 3.1)])
def test_one_wave_is_found_to_rounding(tone: tuple[float, ...]) -> None:
    x = scattered(300, len(tone))
    found = find_tones(x, wave(x, tone, shift=0.4), 64.0)
    assert found.shape == (1, len(tone))
    torch.testing.assert_close(found[0], HALF_WAVE * x.new_tensor(tone), rtol=1e-9, atol=1e-9)


def test_several_waves_are_told_apart_however_near() -> None:
    x = scattered(400, 2)
    tones = [(3.0, 1.0), (3.7, 1.0), (12.0, 2.0)]
    values = sum(
        amplitude * wave(x, tone) for amplitude, tone in zip((1, 0.7, 0.1), tones, strict=True)
    )
    assert half_waves(find_tones(x, values, 64.0)) == tones


def test_columns_share_their_frequencies() -> None:
    x = scattered(200, 2)
    values = torch.cat([wave(x, (5.0, 2.0)), 0 * x[:, :1], wave(x, (5.0, 2.0), 0.9)], dim=1)
    assert half_waves(find_tones(x, values, 64.0)) == [(5.0, 2.0)]


def test_what_does_not_change_has_no_frequency() -> None:
    x = scattered(200, 2)
    found = find_tones(x, wave(x[:, :1], (7.0,)), 64.0)
    assert half_waves(found) == [(7.0, 0.0)]


def test_values_that_are_no_waves_end_with_few() -> None:
    x = scattered(512, 1)
    values = torch.exp(-20 * x.square())
    found = find_tones(x, values, 64.0)
    assert 2 <= len(found) <= 8 and bool((found >= 0).all())
    # most of a bump lies below what its width is the inverse of
    assert float(found[0]) < 20**0.5


def test_few_values_give_few_frequencies() -> None:
    x = scattered(24, 2)
    # (2² + 2) unknowns each, at the most a quarter of the values
    assert len(find_tones(x, torch.exp(-20 * x.square().sum(1, keepdim=True)), 64.0)) == 1
    assert len(find_tones(x[:20], wave(x[:20], (2.0, 1.0)), 64.0)) == 0


@pytest.mark.parametrize("number", [0.0, float("nan"), float("inf")])
def test_nothing_is_found_in_nothing(number: float) -> None:
    x = scattered(50, 2)
    assert find_tones(x, torch.full_like(x[:, :1], number), 64.0).shape == (0, 2)
