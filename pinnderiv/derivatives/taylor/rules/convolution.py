"""Convolutions, pooling, resampling and dropout."""

# ruff: noqa: D103 - a rule is named after its function and is a formula
from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F

from pinnderiv.derivatives.taylor.algebra import (
    apply_bilinear,
    apply_linear,
    composite,
    linear,
    rule,
)
from pinnderiv.derivatives.taylor.channels import spread
from pinnderiv.derivatives.taylor.dispatch import Unsuited, active
from pinnderiv.derivatives.taylor.jet import Jet
from pinnderiv.derivatives.taylor.run import Run


def _convolution(function: Any, spatial: int) -> Any:
    def apply(
        run: Run, z: Any, weight: Any, bias: Any = None, *options: Any, **keywords: Any
    ) -> Any:
        def product(a: Any, w: Any) -> Any:
            return function(a, w, None, *options, **keywords)

        if active(run, weight) or not active(run, z):
            result = apply_bilinear(run, product, z, weight)
        elif z.ndim == spatial + 2:
            result = _with_channels_as_rows(run, lambda a: product(a, weight), z)
        else:
            result = apply_linear(run, lambda a: product(a, weight), (z,), {})
        if bias is None:
            return result
        return result + bias.reshape((-1,) + (1,) * spatial)

    return apply


def _with_channels_as_rows(run: Run, function: Any, z: Any) -> Any:
    """A linear map of ``(N, C, ...)`` on stacks as one call on more rows."""

    def stack(s: Any) -> Any:
        if s is None:
            return None
        full = spread(s, z.shape)
        rows = function(full.reshape((-1, *z.shape[1:])))
        return rows.reshape((full.shape[0], z.shape[0], *rows.shape[1:]))

    return Jet(run, function(z.value), stack(z.tangents), stack(z.curvature))


for _spatial in (1, 2, 3):
    for _name in (f"conv{_spatial}d", f"conv_transpose{_spatial}d"):
        _function = getattr(F, _name)
        rule(_name, kind="linear")(_convolution(_function, _spatial))

_POOLS = (
    "avg_pool1d avg_pool2d avg_pool3d adaptive_avg_pool1d adaptive_avg_pool2d "
    "adaptive_avg_pool3d unfold fold"
)
for _name in _POOLS.split():
    linear(getattr(F, _name))


@composite("interpolate", "upsample")
def interpolate(z: Any, *args: Any, **keywords: Any) -> Any:
    return apply_linear(z.run, lambda v: F.interpolate(v, *args, **keywords), (z,), {})


def _max_pool(function: Any, spatial: int, adaptive: bool) -> Any:
    def apply(run: Run, z: Any, *args: Any, **keywords: Any) -> Any:
        wanted = keywords.pop("return_indices", False)
        position = 1 if adaptive else 5
        if len(args) > position:
            wanted, args = args[position], args[:position]
        value, index = function(z.value, *args, return_indices=True, **keywords)
        flat = index.flatten(-spatial)

        def chosen(v: Any) -> Any:
            picked = torch.gather(torch.flatten(v, -spatial), -1, flat)
            return picked.reshape(tuple(value.shape))

        result = apply_linear(run, chosen, (z,), {})
        return (result, index) if wanted else result

    return apply


for _spatial in (1, 2, 3):
    for _prefix in ("max_pool", "adaptive_max_pool"):
        _function = getattr(F, f"{_prefix}{_spatial}d")
        _adaptive = _prefix.startswith("adaptive")
        _rule = _max_pool(getattr(F, f"{_prefix}{_spatial}d_with_indices"), _spatial, _adaptive)
        rule(_function, kind="linear")(_rule)
        _with = _max_pool(getattr(F, f"{_prefix}{_spatial}d_with_indices"), _spatial, _adaptive)

        def _both(run: Run, z: Any, *args: Any, _r: Any = _with, **keywords: Any) -> Any:
            return _r(run, z, *args, **{**keywords, "return_indices": True})

        rule(getattr(F, f"{_prefix}{_spatial}d_with_indices"), kind="linear")(_both)


def _lp_pool(spatial: int) -> Any:
    average = getattr(F, f"avg_pool{spatial}d")

    def lp_pool(
        z: Any, norm_type: float, kernel_size: Any, stride: Any = None, ceil_mode: bool = False
    ) -> Any:
        size = (kernel_size,) * spatial if isinstance(kernel_size, int) else tuple(kernel_size)
        powers = average(torch.pow(z, norm_type), kernel_size, stride, 0, ceil_mode)
        positive = torch.relu(torch.abs(powers)) * torch.sign(powers)
        return torch.pow(positive * math.prod(size), 1.0 / norm_type)

    return lp_pool


for _spatial in (1, 2, 3):
    composite(getattr(F, f"lp_pool{_spatial}d"))(_lp_pool(_spatial))


def _dropout(function: Any) -> Any:
    def apply(z: Any, p: float = 0.5, training: bool = True, inplace: bool = False) -> Any:
        if not training or p == 0:
            return torch.clone(z)
        ones = torch.ones(tuple(z.shape), dtype=z.dtype, device=z.device)
        return z * function(ones, p, training)

    return apply


for _name in ("dropout", "dropout1d", "dropout2d", "dropout3d", "feature_dropout"):
    for _space in (F, torch):
        _function = getattr(_space, _name, None)
        if _function is not None:
            composite(_function)(_dropout(_function))


@composite(F.alpha_dropout, F.feature_alpha_dropout, torch.alpha_dropout)
def alpha_dropout(z: Any, p: float = 0.5, training: bool = False, inplace: bool = False) -> Any:
    if training:
        raise Unsuited
    return torch.clone(z)
