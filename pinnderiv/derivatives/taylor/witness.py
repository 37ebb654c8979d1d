"""Finite differences as a witness that shares no formula with what it judges."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

Primals = tuple[Tensor, ...]
Function = Callable[..., Primals]

_STEPS = (4e-2, 2e-2, 1e-2, 5e-3)
_FINE = tuple(0.2 / 1.6**i for i in range(9))
# A wrong formula is wrong by percents; differences in float64 agree to 1e-6 and better.
_WRONG = 1e-3
_KNOWN = 2e-4


def right_way(
    function: Function,
    primals: Primals,
    ways: Mapping[str, tuple[Callable[..., Primals], Callable[..., Primals]]],
) -> str | None:
    """The first way whose derivatives finite differences confirm, or None.

    Where a way divides zero by zero at a point (an eigenvalue that occurs twice) its NaN is no
    silent error and says nothing of its formula, which is then judged beside that point.

    Args:
        function: tensors to floating-point tensors.
        primals: where it is called.
        ways: for each name the functions for Dg·a and D²g[a, b].
    """
    points, exact = _in_double(function, primals)
    generator = torch.Generator().manual_seed(7)
    with torch.random.fork_rng(devices=[]):
        a, b, s = (tuple(_like(p, generator) for p in points) for _ in range(3))
        beside = _moved(points, tuple(_like(p, generator) for p in points), 1.0)
        for name, (first, second) in ways.items():
            try:
                finite = all(bool(q.isfinite().all()) for q in second(exact, points, a, b))
                if _confirmed(exact, points if finite else beside, a, b, s, first, second):
                    return name
            except Exception:  # this way cannot run for the operation: the next may
                continue
    return None


def _confirmed(
    g: Function, p: Primals, a: Primals, b: Primals, s: Primals, first: Any, second: Any
) -> bool:
    checks: list[tuple[Any, Callable[[float], Any]]] = [
        (first(g, p, a), lambda h: _difference(g(*_moved(p, a, h)), g(*_moved(p, a, -h)), 2 * h)),
        (
            second(g, p, a, b),
            lambda h: [
                (pp - pm - mp + mm) / (4 * h * h)
                for pp, pm, mp, mm in zip(
                    g(*_moved(_moved(p, a, h), b, h)),
                    g(*_moved(_moved(p, a, h), b, -h)),
                    g(*_moved(_moved(p, a, -h), b, h)),
                    g(*_moved(_moved(p, a, -h), b, -h)),
                    strict=True,
                )
            ],
        ),
    ]
    bent = [q.detach() for q in checks[1][0]]
    if any(bool(q.abs().max() > 0) for q in bent if q.numel()):
        checks.append(
            (
                [_gradient_along(g, p, a, b, s, second)],
                lambda h: [
                    sum(
                        (u - v).sum() / (2 * h)
                        for u, v in zip(
                            second(g, _moved(p, s, h), a, b),
                            second(g, _moved(p, s, -h), a, b),
                            strict=True,
                        )
                    )
                ],
            )
        )
    return all(_agree([c.detach() for c in claim], quotient) for claim, quotient in checks)


def _gradient_along(g: Any, p: Primals, a: Primals, b: Primals, s: Primals, second: Any) -> Any:
    """∇_p Σ D²g[a, b] · s by reverse mode: what the backward pass of training uses."""
    with torch.enable_grad():
        inputs = tuple(q.detach().clone().requires_grad_() for q in p)
        bent = sum(q.sum() for q in second(g, inputs, a, b))
        grads = torch.autograd.grad(bent, inputs, allow_unused=True)
    return sum((u * v).sum() for u, v in zip(grads, s, strict=True) if u is not None)


def _agree(claim: Sequence[Tensor], quotient: Callable[[float], Any]) -> bool:
    with torch.no_grad():
        estimates, errors = limit(quotient, _STEPS)
    for claimed, estimate, error in zip(claim, estimates, errors, strict=True):
        if not claimed.numel():
            continue
        size = estimate.abs().nan_to_num(posinf=0.0).max().clamp(min=1e-3)
        known = error <= _KNOWN * size
        if not bool(known.any()):
            return False
        gap = (claimed - estimate).abs()[known]
        if not bool((gap <= _WRONG * size).all()):
            return False
    return True


def limit(
    quotient: Callable[[float], Any], steps: Sequence[float] = _FINE
) -> tuple[list[Tensor], list[Tensor]]:
    """The limit h → 0 of tensors with an error that is a series in h², and estimated errors.

    Of the Neville tableau each entry takes the element that differs least from its parents.
    """
    above: list[list[Tensor]] = []
    best: list[Tensor] = []
    errors: list[Tensor] = []
    for i, h in enumerate(steps):
        line = [[t.detach() for t in quotient(h)]]
        for k in range(1, i + 1):
            ratio = (steps[i - k] / h) ** 2
            line.append(
                [a + (a - b) / (ratio - 1) for a, b in zip(line[k - 1], above[k - 1], strict=True)]
            )
            for n, new in enumerate(line[k]):
                gap = torch.maximum((new - line[k - 1][n]).abs(), (new - above[k - 1][n]).abs())
                if i == k == 1:
                    best.append(new)
                    errors.append(gap)
                    continue
                best[n] = torch.where(gap < errors[n], new, best[n])
                errors[n] = torch.minimum(gap, errors[n])
        above = line
    return best, errors


def _difference(up: Primals, down: Primals, width: float) -> list[Tensor]:
    return [(u - d) / width for u, d in zip(up, down, strict=True)]


def _moved(points: Primals, direction: Primals, h: float) -> Primals:
    return tuple(p + h * d for p, d in zip(points, direction, strict=True))


def _like(p: Tensor, generator: torch.Generator) -> Tensor:
    drawn = torch.randn(p.shape, generator=generator, dtype=torch.float64)
    size = float(p.detach().abs().mean()) if p.numel() else 1.0
    return (drawn * (0.1 * size + 1e-3)).to(p)


def _in_double(function: Function, primals: Primals) -> tuple[Primals, Function]:
    """The points in float64, and the function in float64 if it runs there."""
    double = tuple(p.detach().double() if p.is_floating_point() else p.detach() for p in primals)
    if all(d.dtype == p.dtype for d, p in zip(double, primals, strict=True)):
        return double, function
    try:
        with torch.no_grad():
            results = function(*double)
        if all(r.dtype in (torch.float64, torch.complex128) for r in results):
            return double, function
    except Exception:  # other arguments of the operation are in its own dtype
        pass
    return double, lambda *p: tuple(
        r.double() for r in function(*(q.to(o.dtype) for q, o in zip(p, primals, strict=True)))
    )
