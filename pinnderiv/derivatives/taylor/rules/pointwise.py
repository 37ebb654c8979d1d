"""Elementary and special functions of one argument, and of two."""

# ruff: noqa: D103 - a rule is named after its function and is a formula
from __future__ import annotations

import math
from typing import Any

import torch

from pinnderiv.derivatives.taylor.algebra import elementwise, elementwise2

_TWO_OVER_ROOT_PI = 2 / math.sqrt(math.pi)


@elementwise("sin", third=True)
def sin(z: Any, *, y: Any = None) -> Any:
    y = torch.sin(z) if y is None else y
    slope = torch.cos(z)
    return y, slope, -y, lambda: -slope


@elementwise("cos", third=True)
def cos(z: Any, *, y: Any = None) -> Any:
    y = torch.cos(z) if y is None else y
    s = torch.sin(z)
    return y, -s, -y, lambda: s


@elementwise("tan", third=True)
def tan(z: Any) -> Any:
    y = torch.tan(z)
    slope = 1 + y * y
    return y, slope, 2 * y * slope, lambda: 2 * slope * (1 + 3 * y * y)


@elementwise("sinh", third=True)
def sinh(z: Any) -> Any:
    y, slope = torch.sinh(z), torch.cosh(z)
    return y, slope, y, lambda: slope


@elementwise("cosh", third=True)
def cosh(z: Any) -> Any:
    y, slope = torch.cosh(z), torch.sinh(z)
    return y, slope, y, lambda: slope


@elementwise("asin", "arcsin", third=True)
def asin(z: Any) -> Any:
    d = torch.rsqrt(1 - z * z)
    cube = d * d * d
    return torch.asin(z), d, z * cube, lambda: (1 + 2 * z * z) * cube * d * d


@elementwise("acos", "arccos", third=True)
def acos(z: Any) -> Any:
    d = torch.rsqrt(1 - z * z)
    cube = d * d * d
    return torch.acos(z), -d, -z * cube, lambda: -(1 + 2 * z * z) * cube * d * d


@elementwise("atan", "arctan", third=True)
def atan(z: Any) -> Any:
    d = 1 / (1 + z * z)
    return torch.atan(z), d, -2 * z * d * d, lambda: (6 * z * z - 2) * d * d * d


@elementwise("asinh", "arcsinh", third=True)
def asinh(z: Any) -> Any:
    d = torch.rsqrt(1 + z * z)
    cube = d * d * d
    return torch.asinh(z), d, -z * cube, lambda: (2 * z * z - 1) * cube * d * d


@elementwise("acosh", "arccosh", third=True)
def acosh(z: Any) -> Any:
    d = torch.rsqrt(z - 1) * torch.rsqrt(z + 1)
    cube = d * d * d
    return torch.acosh(z), d, -z * cube, lambda: (2 * z * z + 1) * cube * d * d


@elementwise("atanh", "arctanh", third=True)
def atanh(z: Any) -> Any:
    d = 1 / (1 - z * z)
    return torch.atanh(z), d, 2 * z * d * d, lambda: (6 * z * z + 2) * d * d * d


@elementwise("exp", third=True)
def exp(z: Any, *, y: Any = None) -> Any:
    y = torch.exp(z) if y is None else y
    return y, y, y, lambda: y


@elementwise("exp2", third=True)
def exp2(z: Any) -> Any:
    y = torch.exp2(z)
    c = math.log(2)
    return y, c * y, c**2 * y, lambda: c**3 * y


@elementwise("expm1", third=True)
def expm1(z: Any) -> Any:
    slope = torch.exp(z)
    return torch.expm1(z), slope, slope, lambda: slope


def _logarithm(y: Any, z: Any, scale: float) -> Any:
    d = scale / z
    return y, d, -d / z, lambda: 2 * d / (z * z)


@elementwise("log", third=True)
def log(z: Any) -> Any:
    return _logarithm(torch.log(z), z, 1.0)


@elementwise("log2", third=True)
def log2(z: Any) -> Any:
    return _logarithm(torch.log2(z), z, 1 / math.log(2))


@elementwise("log10", third=True)
def log10(z: Any) -> Any:
    return _logarithm(torch.log10(z), z, 1 / math.log(10))


@elementwise("log1p", third=True)
def log1p(z: Any) -> Any:
    return _logarithm(torch.log1p(z), 1 + z, 1.0)


@elementwise("sqrt", third=True)
def sqrt(z: Any) -> Any:
    y = torch.sqrt(z)
    first = 0.5 / y
    return y, first, -0.5 * first / z, lambda: 0.75 * first / (z * z)


@elementwise("rsqrt", third=True)
def rsqrt(z: Any) -> Any:
    y = torch.rsqrt(z)
    first = -0.5 * y / z
    return y, first, -1.5 * first / z, lambda: 3.75 * first / (z * z)


@elementwise("reciprocal", third=True)
def reciprocal(z: Any) -> Any:
    y = torch.reciprocal(z)
    square = y * y
    return y, -square, 2 * square * y, lambda: -6 * square * square


@elementwise("square", third=True)
def square(z: Any) -> Any:
    return z * z, 2 * z, torch.full_like(z, 2.0), lambda: torch.zeros_like(z)


@elementwise("erf", third=True)
def erf(z: Any) -> Any:
    d = _TWO_OVER_ROOT_PI * torch.exp(-z * z)
    return torch.erf(z), d, -2 * z * d, lambda: (4 * z * z - 2) * d


@elementwise("erfc", third=True)
def erfc(z: Any) -> Any:
    d = -_TWO_OVER_ROOT_PI * torch.exp(-z * z)
    return torch.erfc(z), d, -2 * z * d, lambda: (4 * z * z - 2) * d


@elementwise("logit", third=True)
def logit(z: Any, eps: float | None = None) -> Any:
    w = z if eps is None else z.clamp(eps, 1 - eps)
    a, b = 1 / w, 1 / (1 - w)
    first, second = a + b, b * b - a * a
    third = lambda: 2 * (a * a * a + b * b * b)  # noqa: E731
    if eps is None:
        return torch.logit(z), first, second, third
    inside = ((z >= eps) & (z <= 1 - eps)).to(z.dtype)
    return torch.logit(z, eps), inside * first, inside * second, lambda: inside * third()


@elementwise("sinc")
def sinc(z: Any) -> Any:
    p = math.pi * z
    # Near 0 the closed forms cancel; a Taylor polynomial is exact to rounding there.
    near = p.abs() < 0.15
    w = torch.where(near, 1.0, p)
    s, c = torch.sin(w), torch.cos(w)
    first = (c - s / w) / w
    second = -s / w - 2 * first / w
    q = p * p
    first0 = -p / 3 * (1 - q / 10 * (1 - q / 28 * (1 - q / 54)))
    second0 = -1 / 3 + q / 10 * (1 - q * 5 / 84 * (1 - q * 7 / 270 * (1 - q * 9 / 616)))
    return (
        torch.sinc(z),
        math.pi * torch.where(near, first0, first),
        math.pi**2 * torch.where(near, second0, second),
    )


@elementwise2("atan2", "arctan2")
def atan2(a: Any, b: Any) -> Any:
    d = 1 / (a * a + b * b)
    fa, fb = b * d, -a * d
    mixed = -2 * fa * fb
    return torch.atan2(a, b), fa, fb, 2 * fa * fb, fb * fb - fa * fa, mixed


@elementwise2("hypot")
def hypot(a: Any, b: Any) -> Any:
    y = torch.hypot(a, b)
    fa, fb = a / y, b / y
    return y, fa, fb, fb * fb / y, -fa * fb / y, fa * fa / y


@elementwise2("logaddexp")
def logaddexp(a: Any, b: Any) -> Any:
    p = torch.sigmoid(a - b)
    q = torch.sigmoid(b - a)
    return torch.logaddexp(a, b), p, q, p * q, -p * q, p * q


@elementwise2("logaddexp2")
def logaddexp2(a: Any, b: Any) -> Any:
    c = math.log(2)
    p = torch.sigmoid(c * (a - b))
    q = torch.sigmoid(c * (b - a))
    bend = c * p * q
    return torch.logaddexp2(a, b), p, q, bend, -bend, bend


@elementwise2("xlogy")
def xlogy(a: Any, b: Any) -> Any:
    d = 1 / b
    slope = a * d
    return torch.xlogy(a, b), torch.log(torch.as_tensor(b)), slope, None, d, -slope * d


@elementwise2("xlog1py")
def xlog1py(a: Any, b: Any) -> Any:
    d = 1 / (1 + b)
    slope = a * d
    return torch.special.xlog1py(a, b), torch.log1p(torch.as_tensor(b)), slope, None, d, -slope * d
