"""In-place operations and views.

A carrier is immutable inside: an in-place operation computes its result anew and puts it
into the carrier. A view remembers what it was taken from and how. Writing into a view writes
through to where it came from; reading a view whose origin has changed since takes it anew.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from pinnderiv.derivatives.taylor import dispatch as _dispatch
from pinnderiv.derivatives.taylor.channels import lift, spread
from pinnderiv.derivatives.taylor.registry import RULES, Rule, named
from pinnderiv.derivatives.taylor.run import Run
from pinnderiv.errors import UnsupportedOperationError

_AUGMENTED = {
    "__iadd__": "add",
    "__isub__": "sub",
    "__imul__": "mul",
    "__itruediv__": "div",
    "__idiv__": "div",
    "__ipow__": "pow",
    "__imod__": "remainder",
    "__ifloordiv__": "floor_divide",
}
_RANDOM = "normal_ uniform_ bernoulli_ exponential_ cauchy_ log_normal_ geometric_ random_"
_RESHAPING = (
    "t_ transpose_ swapaxes_ swapdims_ squeeze_ unsqueeze_ resize_ resize_as_ set_ "
    "as_strided_ swap_ rename_ share_memory_ apply_ map_ map2_"
)


@dataclass
class Origin:
    """Where a view came from.

    Attributes:
        base: the carrier it is a view of.
        take: computes it from its base, a carrier or a plain tensor.
        seen: the base's version that the view shows.
        certain: whether it shares its base's memory beyond doubt.
    """

    base: Any
    take: Callable[[Any], Any]
    seen: int
    certain: bool = True


def mark_view(result: Any, rule: Rule, args: Any, kwargs: Any) -> None:
    """Notes on a rule's results that they are views of their first argument."""
    base = args[0]
    if not isinstance(base, _dispatch.CARRIER) or (callable(rule.view) and not rule.view(*args)):
        return
    several = isinstance(result, (tuple, list))
    for position, item in enumerate(result if several else (result,)):
        if not _dispatch.active(base.run, item) or item is base:
            continue
        shared = _same_memory(item.value, base.value) if rule.view == "perhaps" else True
        if shared is False:
            continue
        where = position if several else None

        def take(source: Any, where: int | None = where) -> Any:
            run = source.run if isinstance(source, _dispatch.CARRIER) else None
            made = rule.apply(run, source, *args[1:], **kwargs)
            return made if where is None else made[where]

        item.origin = Origin(base, take, base.version, shared is not None)


def _same_memory(a: Any, b: Any) -> bool | None:
    """Whether a result shares memory with its base, or is a copy; None if that is not known."""
    while isinstance(a, _dispatch.CARRIER) and isinstance(b, _dispatch.CARRIER):
        a, b = a.value, b.value
    if not (isinstance(a, Tensor) and isinstance(b, Tensor)):
        return None
    if not torch.compiler.is_compiling():
        try:
            return a.untyped_storage().data_ptr() == b.untyped_storage().data_ptr()
        except (RuntimeError, NotImplementedError):  # vmap or tracing has wrapped the tensors
            pass
    return True if b.is_contiguous() and a.dtype == b.dtype else None


def refresh(view: Any) -> None:
    """Brings a view up to date with what it is a view of."""
    origin = view.origin
    if origin is None:
        return
    refresh(origin.base)
    if origin.seen != origin.base.version:
        fresh = origin.take(origin.base)
        view.value, view.tangents, view.curvature = fresh.value, fresh.tangents, fresh.curvature
        view.run = fresh.run
        view.version += 1
        origin.seen = origin.base.version


def changes_first(func: Any) -> bool:
    """Whether a function changes its first argument in place."""
    name = getattr(func, "__name__", "")
    if name.startswith("__"):
        return name == "__setitem__" or name in _AUGMENTED
    return name.endswith("_")


def in_place(func: Any, args: Any, kwargs: Any) -> Callable[[Run], Any] | None:
    """What to do for ``func`` if it is an in-place operation, else None."""
    name = getattr(func, "__name__", "")
    if name == "__setitem__":
        return lambda run: _write_checked(run, func, args[0], _assigned(run, *args))
    if name in _AUGMENTED:
        return lambda run: _perform(run, func, _AUGMENTED[name], args, kwargs)
    if name.endswith("_") and not name.endswith("__"):
        if name in _RESHAPING.split():
            raise _dispatch.refuse(func, "it changes the shape or memory of a tensor in place")
        if name in _RANDOM.split():
            return lambda run: _write_checked(
                run, func, args[0], func(torch.clone(_value(run, args[0])), *args[1:], **kwargs)
            )
        return lambda run: _perform(run, func, name[:-1], args, kwargs)
    return None


def in_place_variant(func: Any, args: Any, kwargs: Any) -> Any:
    """``F.relu(x, inplace=True)`` and the like."""
    rest = {k: v for k, v in kwargs.items() if k != "inplace"}
    run = _dispatch.innermost(args, kwargs)
    return _write_checked(run, func, args[0], _dispatch.dispatch(func, args, rest))


def _perform(run: Run, func: Any, name: str, args: Any, kwargs: Any) -> Any:
    target = args[0]
    _check_target(run, func, target)
    if name == "copy":
        result = args[1] if len(args) > 1 else kwargs["src"]
    elif name == "zero":
        result = torch.zeros_like(target.value)
    elif name == "fill":
        result = args[1] if len(args) > 1 else kwargs["value"]
        if not hasattr(result, "shape"):
            result = torch.full_like(target.value, result)
    else:
        plain = next((f for f in named(name) if f in RULES), named(name)[0])
        result = _dispatch.dispatch(plain, args, kwargs)
    return _write_checked(run, func, target, result)


def _value(run: Run, target: Any) -> Any:
    return _dispatch.strip(run, target)


def _check_target(run: Run, func: Any, target: Any) -> None:
    if _dispatch.active(run, target):
        return
    raise _dispatch.refuse(
        func,
        "it writes what depends on the points into a plain tensor in place, which cannot carry "
        "derivatives",
        "Start from torch.zeros_like(x) or x.new_zeros(...) inside f, join with torch.stack or "
        "torch.cat, or use method='reverse'.",
    )


def _write_checked(run: Run, func: Any, target: Any, result: Any) -> Any:
    _check_target(run, func, target)
    shape = tuple(target.shape)
    if tuple(result.shape) != shape:
        # Raises for what cannot be broadcast, as the in-place operation would have done.
        result = result.expand(shape)
    if result.dtype != target.dtype:
        result = result.to(target.dtype)
    write(run, target, result)
    return target


def write(run: Run, target: Any, result: Any) -> None:
    """Puts ``result`` into ``target``, and through to whatever that is a view of."""
    if _dispatch.active(run, result):
        target.value, target.tangents, target.curvature = (
            result.value,
            result.tangents,
            result.curvature,
        )
    else:
        target.value, target.tangents, target.curvature = result, None, None
    target.version += 1
    origin = target.origin
    if origin is None:
        return
    if not origin.certain:
        raise UnsupportedOperationError(
            "method='taylor' cannot tell whether a reshaped tensor that is changed in place is a "
            f"view or a copy here{_dispatch.place()}. Write .clone() before the change."
        )
    base = origin.base
    count = base.value.numel()
    positions = torch.arange(count, device=base.device).reshape(tuple(base.shape))
    index = origin.take(positions).reshape(-1)

    def merged(old: Any, new: Any) -> Any:
        if old is None and new is None:
            return None
        channels = (new if old is None else old).shape[0]
        new = _filled(new, channels, target).reshape(channels, -1)
        flat = _filled(old, channels, base).reshape(channels, count).index_copy(1, index, new)
        return flat.reshape((channels, *base.shape))

    value = base.value.reshape(-1).index_copy(0, index, target.value.reshape(-1))
    write(
        run,
        base,
        _dispatch.CARRIER(
            run,
            value.reshape(tuple(base.shape)),
            merged(base.tangents, target.tangents),
            merged(base.curvature, target.curvature),
        ),
    )
    origin.seen = base.version


def _filled(stack: Any, channels: int, like: Any) -> Any:
    """The stack with every entry; zeros for None."""
    if stack is None:
        return torch.zeros_like(like.value).expand((channels, *like.shape))
    return spread(stack, like.shape)


def _assigned(run: Run, target: Any, index: Any, source: Any) -> Any:
    """``target[index] = source`` as a new carrier."""
    _check_target(run, torch.Tensor.__setitem__, target)
    index = _dispatch.strip(run, index)
    value = _dispatch.strip(run, source)
    carrier = _dispatch.CARRIER

    def put(into: Any, what: Any) -> Any:
        fresh = torch.clone(into)
        fresh[index] = what
        return fresh

    if not _dispatch.active(run, source):

        def zeros(stack: Any) -> Any:
            if stack is None:
                return None
            return _map(lambda t: put(t, 0), spread(stack, target.shape))

        return carrier(
            run, put(target.value, value), zeros(target.tangents), zeros(target.curvature)
        )

    def both(old: Any, new: Any) -> Any:
        if old is None and new is None:
            return None
        channels = (new if old is None else old).shape[0]
        new = _filled(new, channels, source)
        rows = [
            put(o, n)
            for o, n in zip(_filled(old, channels, target).unbind(0), new.unbind(0), strict=True)
        ]
        return torch.stack(rows)

    return carrier(
        run,
        put(target.value, value),
        both(target.tangents, lift_or_none(source.tangents, source.ndim)),
        both(target.curvature, lift_or_none(source.curvature, source.ndim)),
    )


def lift_or_none(stack: Any, ndim: int) -> Any:
    """`lift` for a stack that may be None."""
    return None if stack is None else lift(stack, ndim)


def _map(func: Callable[[Any], Any], stack: Any) -> Any:
    return torch.stack([func(t) for t in stack.unbind(0)])
