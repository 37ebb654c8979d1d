"""A checker for rules: what a rule carries, against differences of the function itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_flatten

from pinnderiv.derivatives.taylor import dispatch
from pinnderiv.derivatives.taylor.channels import spread
from pinnderiv.derivatives.taylor.jet import Jet
from pinnderiv.derivatives.taylor.registry import named
from pinnderiv.derivatives.taylor.run import Pairs, Run, Structure, Sum, enter_level, leave_level
from pinnderiv.derivatives.taylor.witness import limit
from pinnderiv.errors import ArgumentError, DtypeError

_WEIGHTS = (1.5, -0.7)
_PAIRS = ((0, 0, 1), (0, 1, 1))


def check_rule(
    function: Callable[..., Any] | str, *args: Any, tolerance: float = 1e-6, **kwargs: Any
) -> float:
    """Compares the rule of a function with finite differences, which share no formula with it.

    Every float64 tensor among the arguments is made to carry two random directions and a
    random curvature. Checked are the value, the tangents, the curvature with signed weights
    and for single pairs of directions, and the gradient of all of these, which training uses.

    Args:
        function: what the rule was registered for, or the name of a PyTorch function.
        args: arguments at which it is smooth; float64 tensors are differentiated.
        tolerance: largest error allowed, relative to the largest entry of each quantity.
        kwargs: further arguments, constants.

    Returns:
        The largest relative error found.

    Raises:
        DtypeError: no argument is a float64 tensor.
        ArgumentError: the rule disagrees with the function.
    """
    if isinstance(function, str):
        function = named(function)[0]
    if not callable(function):
        raise DtypeError(
            f"check_rule takes the function that a rule was registered for, got {function!r}."
        )
    if dispatch.rule_of(function) is None and dispatch.related(function) is None:
        raise ArgumentError(
            f"{dispatch.readable(function)} has no rule: register one, for example with "
            "pinnderiv.taylor.elementwise."
        )
    places = [i for i, a in enumerate(args) if isinstance(a, Tensor) and a.dtype == torch.float64]
    if not places:
        raise DtypeError(
            "check_rule needs a float64 tensor among the arguments: finite differences are too "
            "coarse in float32. Convert it with .double()."
        )
    generator = torch.Generator().manual_seed(11)
    points = [args[i].detach() for i in places]

    def drawn(*lead: int) -> list[Tensor]:
        made = [torch.randn(*lead, *p.shape, generator=generator, dtype=p.dtype) for p in points]
        return [m.to(p.device) * 0.3 for m, p in zip(made, points, strict=True)]

    tangents, curvature = drawn(2), drawn(1)
    away = drawn()

    def plain(moved: list[Tensor]) -> list[Tensor]:
        filled = list(args)
        for place, value in zip(places, moved, strict=True):
            filled[place] = value
        return _tensors(function(*filled, **kwargs))

    def carried(moved: list[Tensor], structure: Structure) -> list[list[Tensor]]:
        return _carried(function, args, kwargs, places, moved, tangents, curvature, structure)

    weights = points[0].new_tensor(_WEIGHTS)
    pairs = Pairs(_PAIRS[0], _PAIRS[1], 2, points[0].device)
    summed = carried(points, Sum(weights, _WEIGHTS))
    apart = carried(points, pairs)
    values = plain(points)
    worst = 0.0
    with torch.no_grad():
        slopes = [
            limit(lambda h, k=k: _quotient(plain, points, tangents, k, h))[0] for k in range(2)
        ]
        straight = limit(lambda h: _central(plain, points, [c[0] for c in curvature], h))[0]
        bends = [
            limit(lambda h, i=i, j=j: _mixed(plain, points, tangents, i, j, h))[0]
            for i, j in zip(*_PAIRS, strict=True)
        ]
        for n, value in enumerate(values):
            bent = straight[n] + _WEIGHTS[0] * bends[0][n] + _WEIGHTS[1] * bends[2][n]
            single = torch.stack([straight[n] + b[n] for b in bends])
            wanted = (
                ("value", value, summed[0][n]),
                ("tangents", torch.stack([s[n] for s in slopes]), summed[1][n]),
                ("curvature", bent[None], summed[2][n]),
                ("curvature of pairs", single, apart[2][n]),
            )
            for what, expected, found in wanted:
                worst = max(worst, _compare(function, what, expected, found, tolerance))
    for structure in (Sum(weights, _WEIGHTS), pairs):
        worst = max(worst, _gradient(function, carried, points, away, structure, tolerance))
    return worst


def _tensors(results: Any) -> list[Any]:
    leaves = tree_flatten(results, is_leaf=lambda r: isinstance(r, Jet))[0]
    return [r for r in leaves if isinstance(r, Jet) or _smooth(r)]


def _smooth(result: Any) -> bool:
    return isinstance(result, Tensor) and (result.is_floating_point() or result.is_complex())


def _carried(
    function: Any,
    args: Any,
    kwargs: Any,
    places: list[int],
    moved: list[Tensor],
    tangents: list[Tensor],
    curvature: list[Tensor],
    structure: Structure,
) -> list[list[Tensor]]:
    """Values, tangents and curvatures of the results of one pass."""
    level = enter_level()
    try:
        run = Run(level, 2, structure, torch.is_grad_enabled(), strict=True)
        filled = list(args)
        for place, value, t, c in zip(places, moved, tangents, curvature, strict=True):
            filled[place] = Jet(run, value, t, c.expand(structure.count, *value.shape))
        results = _tensors(dispatch.dispatch(function, tuple(filled), dict(kwargs)))
    finally:
        leave_level()
    lines: list[list[Tensor]] = [[], [], []]
    for result in results:
        value = result.value if isinstance(result, Jet) else result
        stacks = (result.tangents, result.curvature) if isinstance(result, Jet) else (None, None)
        lines[0].append(value)
        for line, stack, count in zip(lines[1:], stacks, (2, structure.count), strict=True):
            empty = torch.zeros_like(value).expand(count, *value.shape)
            line.append(empty if stack is None else spread(stack, value.shape))
    return lines


def _moved(points: list[Tensor], direction: list[Tensor], h: float) -> list[Tensor]:
    return [p + h * d for p, d in zip(points, direction, strict=True)]


def _central(f: Any, points: list[Tensor], direction: list[Tensor], h: float) -> list[Tensor]:
    up, down = f(_moved(points, direction, h)), f(_moved(points, direction, -h))
    return [(u - d) / (2 * h) for u, d in zip(up, down, strict=True)]


def _quotient(f: Any, points: list[Tensor], tangents: list[Tensor], k: int, h: float) -> Any:
    return _central(f, points, [t[k] for t in tangents], h)


def _mixed(f: Any, points: list[Tensor], tangents: list[Tensor], i: int, j: int, h: float) -> Any:
    a, b = [t[i] for t in tangents], [t[j] for t in tangents]
    if i == j:
        triple = f(_moved(points, a, h)), f(points), f(_moved(points, a, -h))
        return [(u - 2 * m + d) / h**2 for u, m, d in zip(*triple, strict=True)]
    corners = [f(_moved(_moved(points, a, s * h), b, r * h)) for s in (1, -1) for r in (1, -1)]
    return [(pp - pm - mp + mm) / (4 * h**2) for pp, pm, mp, mm in zip(*corners, strict=True)]


def _gradient(
    function: Any,
    carried: Any,
    points: list[Tensor],
    away: list[Tensor],
    structure: Structure,
    tolerance: float,
) -> float:
    """The gradient of everything carried, along one direction, against differences of it."""

    def scalar(moved: list[Tensor]) -> Tensor:
        lines = [t for line in carried(moved, structure) for t in line]
        # Weights that no symmetry of the results cancels.
        return sum(((t.real if t.is_complex() else t) * _ramp(t)).sum() for t in lines)

    with torch.enable_grad():
        inputs = [p.clone().requires_grad_() for p in points]
        total = scalar(inputs)
        grads = torch.autograd.grad(total, inputs, allow_unused=True)
    found = sum((g * d).sum() for g, d in zip(grads, away, strict=True) if g is not None)
    with torch.no_grad():
        expected = limit(
            lambda h: [
                (scalar(_moved(points, away, h)) - scalar(_moved(points, away, -h))) / (2 * h)
            ]
        )[0][0]
    scale = abs(float(total.detach()))
    return _compare(function, "gradient", expected, torch.as_tensor(found), tolerance, scale)


def _ramp(t: Tensor) -> Tensor:
    numbers = torch.arange(t.numel(), dtype=torch.float64, device=t.device)
    return torch.cos(numbers * 0.7 + 0.3).reshape(t.shape)


def _compare(
    function: Any, what: str, expected: Tensor, found: Tensor, tolerance: float, scale: float = 0.0
) -> float:
    found = found.detach()
    if expected.shape != found.shape:
        raise ArgumentError(
            f"the rule of {dispatch.readable(function)} gives {what} of shape "
            f"{tuple(found.shape)}, should be {tuple(expected.shape)}."
        )
    if not expected.numel():
        return 0.0
    size = max(float(expected.abs().max()), scale, 1e-3)
    error = float((expected - found).abs().max()) / size
    if not error <= tolerance:
        raise ArgumentError(
            f"the rule of {dispatch.readable(function)} is wrong: its {what} differs from finite "
            f"differences by {error:.2g} of its largest entry (allowed: {tolerance:g})."
        )
    return error
