"""Rules by algebraic class: a rule is a formula, the plumbing is here.

* :func:`linear`: linear in its carriers; acts on each channel.
* :func:`elementwise`: φ(z) from (φ, φ′, φ″).
* :func:`elementwise2`: φ(a, b) from its six partial derivatives.
* :func:`bilinear`: B(a, b).
* :func:`constant`: piecewise constant, or not differentiated by autograd's own convention.
* :func:`composite`: written in other functions that have rules.
* :func:`rule`: anything else; the function gets the pass and the carriers.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

import torch

from pinnderiv.derivatives.taylor import chain
from pinnderiv.derivatives.taylor.channels import each, lift, product, spread, total
from pinnderiv.derivatives.taylor.dispatch import Unsuited, active, call, dispatch, strip
from pinnderiv.derivatives.taylor.jet import Jet
from pinnderiv.derivatives.taylor.registry import Rule, named, readable, register
from pinnderiv.derivatives.taylor.run import Run
from pinnderiv.errors import ArgumentError

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


def primitive(function: Callable[..., Any]) -> Callable[..., Any]:
    """Makes a function one that rules can be registered for.

    Called with carriers among its arguments it is handed to its rule; otherwise it is called
    as it is.

    Args:
        function: any function of tensors.

    Returns:
        The function to call in its place, and to register rules for.
    """

    @functools.wraps(function)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        if _carries((*args, *kwargs.values())):
            return dispatch(wrapped, args, kwargs)
        return function(*args, **kwargs)

    return wrapped


def _carries(items: Any) -> bool:
    return any(isinstance(i, Jet) or (isinstance(i, (list, tuple)) and _carries(i)) for i in items)


def rule(
    *targets: Any, kind: str = "own formula", view: bool | str | Callable[..., bool] = False
) -> Decorator:
    """Registers ``apply(run, *args, **kwargs)`` for functions or names of PyTorch functions."""

    def decorate(apply: Callable[..., Any]) -> Callable[..., Any]:
        register(Rule(kind, apply, view), *targets)
        return apply

    return decorate


def composite(*targets: Any, view: bool | str | Callable[..., bool] = False) -> Decorator:
    """Registers ``f(*args, **kwargs)`` that is written in functions which have rules."""

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        def apply(run: Run, *args: Any, **kwargs: Any) -> Any:
            return function(*args, **kwargs)

        register(Rule("composite", apply, view), *targets)
        return function

    return decorate


def constant(*targets: Any) -> None:
    """Registers functions whose results carry no derivatives: comparisons, indices, signs."""

    def entry(function: Any) -> Rule:
        def apply(run: Run, *args: Any, **kwargs: Any) -> Any:
            return call(function, strip(run, args), strip(run, kwargs))

        return Rule("constant", apply)

    for target in targets:
        for function in named(target) if isinstance(target, str) else (target,):
            register(entry(function), function)


def elementwise(*targets: Any, third: bool = False) -> Decorator:
    """Registers φ by ``formula(z, *options) -> (φ, φ′, φ″)``.

    φ″ may be None where it is zero, φ′ and φ″ both where φ is locally constant.

    Args:
        targets: functions, or names of PyTorch functions.
        third: the formula returns a fourth item, a function without arguments that returns
            φ‴; then training uses less memory and time (see `chain.py`). If the formula has
            a keyword ``y`` it gets φ(z) in the backward pass instead of computing it again.
    """

    def decorate(formula: Callable[..., Any]) -> Callable[..., Any]:
        reuses = "y" in inspect.signature(formula).parameters

        def apply(run: Run, z: Any, *options: Any, **keywords: Any) -> Any:
            if not active(run, z) or _holds(run, options) or _holds(run, keywords.values()):
                raise Unsuited
            return Jet(run, *chain.compose(run, complete, z, options, keywords, third, reuses))

        def complete(*given: Any, **named_given: Any) -> Any:
            found = formula(*given, **named_given)
            if not isinstance(found, tuple) or len(found) < wanted:
                got = f"{len(found)} items" if isinstance(found, tuple) else type(found).__name__
                names = " or ".join(map(_name_of, targets))
                raise ArgumentError(
                    f"the rule of {names} must return (y, y′, y″{', φ‴' if third else ''}), as "
                    f"tensors or None where a derivative is zero; it returned {got}."
                )
            return found

        wanted = 4 if third else 3
        register(Rule("elementwise", apply), *targets)
        return formula

    return decorate


def _name_of(target: Any) -> str:
    return target if isinstance(target, str) else readable(target)


def elementwise2(*targets: Any) -> Decorator:
    """Registers φ(a, b) by ``formula(a, b) -> (φ, φ_a, φ_b, φ_aa, φ_ab, φ_bb)``.

    Any of the derivatives may be None where it is zero.
    """

    def decorate(formula: Callable[..., Any]) -> Callable[..., Any]:
        def apply(run: Run, a: Any, b: Any, *options: Any, **keywords: Any) -> Any:
            if _holds(run, options) or _holds(run, keywords.values()):
                raise Unsuited
            return apply_elementwise2(run, lambda p, q: formula(p, q, *options, **keywords), a, b)

        register(Rule("elementwise", apply), *targets)
        return formula

    return decorate


def apply_elementwise2(run: Run, formula: Callable[[Any, Any], Any], a: Any, b: Any) -> Any:
    """The jet of φ(a, b), either or both of which carry derivatives."""
    y, fa, fb, faa, fab, fbb = formula(strip(run, a), strip(run, b))
    ta, ca = parts(run, a, y.ndim)
    tb, cb = parts(run, b, y.ndim)
    tangents = total(_times(fa, ta), _times(fb, tb))
    curvature = total(_times(fa, ca), _times(fb, cb))
    square, cross = run.structure.square, run.structure.cross
    if ta is not None and faa is not None:
        curvature = total(curvature, product(faa, square(ta)))
    if tb is not None and fbb is not None:
        curvature = total(curvature, product(fbb, square(tb)))
    if ta is not None and tb is not None and fab is not None:
        curvature = total(curvature, product(fab, cross(torch.mul, ta, tb)))
    return Jet(run, y, tangents, curvature)


def _times(factor: Any, stack: Any) -> Any:
    return None if factor is None or stack is None else factor * stack


def linear(
    *targets: Any, view: bool | str | Callable[..., bool] = False, positions: tuple[int, ...] = (0,)
) -> None:
    """Registers functions that are linear, jointly, in the arguments at ``positions``.

    An argument may be a list of tensors. Constants among them count as zero for the
    derivatives. The other arguments must carry no derivatives.
    """

    def entry(function: Any) -> Rule:
        def apply(run: Run, *args: Any, **kwargs: Any) -> Any:
            return apply_linear(run, function, args, kwargs, positions)

        return Rule("linear", apply, view)

    for target in targets:
        for function in named(target) if isinstance(target, str) else (target,):
            register(entry(function), function)


def apply_linear(
    run: Run | None, function: Any, args: Any, kwargs: Any, positions: tuple[int, ...] = (0,)
) -> Any:
    """Applies a function to values, and channel by channel to tangents and curvature."""
    if run is None:
        return function(*args, **kwargs)
    others = [a for i, a in enumerate(args) if i not in positions]
    if _holds(run, others) or _holds(run, kwargs.values()):
        raise Unsuited
    values = call(function, strip(run, args), kwargs)

    def channels(name: str, count: int) -> Any:
        slots: list[Any] = []
        carried: list[Any] = []

        def slot(item: Any) -> Any:
            if isinstance(item, (list, tuple)) and not isinstance(item, torch.Size):
                return [slot(i) for i in item]
            stack = getattr(item, name) if active(run, item) else None
            if stack is None:
                value = strip(run, item)
                return torch.zeros_like(value) if hasattr(value, "dtype") else item
            carried.append(spread(stack, item.shape))
            return _Slot(len(carried) - 1)

        for position, item in enumerate(args):
            slots.append(slot(item) if position in positions else item)
        if not carried:
            return None

        def one(*stacks: Any) -> Any:
            return call(function, [_fill(s, stacks) for s in slots], kwargs)

        return each(one, *carried)

    tangents = channels("tangents", run.channels)
    curvature = channels("curvature", run.structure.count)
    if isinstance(values, (tuple, list)):
        made = [
            Jet(
                run,
                v,
                None if tangents is None else tangents[i],
                None if curvature is None else curvature[i],
            )
            for i, v in enumerate(values)
        ]
        return tuple(made) if isinstance(values, tuple) else made
    return Jet(run, values, tangents, curvature)


class _Slot:
    """The place of a carried argument."""

    def __init__(self, index: int) -> None:
        self.index = index


def _fill(slot: Any, stacks: tuple[Any, ...]) -> Any:
    if isinstance(slot, _Slot):
        return stacks[slot.index]
    if isinstance(slot, list):
        return [_fill(s, stacks) for s in slot]
    return slot


def bilinear(*targets: Any) -> None:
    """Registers functions that are bilinear in their first two arguments."""

    def entry(function: Any) -> Rule:
        def apply(run: Run, a: Any, b: Any, *options: Any, **keywords: Any) -> Any:
            if _holds(run, options) or _holds(run, keywords.values()):
                raise Unsuited
            return apply_bilinear(
                run, lambda p, q: call(function, (p, q, *options), keywords), a, b
            )

        return Rule("bilinear", apply)

    for target in targets:
        for function in named(target) if isinstance(target, str) else (target,):
            register(entry(function), function)


def apply_bilinear(run: Run, function: Callable[[Any, Any], Any], a: Any, b: Any) -> Any:
    """B(a, b) where B is any bilinear function of two tensors."""
    va, vb = strip(run, a), strip(run, b)
    value = function(va, vb)

    def left(stack: Any) -> Any:
        return None if stack is None else each(lambda t: function(t, vb), spread(stack, va.shape))

    def right(stack: Any) -> Any:
        return None if stack is None else each(lambda t: function(va, t), spread(stack, vb.shape))

    ta, ca = parts(run, a)
    tb, cb = parts(run, b)
    curvature = total(left(ca), right(cb))
    if ta is not None and tb is not None:
        both = run.structure.cross(
            lambda p, q: each(function, p, q), spread(ta, va.shape), spread(tb, vb.shape)
        )
        curvature = total(curvature, both)
    return Jet(run, value, total(left(ta), right(tb)), curvature)


def parts(run: Run, item: Any, ndim: int | None = None) -> tuple[Any, Any]:
    """Tangents and curvature of an operand, aligned to a result of ``ndim`` dimensions."""
    if not active(run, item):
        return None, None
    tangents, curvature = item.tangents, item.curvature
    if ndim is not None and ndim != item.ndim:
        tangents = None if tangents is None else lift(tangents, ndim)
        curvature = None if curvature is None else lift(curvature, ndim)
    return tangents, curvature


def _holds(run: Run, items: Any) -> bool:
    """Whether a carrier of this pass is among further arguments."""
    for item in items:
        if active(run, item):
            return True
        if isinstance(item, (list, tuple)) and _holds(run, item):
            return True
    return False
