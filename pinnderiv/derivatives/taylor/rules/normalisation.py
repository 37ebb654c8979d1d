"""Normalisation layers. Batch normalisation only with fixed statistics: else it mixes rows."""

# ruff: noqa: D103 - a rule is named after its function and is a formula
from __future__ import annotations

import math
from typing import Any

import torch

from pinnderiv.derivatives.taylor.algebra import composite
from pinnderiv.errors import BatchMixingError


def _standardised(z: Any, dims: tuple[int, ...], eps: float) -> Any:
    off = z - torch.mean(z, dims, True)
    return off * torch.rsqrt(torch.mean(off * off, dims, True) + eps)


def _scaled(z: Any, weight: Any, bias: Any) -> Any:
    if weight is not None:
        z = z * weight
    return z if bias is None else z + bias


@composite("layer_norm")
def layer_norm(
    z: Any,
    normalized_shape: Any,
    weight: Any = None,
    bias: Any = None,
    eps: float = 1e-5,
    *rest: Any,
) -> Any:
    count = 1 if isinstance(normalized_shape, int) else len(tuple(normalized_shape))
    return _scaled(_standardised(z, tuple(range(-count, 0)), eps), weight, bias)


@composite(torch.native_layer_norm)
def native_layer_norm(z: Any, normalized_shape: Any, weight: Any, bias: Any, eps: float) -> Any:
    axes = tuple(range(-len(tuple(normalized_shape)), 0))
    mean = torch.mean(z, axes, True)
    scale = torch.rsqrt(torch.mean((z - mean) ** 2, axes, True) + eps)
    return layer_norm(z, normalized_shape, weight, bias, eps), mean, scale


@composite("rms_norm")
def rms_norm(z: Any, normalized_shape: Any, weight: Any = None, eps: float | None = None) -> Any:
    count = 1 if isinstance(normalized_shape, int) else len(tuple(normalized_shape))
    eps = torch.finfo(z.dtype).eps if eps is None else eps
    mean_square = torch.mean(z * z, tuple(range(-count, 0)), True)
    return _scaled(z * torch.rsqrt(mean_square + eps), weight, None)


def _per_channel(parameter: Any, ndim: int) -> Any:
    """``(C,)`` aligned with dimension 1 of a value ``(N, C, ...)``."""
    return None if parameter is None else parameter.reshape((-1,) + (1,) * (ndim - 2))


@composite("group_norm")
def group_norm(
    z: Any, num_groups: int, weight: Any = None, bias: Any = None, eps: float = 1e-5, *rest: Any
) -> Any:
    shape = tuple(z.shape)
    grouped = z.reshape((shape[0], num_groups, math.prod(shape[1:]) // num_groups))
    result = _standardised(grouped, (-1,), eps).reshape(shape)
    return _scaled(result, _per_channel(weight, len(shape)), _per_channel(bias, len(shape)))


@composite("instance_norm")
def instance_norm(
    z: Any,
    running_mean: Any = None,
    running_var: Any = None,
    weight: Any = None,
    bias: Any = None,
    use_input_stats: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-5,
    *rest: Any,
) -> Any:
    if not use_input_stats:
        return batch_norm(z, running_mean, running_var, weight, bias, False, momentum, eps)
    if running_mean is not None:
        raise BatchMixingError(
            "InstanceNorm with track_running_stats=True is in training mode: it updates its "
            "statistics with every call. Derivatives are per row: call net.eval()."
        )
    ndim = z.ndim
    result = _standardised(z, tuple(range(-(ndim - 2), 0)), eps)
    return _scaled(result, _per_channel(weight, ndim), _per_channel(bias, ndim))


@composite("batch_norm")
def batch_norm(
    z: Any,
    running_mean: Any,
    running_var: Any,
    weight: Any = None,
    bias: Any = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
    *rest: Any,
) -> Any:
    # torch.batch_norm has weight and bias before the statistics; only F.batch_norm comes here.
    if training or running_mean is None:
        raise BatchMixingError(
            "BatchNorm normalises with the statistics of the batch (it is in training mode, or "
            "has none of its own), so that each row depends on all others. Derivatives are per "
            "row: call net.eval(), or use LayerNorm."
        )
    ndim = z.ndim
    slope = torch.rsqrt(running_var + eps)
    result = (z - _per_channel(running_mean, ndim)) * _per_channel(slope, ndim)
    return _scaled(result, _per_channel(weight, ndim), _per_channel(bias, ndim))


@composite("local_response_norm")
def local_response_norm(
    z: Any, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0
) -> Any:
    ndim = z.ndim
    squares = torch.nn.functional.pad(z * z, (0, 0) * (ndim - 2) + (size // 2, (size - 1) // 2))
    window = sum(torch.narrow(squares, 1, i, z.shape[1]) for i in range(size))
    return z / torch.pow(window * (alpha / size) + k, beta)


@composite("normalize")
def normalize(z: Any, p: float = 2.0, dim: Any = 1, eps: float = 1e-12, out: Any = None) -> Any:
    length = torch.linalg.vector_norm(z, p, dim, True)
    return z / torch.clamp(length, min=eps)


@composite("cosine_similarity")
def cosine_similarity(a: Any, b: Any, dim: int = 1, eps: float = 1e-8) -> Any:
    lengths = [torch.linalg.vector_norm(v, 2, dim, True) for v in (a, b)]
    first, second = (v / torch.clamp(n, min=eps) for v, n in zip((a, b), lengths, strict=True))
    return torch.sum(first * second, dim)


@composite("pairwise_distance")
def pairwise_distance(
    a: Any, b: Any, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False
) -> Any:
    return torch.linalg.vector_norm(a - b + eps, p, -1, keepdim)
