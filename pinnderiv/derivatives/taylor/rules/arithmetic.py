"""Sums, products, quotients and powers."""

# ruff: noqa: D103 - a rule is named after its function and is a formula
from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from pinnderiv.derivatives.taylor.algebra import (
    apply_elementwise2,
    composite,
    elementwise,
    elementwise2,
    parts,
    rule,
)
from pinnderiv.derivatives.taylor.chain import compose
from pinnderiv.derivatives.taylor.channels import product, total
from pinnderiv.derivatives.taylor.dispatch import active, strip
from pinnderiv.derivatives.taylor.jet import Jet
from pinnderiv.derivatives.taylor.run import Run

_T = torch.Tensor


def _negative(stack: Any) -> Any:
    return None if stack is None else -stack


def _scaled(stack: Any, factor: Any) -> Any:
    return stack if stack is None or factor == 1 else stack * factor


@rule("add", _T.__add__, _T.__radd__, kind="linear")
def add(run: Run, a: Any, b: Any, *, alpha: Any = 1) -> Any:
    va, vb = strip(run, a), strip(run, b)
    value = va + vb if alpha == 1 else torch.add(va, vb, alpha=alpha)
    ta, ca = parts(run, a, value.ndim)
    tb, cb = parts(run, b, value.ndim)
    return Jet(run, value, total(ta, _scaled(tb, alpha)), total(ca, _scaled(cb, alpha)))


@rule("sub", "subtract", _T.__sub__, kind="linear")
def sub(run: Run, a: Any, b: Any, *, alpha: Any = 1) -> Any:
    va, vb = strip(run, a), strip(run, b)
    value = va - vb if alpha == 1 else torch.sub(va, vb, alpha=alpha)
    ta, ca = parts(run, a, value.ndim)
    tb, cb = parts(run, b, value.ndim)
    return Jet(run, value, total(ta, _scaled(tb, -alpha)), total(ca, _scaled(cb, -alpha)))


@rule("rsub", _T.__rsub__, kind="linear")
def rsub(run: Run, a: Any, b: Any, *, alpha: Any = 1) -> Any:
    return sub(run, b, a) if alpha == 1 else sub(run, b, a, alpha=alpha)


@rule("neg", "negative", _T.__neg__, kind="linear")
def neg(run: Run, a: Any) -> Any:
    return Jet(run, -a.value, _negative(a.tangents), _negative(a.curvature))


@rule("positive", _T.__pos__, kind="linear", view=True)
def positive(run: Run | None, a: Any) -> Any:
    return a if run is None else Jet(run, a.value, a.tangents, a.curvature)


@rule("mul", "multiply", _T.__mul__, _T.__rmul__, kind="bilinear")
def mul(run: Run, a: Any, b: Any) -> Any:
    va, vb = strip(run, a), strip(run, b)
    value = va * vb
    ta, ca = parts(run, a, value.ndim)
    tb, cb = parts(run, b, value.ndim)
    tangents = total(product(vb, ta), product(va, tb))
    curvature = total(product(vb, ca), product(va, cb))
    if ta is not None and tb is not None:
        curvature = total(curvature, run.structure.cross(torch.mul, ta, tb))
    return Jet(run, value, tangents, curvature)


@rule("div", "divide", "true_divide", _T.__truediv__, kind="bilinear")
def div(run: Run, a: Any, b: Any, *, rounding_mode: str | None = None) -> Any:
    if rounding_mode is not None:
        return torch.div(strip(run, a), strip(run, b), rounding_mode=rounding_mode)
    va, vb = strip(run, a), strip(run, b)
    value = va / vb
    ta, ca = parts(run, a, value.ndim)
    if not active(run, b):
        return Jet(run, value, None if ta is None else ta / vb, None if ca is None else ca / vb)
    tb, cb = parts(run, b, value.ndim)
    # y b = a differentiated twice, solved for the derivatives of y.
    inverse = 1 / vb
    tangents = product(inverse, total(ta, product(-value, tb)))
    bent = None
    if tb is not None:
        bent = _negative(run.structure.cross(torch.mul, tangents, tb))
    curvature = product(inverse, total(total(ca, product(-value, cb)), bent))
    return Jet(run, value, tangents, curvature)


@rule(_T.__rtruediv__, _T.__rdiv__, kind="bilinear")
def rdiv(run: Run, a: Any, b: Any) -> Any:
    return div(run, b, a)


@rule("pow", _T.__pow__, "float_power", kind="elementwise")
def power(run: Run, base: Any, exponent: Any) -> Any:
    if active(run, exponent):
        if active(run, base):
            return _power_of_both(base, exponent)
        return Jet(run, *compose(run, _exponential, exponent, (strip(run, base),), {}, False))
    if isinstance(exponent, Tensor) or hasattr(exponent, "run"):
        return Jet(run, *compose(run, _power_by_tensor, base, (exponent,), {}, False))
    return Jet(run, *compose(run, _power, base, (exponent,), {}, True))


@rule(_T.__rpow__, kind="elementwise")
def rpow(run: Run, exponent: Any, base: Any) -> Any:
    return power(run, base, exponent)


def _power(z: Any, p: float) -> Any:
    if p == 2:
        return z * z, 2 * z, torch.full_like(z, 2.0), lambda: torch.zeros_like(z)

    def term(order: int) -> Any:
        """p (p − 1) … z^(p − order): where the factor is zero the power may be infinite."""
        factor = 1.0
        for k in range(order):
            factor *= p - k
        return factor * z ** (p - order) if factor != 0 else torch.zeros_like(z)

    return z**p, term(1), term(2), lambda: term(3)


def _power_by_tensor(z: Any, p: Any) -> Any:
    one = torch.where(p == 0, 0.0, p) * z ** torch.where(p == 0, 1.0, p - 1).to(z.dtype)
    factor = p * (p - 1)
    two = factor * z ** torch.where(factor == 0, 1.0, p - 2).to(z.dtype)
    return z**p, one, two


def _exponential(z: Any, base: Any) -> Any:
    y = base**z
    rate = torch.log(torch.as_tensor(base, dtype=z.dtype, device=z.device))
    # 0**z is constant for z > 0, though its logarithm is infinite.
    first = torch.where(y == 0, 0.0, rate * y)
    return y, first, torch.where(y == 0, 0.0, rate * first)


def _power_formula(a: Any, b: Any) -> Any:
    y = a**b
    safe = torch.where(a == 0, 1.0, a)
    rate = torch.log(safe)
    lower = b * a ** (b - 1)
    return (
        y,
        lower,
        rate * y,
        b * (b - 1) * a ** (b - 2),
        a ** (b - 1) + rate * lower,
        rate * rate * y,
    )


def _power_of_both(base: Any, exponent: Any) -> Any:
    return apply_elementwise2(base.run, _power_formula, base, exponent)


@rule("abs", "absolute", _T.__abs__, kind="elementwise")
def absolute(run: Run, z: Any) -> Any:
    if z.is_complex():
        return _complex_modulus(run, z)
    return Jet(run, *compose(run, _modulus, z, (), {}, False))


def _complex_modulus(run: Run, z: Any) -> Any:
    """|z|, whose kink at 0 is not seen by a z that stays there."""
    real, imaginary = torch.real(z), torch.imag(z)
    zero = z.value == 0
    jet = torch.hypot(torch.where(zero, 1.0, real), torch.where(zero, 0.0, imaginary))

    def kinked(stack: Any, own: Any) -> Any:
        if stack is None:
            return None
        moves = torch.zeros_like(zero) if own is None else own != 0
        if z.tangents is not None:
            moves = moves | (z.tangents != 0).any(0)
        return torch.where(zero & moves, math.nan, stack)

    value = torch.where(zero, 0.0, jet.value)
    return Jet(run, value, kinked(jet.tangents, None), kinked(jet.curvature, z.curvature))


def _modulus(z: Any) -> Any:
    return torch.abs(z), torch.sgn(z), None


@elementwise("frac")
def frac(z: Any) -> Any:
    return torch.frac(z), torch.ones_like(z), None


@elementwise("deg2rad")
def deg2rad(z: Any) -> Any:
    return torch.deg2rad(z), torch.full_like(z, math.pi / 180), None


@elementwise("rad2deg")
def rad2deg(z: Any) -> Any:
    return torch.rad2deg(z), torch.full_like(z, 180 / math.pi), None


@elementwise("nan_to_num")
def nan_to_num(z: Any, nan: Any = 0.0, posinf: Any = None, neginf: Any = None) -> Any:
    return torch.nan_to_num(z, nan, posinf, neginf), torch.isfinite(z).to(z.dtype), None


@elementwise2("fmod")
def fmod(a: Any, b: Any) -> Any:
    return torch.fmod(a, b), _one(a, b), -torch.trunc(torch.div(a, b)), None, None, None


@elementwise2("remainder", _T.__mod__)
def remainder(a: Any, b: Any) -> Any:
    return torch.remainder(a, b), _one(a, b), -torch.floor(torch.div(a, b)), None, None, None


@composite(_T.__rmod__)
def rmod(a: Any, b: Any) -> Any:
    return torch.remainder(b, a)


def _one(a: Any, b: Any) -> Any:
    like = a if hasattr(a, "dtype") else b
    return torch.ones((), dtype=like.dtype, device=like.device)


@elementwise2("copysign")
def copysign(a: Any, b: Any) -> Any:
    y = torch.copysign(a, b)
    slope = torch.where(a == 0, 0.0, torch.sgn(y) * torch.sgn(torch.as_tensor(a)))
    return y, slope, None, None, None, None


@elementwise2("ldexp")
def ldexp(a: Any, b: Any) -> Any:
    y = torch.ldexp(a, b)
    scale = 2.0**b
    c = math.log(2)
    return y, scale, c * y, None, c * scale, c * c * y


@composite("addcmul")
def addcmul(z: Any, a: Any, b: Any, *, value: Any = 1) -> Any:
    return z + (a * b if value == 1 else a * b * value)


@composite("addcdiv")
def addcdiv(z: Any, a: Any, b: Any, *, value: Any = 1) -> Any:
    return z + (a / b if value == 1 else a / b * value)


@composite("lerp")
def lerp(start: Any, end: Any, weight: Any) -> Any:
    return start + weight * (end - start)


@composite("dist")
def dist(a: Any, b: Any, p: float = 2) -> Any:
    return torch.linalg.vector_norm(a - b, p)
