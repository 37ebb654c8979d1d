"""Activation functions of torch.nn, with their first three derivatives."""

# ruff: noqa: D103 - a rule is named after its function and is a formula
from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F

from pinnderiv.derivatives.taylor.algebra import composite, elementwise

_SELU_ALPHA = 1.6732632423543772848170429916717
_SELU_SCALE = 1.0507009873554804934193349852946
_GELU_INNER = math.sqrt(2 / math.pi)


@elementwise("tanh", third=True)
def tanh(z: Any, *, y: Any = None) -> Any:
    y = torch.tanh(z) if y is None else y
    if not isinstance(y, torch.Tensor):
        # A carrier of an outer pass, on which torch.compile cannot follow what is in place.
        slope = 1 - y * y
        return y, slope, -2 * y * slope, lambda: (4 - 6 * slope) * slope
    # In place: fresh memory costs more than the arithmetic where a layer is a megabyte.
    slope = (y * y).neg_().add_(1)
    return y, slope, (y * slope).mul_(-2), lambda: (slope * -6).add_(4).mul_(slope)


@elementwise("sigmoid", "expit", third=True)
def sigmoid(z: Any, *, y: Any = None) -> Any:
    y = torch.sigmoid(z) if y is None else y
    slope = y * (1 - y)
    return y, slope, slope * (1 - 2 * y), lambda: slope * (1 - 6 * slope)


@elementwise("softplus", third=True)
def softplus(z: Any, beta: float = 1, threshold: float = 20) -> Any:
    y = F.softplus(z, beta, threshold)
    s = torch.sigmoid(beta * z)
    bend = s * (1 - s)
    # Above the threshold PyTorch computes the identity.
    linear = beta * z > threshold
    slope = torch.where(linear, 1.0, s)
    second = torch.where(linear, 0.0, beta * bend)
    return y, slope, second, lambda: torch.where(linear, 0.0, beta**2 * bend * (1 - 2 * s))


@elementwise("logsigmoid", third=True)
def logsigmoid(z: Any) -> Any:
    s = torch.sigmoid(-z)
    bend = s * (1 - s)
    return F.logsigmoid(z), s, -bend, lambda: bend * (1 - 2 * s)


@elementwise("silu", third=True)
def silu(z: Any, inplace: bool = False) -> Any:
    s = torch.sigmoid(z)
    bend = s * (1 - s)
    slope = s + z * bend
    second = bend * (2 + z * (1 - 2 * s))
    return z * s, slope, second, lambda: bend * (3 * (1 - 2 * s) + z * (1 - 6 * bend))


@elementwise("gelu", third=True)
def gelu(z: Any, approximate: str = "none") -> Any:
    if approximate == "tanh":
        return _gelu_tanh(z)
    density = torch.exp(-0.5 * z * z) * (1 / math.sqrt(2 * math.pi))
    mass = 0.5 * torch.erfc(z * -math.sqrt(0.5))
    square = z * z
    return z * mass, mass + z * density, density * (2 - square), lambda: density * z * (square - 4)


def _gelu_tanh(z: Any) -> Any:
    square = z * z
    inner = _GELU_INNER * z * (1 + 0.044715 * square)
    inner1 = _GELU_INNER * (1 + 3 * 0.044715 * square)
    inner2 = _GELU_INNER * 6 * 0.044715 * z
    y = torch.tanh(inner)
    s = 1 - y * y
    # h = (1 + tanh(inner)) / 2 and its derivatives; then Leibniz for z h.
    h1 = 0.5 * s * inner1
    h2 = 0.5 * s * (inner2 - 2 * y * inner1 * inner1)

    def third() -> Any:
        curved = inner1 * inner1 * inner1 * (4 - 6 * s) - 6 * y * inner1 * inner2
        h3 = 0.5 * s * (curved + _GELU_INNER * 6 * 0.044715)
        return 3 * h2 + z * h3

    return 0.5 * z * (1 + y), 0.5 * (1 + y) + z * h1, 2 * h1 + z * h2, third


@elementwise("mish", third=True)
def mish(z: Any, inplace: bool = False) -> Any:
    s = torch.sigmoid(z)
    t = torch.tanh(F.softplus(z))
    u = 1 - t * t
    bend = s * (1 - s)
    # Derivatives of tanh(softplus(z)).
    t1 = u * s
    t2 = u * (bend - 2 * t * s * s)

    def third() -> Any:
        t3 = u * (bend * (1 - 2 * s) - 6 * t * s * bend + s * s * s * (4 - 6 * u))
        return 3 * t2 + z * t3

    return z * t, t + z * t1, 2 * t1 + z * t2, third


@elementwise("tanhshrink", third=True)
def tanhshrink(z: Any) -> Any:
    y = torch.tanh(z)
    slope = 1 - y * y
    return z - y, y * y, 2 * y * slope, lambda: slope * (6 * slope - 4)


@elementwise("softsign", third=True)
def softsign(z: Any) -> Any:
    d = 1 / (1 + z.abs())
    square = d * d
    second = -2 * torch.sign(z) * square * d
    return z * d, square, second, lambda: 6 * square * square


@elementwise(F.elu)
def elu(z: Any, alpha: float = 1.0, inplace: bool = False) -> Any:
    return _elu(z, alpha, 1.0, 1.0)


@elementwise(torch._C._nn.elu)
def aten_elu(z: Any, alpha: float = 1.0, scale: float = 1.0, input_scale: float = 1.0) -> Any:
    return _elu(z, alpha, scale, input_scale)


@elementwise("celu")
def celu(z: Any, alpha: float = 1.0, inplace: bool = False) -> Any:
    return _elu(z, alpha, 1.0, 1 / alpha)


@elementwise("selu")
def selu(z: Any, inplace: bool = False) -> Any:
    return _elu(z, _SELU_ALPHA, _SELU_SCALE, 1.0)


def _elu(z: Any, alpha: float, scale: float, input_scale: float) -> Any:
    # The exponential of what is not used must not overflow into the derivatives.
    negative = z <= 0
    e = torch.exp(input_scale * torch.where(negative, z, 0.0))
    below = scale * alpha * torch.expm1(input_scale * torch.where(negative, z, 0.0))
    y = torch.where(negative, below, scale * z)
    first = torch.where(negative, scale * alpha * input_scale * e, scale)
    return y, first, torch.where(negative, scale * alpha * input_scale**2 * e, 0.0)


@elementwise("relu")
def relu(z: Any, inplace: bool = False) -> Any:
    return torch.relu(z), (z > 0).to(z.dtype), None


@elementwise("relu6")
def relu6(z: Any, inplace: bool = False) -> Any:
    return F.relu6(z), ((z > 0) & (z < 6)).to(z.dtype), None


@elementwise("hardtanh")
def hardtanh(z: Any, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False) -> Any:
    return F.hardtanh(z, min_val, max_val), ((z > min_val) & (z < max_val)).to(z.dtype), None


@elementwise("leaky_relu")
def leaky_relu(z: Any, negative_slope: float = 0.01, inplace: bool = False) -> Any:
    return (
        F.leaky_relu(z, negative_slope),
        # Of two Python numbers torch.where would make float32.
        torch.where(z > 0, torch.ones_like(z), negative_slope),
        None,
    )


@elementwise("hardsigmoid")
def hardsigmoid(z: Any, inplace: bool = False) -> Any:
    inside = (z > -3) & (z < 3)
    return F.hardsigmoid(z), inside.to(z.dtype) / 6, None


@elementwise("hardswish")
def hardswish(z: Any, inplace: bool = False) -> Any:
    inside = (z > -3) & (z < 3)
    first = torch.where(inside, z / 3 + 0.5, (z >= 3).to(z.dtype))
    return F.hardswish(z), first, inside.to(z.dtype) / 3


@elementwise("hardshrink")
def hardshrink(z: Any, lambd: float = 0.5) -> Any:
    return F.hardshrink(z, lambd), (z.abs() > lambd).to(z.dtype), None


@elementwise("softshrink")
def softshrink(z: Any, lambd: float = 0.5) -> Any:
    return F.softshrink(z, lambd), (z.abs() > lambd).to(z.dtype), None


@elementwise("threshold")
def threshold(z: Any, threshold: float, value: float, inplace: bool = False) -> Any:
    return F.threshold(z, threshold, value), (z > threshold).to(z.dtype), None


@composite("prelu")
def prelu(z: Any, weight: Any) -> Any:
    if weight.numel() > 1:
        weight = weight.reshape((-1,) + (1,) * max(z.ndim - 2, 0))
    return torch.where(z > 0, z, weight * z)


@composite("rrelu")
def rrelu(
    z: Any,
    lower: float = 1 / 8,
    upper: float = 1 / 3,
    training: bool = False,
    inplace: bool = False,
) -> Any:
    if training:
        slope = torch.empty(tuple(z.shape), dtype=z.dtype, device=z.device)
        return torch.where(z > 0, z, slope.uniform_(lower, upper) * z)
    # PyTorch rounds the mean slope in its own way: ask for it.
    slope = -F.rrelu(torch.full((), -1.0, dtype=z.dtype, device=z.device), lower, upper)
    return torch.where(z > 0, z, slope * z)


@composite("glu")
def glu(z: Any, dim: int = -1) -> Any:
    a, b = torch.chunk(z, 2, dim)
    return a * torch.sigmoid(b)
