"""Bessel functions.

PyTorch has no derivatives at all for J, Y and K: differentiating them, as a gradient with
respect to parameters does, loses that part in silence. So here they are functions of their
own, with backward formulas from their recurrences (Abramowitz & Stegun 9.1.27, 9.6.26).
"""

from __future__ import annotations

# ruff: noqa: D103 - a rule is named after its function and is a formula
import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from pinnderiv.derivatives.taylor.algebra import composite, elementwise
from pinnderiv.derivatives.transforms import is_carrier


def _function(plain: Any, slope: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """``plain`` with the derivative ``slope``, which is written in such functions again."""

    class Bessel(torch.autograd.Function):
        generate_vmap_rule = True

        @staticmethod
        def forward(z: Tensor) -> Tensor:
            return plain(z)

        @staticmethod
        def setup_context(ctx: Any, inputs: tuple[Tensor], output: Tensor) -> None:
            ctx.save_for_backward(*inputs)

        @staticmethod
        def backward(ctx: Any, grad: Tensor) -> Tensor:
            return grad * slope(ctx.saved_tensors[0])

    return lambda z: plain(z) if is_carrier(z) else Bessel.apply(z)


_special = torch.special
_j0 = _function(_special.bessel_j0, lambda z: -_j1(z))
_j1 = _function(_special.bessel_j1, lambda z: _j0(z) - _j1_over_z(z, _j1(z)))
_y0 = _function(_special.bessel_y0, lambda z: -_y1(z))
_y1 = _function(_special.bessel_y1, lambda z: _y0(z) - _y1(z) / z)
_k0 = _function(_special.modified_bessel_k0, lambda z: -_k1(z))
_k1 = _function(_special.modified_bessel_k1, lambda z: -_k0(z) - _k1(z) / z)
_k0e = _function(_special.scaled_modified_bessel_k0, lambda z: _k0e(z) - _k1e(z))
_k1e = _function(_special.scaled_modified_bessel_k1, lambda z: _k1e(z) - _k0e(z) - _k1e(z) / z)


@elementwise("bessel_j0")
def bessel_j0(z: Any) -> Any:
    y, one = _j0(z), _j1(z)
    return y, -one, _j1_over_z(z, one) - y


@elementwise("bessel_j1")
def bessel_j1(z: Any) -> Any:
    zero, y = _j0(z), _j1(z)
    ratio = _j1_over_z(z, y)
    return y, zero - ratio, -y - _j1_over_z_slope(z, zero, ratio)


def _j1_over_z(z: Any, y: Any) -> Any:
    """J₁(z)/z, which is 1/2 at 0."""
    near = z.abs() < 0.02
    q = z * z / 4
    return torch.where(near, 0.5 * (1 - q / 2 * (1 - q / 6)), y / torch.where(near, 1.0, z))


def _j1_over_z_slope(z: Any, zero: Any, ratio: Any) -> Any:
    """(J₁/z)′ = (J₀ − 2 J₁/z)/z = −J₂/z, by its series near 0."""
    near = z.abs() < 0.3
    q = z * z / 4
    series = -z / 8 * (1 - q / 3 * (1 - q / 8 * (1 - q / 15 * (1 - q / 24))))
    return torch.where(near, series, (zero - 2 * ratio) / torch.where(near, 1.0, z))


@elementwise("bessel_y0")
def bessel_y0(z: Any) -> Any:
    y, one = _y0(z), _y1(z)
    return y, -one, one / z - y


@elementwise("bessel_y1")
def bessel_y1(z: Any) -> Any:
    zero, y = _y0(z), _y1(z)
    first = zero - y / z
    return y, first, -y - first / z + y / (z * z)


@elementwise("modified_bessel_k0")
def modified_bessel_k0(z: Any) -> Any:
    y, one = _k0(z), _k1(z)
    return y, -one, y + one / z


@elementwise("modified_bessel_k1")
def modified_bessel_k1(z: Any) -> Any:
    zero, y = _k0(z), _k1(z)
    first = -zero - y / z
    return y, first, y - first / z + y / (z * z)


@elementwise("scaled_modified_bessel_k0")
def scaled_modified_bessel_k0(z: Any) -> Any:
    y, one = _k0e(z), _k1e(z)
    return y, y - one, 2 * y - 2 * one + one / z


@elementwise("scaled_modified_bessel_k1")
def scaled_modified_bessel_k1(z: Any) -> Any:
    zero, y = _k0e(z), _k1e(z)
    first = y - zero - y / z
    return y, first, first - (zero - y) - first / z + y / (z * z)


@elementwise("i0", "modified_bessel_i0", third=True)
def i0(z: Any) -> Any:
    y, first = torch.special.i0(z), torch.special.i1(z)
    ratio = _i1_over_z(z, first)
    return y, first, y - ratio, lambda: first - _i1_over_z_slope(z, y, ratio)


@elementwise("i1", "modified_bessel_i1", third=True)
def i1(z: Any) -> Any:
    zero, y = torch.special.i0(z), torch.special.i1(z)
    ratio = _i1_over_z(z, y)
    bend = _i1_over_z_slope(z, zero, ratio)
    return y, zero - ratio, y - bend, lambda: zero - ratio - _i1_over_z_bend(z, y, bend)


def _i1_over_z(z: Any, y: Any) -> Any:
    """I₁(z)/z, which is 1/2 at 0."""
    near = z.abs() < 0.02
    q = z * z / 4
    return torch.where(near, 0.5 * (1 + q / 2 * (1 + q / 6)), y / torch.where(near, 1.0, z))


def _i1_over_z_slope(z: Any, zero: Any, ratio: Any) -> Any:
    """(I₁/z)′ = (I₀ − 2 I₁/z)/z = I₂/z, by its series near 0."""
    near = z.abs() < 0.3
    q = z * z / 4
    series = z / 8 * (1 + q / 3 * (1 + q / 8 * (1 + q / 15 * (1 + q / 24))))
    return torch.where(near, series, (zero - 2 * ratio) / torch.where(near, 1.0, z))


def _i1_over_z_bend(z: Any, one: Any, slope: Any) -> Any:
    """(I₁/z)″ = I₁/z − 3 (I₁/z)′/z, by its series near 0."""
    near = z.abs() < 0.3
    q = z * z / 4
    series = 1 / 8 + q / 8 * (1 + q * 5 / 24 * (1 + q * 7 / 75 * (1 + q * 3 / 56)))
    w = torch.where(near, 1.0, z)
    return torch.where(near, series, (one - 3 * slope) / w)


@elementwise("i0e")
def i0e(z: Any) -> Any:
    y, one = torch.special.i0e(z), torch.special.i1e(z)
    s = torch.sign(z)
    first = one - s * y
    ratio = _scaled_ratio(z, one)
    return y, first, 2 * y - 2 * s * one - ratio


@elementwise("i1e")
def i1e(z: Any) -> Any:
    zero, y = torch.special.i0e(z), torch.special.i1e(z)
    s = torch.sign(z)
    ratio = _scaled_ratio(z, y)
    decay = torch.exp(-z.abs())
    bend = _i1_over_z_slope(z, zero / decay, ratio / decay) * decay
    bend = torch.where(z.abs() < 0.3, bend, (zero - 2 * ratio) / torch.where(z.abs() < 0.3, 1.0, z))
    return y, zero - ratio - s * y, 2 * y - bend - 2 * s * (zero - ratio)


def _scaled_ratio(z: Any, y: Any) -> Any:
    """e^{−|z|} I₁(z)/z."""
    near = z.abs() < 0.02
    q = z * z / 4
    series = 0.5 * (1 + q / 2 * (1 + q / 6)) * torch.exp(-z.abs())
    return torch.where(near, series, y / torch.where(near, 1.0, z))


@composite("spherical_bessel_j0")
def spherical_bessel_j0(z: Any) -> Any:
    return torch.sinc(z / math.pi)
