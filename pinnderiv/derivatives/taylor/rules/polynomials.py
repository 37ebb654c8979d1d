"""Orthogonal polynomials of integer degree.

PyTorch has no derivatives for them: autograd takes their results for constants. Here value
and derivatives come out of the three-term recurrence (Abramowitz & Stegun 22.7), which is
differentiated term by term.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from pinnderiv.derivatives.taylor.algebra import rule
from pinnderiv.derivatives.taylor.chain import compose
from pinnderiv.derivatives.taylor.dispatch import Unsuited, active, call, strip
from pinnderiv.derivatives.taylor.jet import Jet
from pinnderiv.derivatives.taylor.run import Run
from pinnderiv.derivatives.transforms import can_look_at_numbers, is_carrier

Step = Callable[[int], tuple[float, float, float]]
"""k -> (α, β, γ) of p_{k+1} = (α z + β) p_k − γ p_{k−1}, with p_0 = 1 and p_{−1} = 0."""


def _chebyshev(slope: float, offset: float) -> Step:
    """All four kinds have one recurrence, and p_1 = slope·z + offset."""
    return lambda k: (2.0, 0.0, 1.0) if k else (slope, offset, 0.0)


_STEPS: dict[str, Step] = {
    "chebyshev_polynomial_t": _chebyshev(1.0, 0.0),
    "chebyshev_polynomial_u": _chebyshev(2.0, 0.0),
    "chebyshev_polynomial_v": _chebyshev(2.0, -1.0),
    "chebyshev_polynomial_w": _chebyshev(2.0, 1.0),
    "hermite_polynomial_h": lambda k: (2.0, 0.0, 2.0 * k),
    "hermite_polynomial_he": lambda k: (1.0, 0.0, float(k)),
    "laguerre_polynomial_l": lambda k: (-1 / (k + 1), (2 * k + 1) / (k + 1), k / (k + 1)),
    "legendre_polynomial_p": lambda k: ((2 * k + 1) / (k + 1), 0.0, k / (k + 1)),
}


def _shifted(step: Step) -> Step:
    """The recurrence of p(2z − 1)."""

    def shifted(k: int) -> tuple[float, float, float]:
        slope, offset, back = step(k)
        return 2 * slope, offset - slope, back

    return shifted


for _kind in "tuvw":
    _step = _STEPS[f"chebyshev_polynomial_{_kind}"]
    _STEPS[f"shifted_chebyshev_polynomial_{_kind}"] = _shifted(_step)


def _derivatives(step: Step, z: Any, degree: Any, order: int) -> list[Any]:
    """p, p′, …, of the given order: i-th derivative of the recurrence is
    p⁽ⁱ⁾_{k+1} = (α z + β) p⁽ⁱ⁾_k + i α p⁽ⁱ⁻¹⁾_k − γ p⁽ⁱ⁾_{k−1}.
    """
    zero = torch.zeros_like(z)
    several = isinstance(degree, torch.Tensor)
    highest = int(degree.max()) if several and degree.numel() else 0 if several else degree
    before = [zero] * (order + 1)
    now = [torch.ones_like(z), *before[1:]]
    found = [zero] * (order + 1)
    for k in range(highest + 1):
        if several:
            found = [
                torch.where(degree == k, new, old) for new, old in zip(now, found, strict=True)
            ]
        elif k == highest:
            found = now
        slope, offset, back = step(k)
        factor = slope * z + offset
        after = [
            factor * p - back * q + (i * slope * now[i - 1] if i else 0.0)
            for i, (p, q) in enumerate(zip(now, before, strict=True))
        ]
        before, now = now, after
    return found


def _polynomial(name: str, step: Step) -> None:
    function = getattr(torch.special, name)

    def formula(z: Any, degree: Any) -> Any:
        y, first, second = _derivatives(step, z, degree, 2)
        return y, first, second, lambda: _derivatives(step, z, degree, 3)[3]

    def apply(run: Run, z: Any, n: Any) -> Any:
        n = strip(run, n)
        if not active(run, z):
            return call(function, (z, n), {})
        degree = _degree(n)
        if isinstance(degree, torch.Tensor) and tuple(degree.shape) != tuple(z.shape):
            shape = torch.broadcast_shapes(tuple(degree.shape), tuple(z.shape))
            z, degree = torch.broadcast_to(z, shape), degree.expand(shape)
        return Jet(run, *compose(run, formula, z, (degree,), {}, True))

    rule(function, kind="elementwise")(apply)


def _degree(n: Any) -> Any:
    """The degree as an integer, or as a tensor of them; PyTorch cuts fractions off."""
    while is_carrier(n):
        n = n.value
    if not isinstance(n, torch.Tensor):
        return int(n)
    if not can_look_at_numbers():  # how long the recurrence is must be known
        raise Unsuited
    degrees = n.detach().trunc().long() if n.is_floating_point() else n
    return int(degrees) if degrees.ndim == 0 else degrees


for _name, _step in _STEPS.items():
    _polynomial(_name, _step)
