"""Derivatives by two independent ways, to hold the engines against. Slow, and only float64.

Nothing here is shared with ``pinnderiv``: neither code nor, in :func:`by_differences`, any
derivative formula of PyTorch.

* :func:`by_differences` only evaluates ``f``: central differences at eleven steps with
  Richardson extrapolation (a Neville tableau in h²). For functions that are analytic on the
  scale of the points it is right to about 1e-13 in first and 1e-11 in second derivatives,
  relative to the size of ``f``, and it returns an estimate of its own error.
* :func:`by_reverse_mode` is plain ``torch.autograd.grad``, row by row and output by output,
  with nothing batched and no functorch: exact to rounding, but it believes what the backward
  formulas say (custom functions may lie, Bessel functions have none).
* :func:`slope` differentiates any function of one number, which is how gradients with respect
  to parameters are checked: third derivatives by reverse mode are wrong for LayerNorm.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

Function = Callable[[Tensor], Tensor]

KINDS = ("value", "jacobian", "second_derivatives", "laplacian", "hessian")
_RATIO = 1.5
_LEVELS = 11


def oracle(f: Function, x: Tensor, kind: str | tuple[int, ...]) -> Tensor:
    """The derivative by differences, checked against reverse mode, as exact as they allow.

    Args:
        f: maps ``(N, D)`` to ``(N, M)``, row by row.
        x: points ``(N, D)`` in float64.
        kind: one of ``KINDS`` or a multi-index of at most two columns, such as ``(0, 1)``.

    Returns:
        The result of reverse mode where both agree.

    Raises:
        ValueError: the two disagree, so that neither is to be believed.
    """
    estimate, error = by_differences(f, x, kind)
    exact = by_reverse_mode(f, x, kind)
    if not agrees(exact, estimate, error):
        raise ValueError(
            f"reverse mode and finite differences disagree on {kind}: by at most "
            f"{(exact - estimate).abs().max():.3g}, estimated error {error.max():.3g}"
        )
    return exact


def agrees(result: Tensor, estimate: Tensor, error: Tensor, floor: float = 1e-8) -> bool:
    """Whether ``result`` is what differences found, within 30 times their estimated error.

    Entries whose error is above 1e-4 of the scale (kinks) are left out; if none remains,
    nothing agrees.

    Args:
        result: what is to be judged.
        estimate: what :func:`by_differences` returned.
        error: its estimated error.
        floor: agreement relative to the largest entry that is always enough.
    """
    scale = max(float(estimate.abs().nan_to_num(posinf=0.0).max()), 1e-2)
    known = error < 1e-4 * scale
    if result.shape != estimate.shape or not bool(known.any()):
        return False
    gap = (result - estimate).abs()[known]
    allowed = floor * scale + 30 * error[known]
    return bool((gap <= allowed).all())


def by_differences(
    f: Function, x: Tensor, kind: str | tuple[int, ...], step: float = 0.4
) -> tuple[Tensor, Tensor]:
    """Finite differences of f, extrapolated; the best estimate and its estimated error.

    Args:
        f: maps ``(N, D)`` to ``(N, M)``, row by row.
        x: points ``(N, D)`` in float64.
        kind: as for :func:`oracle`.
        step: the largest step; the smallest is 1.5¹⁰ ≈ 58 times smaller.
    """
    _check(x)
    columns = x.shape[-1]
    unit = torch.eye(columns, dtype=x.dtype)
    with torch.no_grad():
        middle = f(x.clone())

        def at(shift: Tensor) -> Tensor:
            with torch.no_grad():
                return f(x + shift)

        def first(v: Tensor) -> tuple[Tensor, Tensor]:
            return extrapolate(lambda h: (at(h * v) - at(-h * v)) / (2 * h), step)

        def second(v: Tensor) -> tuple[Tensor, Tensor]:
            return extrapolate(lambda h: (at(h * v) - 2 * middle + at(-h * v)) / h**2, step)

        def mixed(a: int, b: int) -> tuple[Tensor, Tensor]:
            if a == b:
                return second(unit[a])
            plus, plus_error = second(unit[a] + unit[b])
            minus, minus_error = second(unit[a] - unit[b])
            return (plus - minus) / 4, (plus_error + minus_error) / 4

        return _assemble(kind, columns, middle, lambda d: first(unit[d]), mixed)


def by_reverse_mode(f: Function, x: Tensor, kind: str | tuple[int, ...]) -> Tensor:
    """Plain reverse mode of each output at each row on its own, twice for second order.

    Args:
        f: maps ``(N, D)`` to ``(N, M)``, row by row.
        x: points ``(N, D)`` in float64.
        kind: as for :func:`oracle`.
    """
    _check(x)
    values, gradients, hessians = [], [], []
    for row in x:
        point = row[None].detach().clone().requires_grad_()
        # A copy, so that f may change its input in place.
        value = f(point * 1.0)
        values.append(value.detach()[0])
        gradients.append([])
        hessians.append([])
        for output in value[0]:
            gradient = _gradient(output, point)
            gradients[-1].append(gradient.detach()[0])
            if kind in ("value", "jacobian") or (isinstance(kind, tuple) and len(kind) < 2):
                hessians[-1].append(torch.zeros(x.shape[-1], x.shape[-1], dtype=x.dtype))
                continue
            lines = [_gradient(entry, point).detach()[0] for entry in gradient[0]]
            hessians[-1].append(torch.stack(lines))
    value = torch.stack(values)
    jacobian = torch.stack([torch.stack(g) for g in gradients])
    hessian = torch.stack([torch.stack(h) for h in hessians])
    nothing = torch.zeros(())
    return _assemble(
        kind,
        x.shape[-1],
        value,
        lambda d: (jacobian[..., d], nothing),
        lambda a, b: (hessian[..., a, b], nothing),
    )[0]


def slope(g: Callable[[float], float], step: float = 0.02) -> tuple[float, float]:
    """dg/ds at s = 0 by extrapolated central differences, and the estimated error.

    Args:
        g: any function of one number.
        step: the largest step.
    """
    estimate, error = extrapolate(
        lambda h: torch.tensor([(g(h) - g(-h)) / (2 * h)], dtype=torch.float64), step, 8
    )
    return float(estimate), float(error)


def extrapolate(
    quotient: Callable[[float], Tensor], step: float, levels: int = _LEVELS
) -> tuple[Tensor, Tensor]:
    """The limit h → 0 of a difference quotient whose error is a series in h².

    Of all entries of the Neville tableau that one is taken, for each element by itself,
    which differs least from the two entries that it was made of.

    Args:
        quotient: the difference quotient at a step h.
        step: the largest step.
        levels: how many steps, each 1.5 times smaller than the one before.
    """
    steps = [step / _RATIO**i for i in range(levels)]
    above: list[Tensor] = []
    best = error = torch.zeros(())
    for i, h in enumerate(steps):
        line = [quotient(h)]
        for k in range(1, i + 1):
            ratio = (steps[i - k] / h) ** 2
            line.append(line[k - 1] + (line[k - 1] - above[k - 1]) / (ratio - 1))
            gap = torch.maximum((line[k] - line[k - 1]).abs(), (line[k] - above[k - 1]).abs())
            gap = gap.nan_to_num(nan=float("inf"))
            if i == k == 1:
                best, error = line[k], gap
            else:
                best = torch.where(gap < error, line[k], best)
                error = torch.minimum(gap, error)
        above = line
    return best, error


def _gradient(scalar: Tensor, point: Tensor) -> Tensor:
    """∇ of a scalar, recorded; zeros where it does not depend on the point."""
    if not scalar.requires_grad:
        return torch.zeros_like(point)
    (gradient,) = torch.autograd.grad(scalar, point, create_graph=True, allow_unused=True)
    return torch.zeros_like(point) if gradient is None else gradient


def _check(x: Tensor) -> None:
    if x.dtype != torch.float64 or x.ndim != 2:
        raise ValueError(f"the oracle wants float64 points (N, D), got {x.dtype} {tuple(x.shape)}")


def _assemble(
    kind: str | Sequence[int],
    columns: int,
    value: Tensor,
    first: Callable[[int], tuple[Tensor, Tensor]],
    second: Callable[[int, int], tuple[Tensor, Tensor]],
) -> tuple[Tensor, Tensor]:
    """Put single partial derivatives (and their errors) together to what was asked."""
    if isinstance(kind, tuple):
        if len(kind) > 2:
            raise ValueError(f"the oracle goes up to second order, got {kind}")
        if not kind:
            return value, torch.zeros_like(value)
        return first(kind[0]) if len(kind) == 1 else second(kind[0], kind[1])
    if kind == "value":
        return value, torch.zeros_like(value)
    if kind == "jacobian":
        parts = [first(d) for d in range(columns)]
    elif kind in ("second_derivatives", "laplacian"):
        parts = [second(d, d) for d in range(columns)]
    elif kind == "hessian":
        upper = {(a, b): second(a, b) for a in range(columns) for b in range(a, columns)}
        parts = [upper[min(a, b), max(a, b)] for a in range(columns) for b in range(columns)]
    else:
        raise ValueError(f"unknown kind {kind!r}; one of {KINDS} or a multi-index")
    results = torch.stack([p[0] for p in parts], -1)
    errors = torch.stack([p[1] for p in parts], -1)
    if kind == "laplacian":
        return results.sum(-1), errors.sum(-1)
    if kind == "hessian":
        return results.unflatten(-1, (columns, columns)), errors.unflatten(-1, (columns, columns))
    return results, errors


def laplacian_of_batch(f: Function, x: Tensor) -> Tensor:
    """The Laplacian ``(N, M)`` by plain reverse mode, all rows at once.

    Only for functions that treat rows independently, which :func:`by_reverse_mode` does not
    need; meant for :func:`slope`, which wants many of them.
    """
    _check(x)
    point = x.detach().clone().requires_grad_()
    outputs = []
    for output in f(point * 1.0).unbind(-1):
        gradient = _gradient(output.sum(), point)
        second = [_gradient(gradient[:, d].sum(), point)[:, d] for d in range(x.shape[-1])]
        outputs.append(torch.stack(second).sum(0).detach())
    return torch.stack(outputs, -1)
