"""Sampling: values of a grid between its points, and rows of a table."""

# ruff: noqa: D103 - a rule is named after its function and is a formula
from __future__ import annotations

import itertools
from typing import Any

import torch
import torch.nn.functional as F

from pinnderiv.derivatives.taylor.algebra import apply_linear, composite, rule
from pinnderiv.derivatives.taylor.dispatch import Unsuited, active, strip
from pinnderiv.derivatives.taylor.run import Run

_MODES = ("bilinear", "nearest", "bicubic")
_PADDINGS = ("zeros", "border", "reflection")
_CUBIC = -0.75
"""The constant of the cubic convolution (Keys 1981) that PyTorch uses."""


@composite(F.grid_sample)
def grid_sample(
    image: Any,
    grid: Any,
    mode: str = "bilinear",
    padding_mode: str = "zeros",
    align_corners: bool | None = None,
) -> Any:
    """Written in operations that have rules: on each cell it is a polynomial in the points."""
    spatial = grid.shape[-1]
    if mode not in _MODES or padding_mode not in _PADDINGS or (mode == "bicubic" and spatial != 2):
        raise Unsuited
    sizes = tuple(image.shape[2:])
    aligned = bool(align_corners)
    flat = torch.reshape(grid, (grid.shape[0], -1, spatial))
    # The columns of the grid count from the last dimension of the image.
    places = [_unnormalised(flat[..., -1 - i], size, aligned) for i, size in enumerate(sizes)]
    if mode != "bicubic":
        bounds = zip(places, sizes, strict=True)
        places = [_padded(p, size, padding_mode, aligned) for p, size in bounds]
    if mode == "nearest":
        taps = [[(torch.round(p), None)] for p in places]
    elif mode == "bilinear":
        taps = [_two(p) for p in places]
    else:
        taps = [_four(p, s, padding_mode, aligned) for p, s in zip(places, sizes, strict=True)]
    columns = torch.reshape(image, (*tuple(image.shape[:2]), -1))
    result: Any = None
    for corner in itertools.product(*taps):
        value = _picked(columns, [position for position, _ in corner], sizes)
        for _, weight in corner:
            value = value if weight is None else value * weight.unsqueeze(1)
        result = value if result is None else result + value
    return torch.reshape(result, (*tuple(image.shape[:2]), *tuple(grid.shape[1:-1])))


@composite(torch.grid_sampler, torch.grid_sampler_2d, torch.grid_sampler_3d)
def grid_sampler(image: Any, grid: Any, mode: int, padding: int, align_corners: bool) -> Any:
    return grid_sample(image, grid, _MODES[mode], _PADDINGS[padding], align_corners)


def _unnormalised(g: Any, size: int, aligned: bool) -> Any:
    """From [−1, 1] to the numbers of pixels."""
    return (g + 1) * ((size - 1) / 2) if aligned else ((g + 1) * size - 1) / 2


def _padded(p: Any, size: int, padding: str, aligned: bool) -> Any:
    """Where a point outside of the image is looked up."""
    if padding == "reflection":
        low, span = (0.0, float(size - 1)) if aligned else (-0.5, float(size))
        if span == 0:
            return p * 0
        away = torch.abs(p - low)
        turns = torch.floor(away / span)
        rest = away - turns * span
        p = torch.where(turns % 2 == 0, rest, span - rest) + low
    return p if padding == "zeros" else torch.clamp(p, 0, size - 1)


def _two(p: Any) -> list[tuple[Any, Any]]:
    """The two neighbours of a point with their linear weights."""
    below = torch.floor(p)
    t = p - below
    return [(below, 1 - t), (below + 1, t)]


def _four(p: Any, size: int, padding: str, aligned: bool) -> list[tuple[Any, Any]]:
    """The four neighbours of a point with their cubic weights."""
    below = torch.floor(p)
    t = p - below
    weights = [_outer(t + 1), _inner(t), _inner(1 - t), _outer(2 - t)]
    positions = [_padded(below + i, size, padding, aligned) for i in (-1, 0, 1, 2)]
    return list(zip(positions, weights, strict=True))


def _inner(s: Any) -> Any:
    return ((_CUBIC + 2) * s - (_CUBIC + 3)) * s * s + 1


def _outer(s: Any) -> Any:
    return ((_CUBIC * s - 5 * _CUBIC) * s + 8 * _CUBIC) * s - 4 * _CUBIC


def _picked(columns: Any, positions: list[Any], sizes: tuple[int, ...]) -> Any:
    """Pixels ``(N, C, L)`` by their positions, zero outside of the image."""
    index: Any = 0
    inside: Any = True
    for position, size in zip(positions, sizes, strict=True):
        inside = inside & (position >= 0) & (position <= size - 1)
        index = index * size + torch.clamp(position, 0, size - 1).long()
    index = index.unsqueeze(1).expand(-1, columns.shape[1], -1)
    zero = torch.zeros((), dtype=columns.dtype, device=columns.device)
    return torch.where(inside.unsqueeze(1), torch.gather(columns, 2, index), zero)


def _embedding(run: Run, weight: Any, indices: Any, stretches: bool) -> Any:
    if stretches or not active(run, weight):
        raise Unsuited
    indices = strip(run, indices)
    return apply_linear(run, lambda w: F.embedding(indices, w), (weight,), {})


@rule(F.embedding, kind="linear")
def embedding(
    run: Run,
    indices: Any,
    weight: Any,
    padding_idx: int | None = None,
    max_norm: float | None = None,
    norm_type: float = 2.0,
    scale_grad_by_freq: bool = False,
    sparse: bool = False,
) -> Any:
    # padding_idx says which row no gradient reaches, max_norm changes the table in place.
    held = padding_idx is not None or max_norm is not None or scale_grad_by_freq
    return _embedding(run, weight, indices, held)


@rule(torch.embedding, kind="linear")
def torch_embedding(
    run: Run,
    weight: Any,
    indices: Any,
    padding_idx: int = -1,
    scale_grad_by_freq: bool = False,
    sparse: bool = False,
) -> Any:
    return _embedding(run, weight, indices, padding_idx != -1 or scale_grad_by_freq)


@composite(F.embedding_bag)
def embedding_bag(
    indices: Any,
    weight: Any,
    offsets: Any = None,
    max_norm: float | None = None,
    norm_type: float = 2,
    scale_grad_by_freq: bool = False,
    mode: str = "mean",
    sparse: bool = False,
    per_sample_weights: Any = None,
    include_last_offset: bool = False,
    padding_idx: int | None = None,
) -> Any:
    if max_norm is not None or scale_grad_by_freq:
        raise Unsuited
    if (indices.ndim == 1 and offsets is None) or (mode == "max" and padding_idx is not None):
        raise Unsuited
    rows = F.embedding(torch.reshape(indices, (-1,)), weight)
    if mode == "max":
        if indices.ndim != 2:
            raise Unsuited
        return torch.amax(torch.reshape(rows, (*tuple(indices.shape), -1)), 1)
    if per_sample_weights is not None:
        rows = rows * torch.reshape(per_sample_weights, (-1, 1))
    counted = torch.ones_like(indices.reshape(-1), dtype=weight.dtype)
    if padding_idx is not None:
        counted = (indices.reshape(-1) != padding_idx % weight.shape[0]).to(weight.dtype)
        rows = rows * counted.unsqueeze(-1)
    number = torch.arange(indices.numel(), device=indices.device)
    if indices.ndim == 2:
        bags, bag = indices.shape[0], number // max(indices.shape[1], 1)
    else:
        starts = offsets[:-1] if include_last_offset else offsets
        bags, bag = starts.shape[0], torch.searchsorted(starts, number, right=True) - 1
    empty = torch.zeros(bags, weight.shape[1], dtype=weight.dtype, device=weight.device)
    result = torch.index_add(empty, 0, bag, rows)
    if mode == "sum":
        return result
    sizes = torch.zeros(bags, dtype=weight.dtype, device=weight.device).index_add(0, bag, counted)
    return result / sizes.clamp(min=1).unsqueeze(-1)
