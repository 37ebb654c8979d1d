"""Special functions: error functions, normal distribution, gamma, Bessel."""

# ruff: noqa: D103 - a rule is named after its function and is a formula
from __future__ import annotations

import math
from typing import Any

import torch

from pinnderiv.derivatives.taylor.algebra import elementwise, rule
from pinnderiv.derivatives.taylor.chain import compose
from pinnderiv.derivatives.taylor.jet import Jet
from pinnderiv.derivatives.taylor.run import Run

_TWO_OVER_ROOT_PI = 2 / math.sqrt(math.pi)


@elementwise("erfcx", third=True)
def erfcx(z: Any) -> Any:
    y = torch.special.erfcx(z)
    first = 2 * z * y - _TWO_OVER_ROOT_PI
    second = 2 * y + 2 * z * first
    return y, first, second, lambda: 4 * first + 2 * z * second


@elementwise("erfinv", third=True)
def erfinv(z: Any) -> Any:
    y = torch.erfinv(z)
    d = torch.exp(y * y) / _TWO_OVER_ROOT_PI
    return y, d, 2 * y * d * d, lambda: (2 + 8 * y * y) * d * d * d


@elementwise("ndtr", third=True)
def ndtr(z: Any) -> Any:
    d = torch.exp(-0.5 * z * z) / math.sqrt(2 * math.pi)
    return torch.special.ndtr(z), d, -z * d, lambda: (z * z - 1) * d


@elementwise("log_ndtr", third=True)
def log_ndtr(z: Any) -> Any:
    # The ratio density / mass, which erfcx keeps finite far out.
    d = math.sqrt(2 / math.pi) / torch.special.erfcx(-z / math.sqrt(2))
    second = -d * (z + d)
    return torch.special.log_ndtr(z), d, second, lambda: -second * (z + d) - d * (1 + second)


@elementwise("ndtri", third=True)
def ndtri(z: Any) -> Any:
    y = torch.special.ndtri(z)
    d = math.sqrt(2 * math.pi) * torch.exp(0.5 * y * y)
    return y, d, y * d * d, lambda: (1 + 2 * y * y) * d * d * d


@elementwise("lgamma", "gammaln", third=True)
def lgamma(z: Any) -> Any:
    return (
        torch.lgamma(z),
        torch.digamma(z),
        torch.polygamma(1, z),
        lambda: torch.polygamma(2, z),
    )


@elementwise("digamma", "psi", third=True)
def digamma(z: Any) -> Any:
    return (
        torch.digamma(z),
        torch.polygamma(1, z),
        torch.polygamma(2, z),
        lambda: torch.polygamma(3, z),
    )


@rule("polygamma", kind="elementwise")
def polygamma(run: Run, n: Any, z: Any) -> Any:
    # Tensor.polygamma takes the order second.
    if not isinstance(n, int):
        n, z = z, n

    def formula(v: Any) -> Any:
        return torch.polygamma(n, v), torch.polygamma(n + 1, v), torch.polygamma(n + 2, v)

    return Jet(run, *compose(run, formula, z, (), {}, False))


@elementwise("entr", third=True)
def entr(z: Any) -> Any:
    d = 1 / z
    return torch.special.entr(z), -torch.log(z) - 1, -d, lambda: d * d
