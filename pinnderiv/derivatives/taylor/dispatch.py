"""From a PyTorch call that met a carrier to the rule that carries its derivatives."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from pinnderiv.derivatives.taylor.registry import METHODS, RULES, Rule, readable
from pinnderiv.derivatives.taylor.run import Run
from pinnderiv.derivatives.taylor.source import inside_custom_function, user_line
from pinnderiv.errors import UnsupportedOperationError

CARRIER: Any = None
"""The class Jet; `jet.py` sets it, which imports this module."""


@dataclass(frozen=True)
class Operation:
    """One operation of a pass, for `explain`.

    Attributes:
        name: the PyTorch function.
        kind: the algebraic class of its rule, or "fallback".
        line: the user's own line.
    """

    name: str
    kind: str
    line: str


class Unsuited(Exception):
    """A rule does not cover these arguments: leave them to the generic treatment."""


def place() -> str:
    """ " at <the user's line>", or ""."""
    line = user_line()
    return f", at {line}" if line else ""


def refuse(func: Callable[..., Any], why: str, advice: str = "") -> UnsupportedOperationError:
    """The error for an operation that Taylor mode cannot treat."""
    advice = advice or "Use method='auto', 'nested' or 'reverse'."
    return UnsupportedOperationError(
        f"method='taylor' cannot treat {readable(func)}{place()}: {why}. {advice}"
    )


def dispatch(func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Carries derivatives through one call of a PyTorch function.

    Args:
        func: the function.
        args: its arguments, at least one of which holds a carrier.
        kwargs: likewise.

    Raises:
        UnsupportedOperationError: the call cannot be treated, or not safely.
    """
    if not args and "input" in kwargs:
        kwargs = dict(kwargs)
        args = (kwargs.pop("input"),)
    run = innermost(args, kwargs)
    if run.shared:
        from pinnderiv.derivatives.taylor import aliasing, economy

        if aliasing.changes_first(func) and isinstance(args[0], CARRIER):
            economy.restore_in_place(run, args[0])
        args, kwargs = _with_all_directions(run, args), _with_all_directions(run, kwargs)
    if torch.is_grad_enabled() != run.grad_enabled or _hidden_from_autograd(run):
        raise refuse(
            func,
            "it runs while torch.no_grad (or the forward of an autograd.Function, or a reentrant "
            "checkpoint) has switched gradients off inside f, so that autograd would take its "
            "result for a constant",
            "Use .detach() for parts that are constant, or method='reverse'.",
        )
    rule = rule_of(func)
    if kwargs.get("inplace"):
        from pinnderiv.derivatives.taylor import aliasing

        return aliasing.in_place_variant(func, args, kwargs)
    if rule is None:
        from pinnderiv.derivatives.taylor import aliasing

        found = aliasing.in_place(func, args, kwargs)
        if found is not None:
            return found(run)
        rule = related(func)
    elif "out" in kwargs and kwargs["out"] is not None:
        raise refuse(func, "out= would write derivatives into a plain tensor", "Leave out= away.")
    if run.log is not None:
        kind = "fallback" if rule is None else rule.kind
        run.log.append(Operation(readable(func), kind, user_line()))
    if rule is not None:
        try:
            result = rule.apply(run, *args, **kwargs)
        except Unsuited:
            pass
        else:
            if rule.view:
                from pinnderiv.derivatives.taylor import aliasing

                aliasing.mark_view(result, rule, args, kwargs)
            return result
    from pinnderiv.derivatives.taylor import fallback

    return fallback.apply(run, func, args, kwargs)


def call(func: Callable[..., Any], args: Any, kwargs: Any) -> Any:
    """``func(*args, **kwargs)``, also for methods of torch.Tensor on carriers of outer passes."""
    if any(isinstance(a, CARRIER) for a in args):
        return dispatch(func, tuple(args), kwargs)
    return func(*args, **kwargs)


def rule_of(func: Any) -> Rule | None:
    """The rule that is registered for a function."""
    if getattr(func, "__module__", None) == "torch._tensor":
        return METHODS.get(func.__name__)
    return RULES.get(func)


def related(func: Any) -> Rule | None:
    """The rule of another function of the same meaning: ``torch.ops.aten.sin`` is torch.sin."""
    if isinstance(func, (torch._ops.OpOverload, torch._ops.OpOverloadPacket)):
        namespace, _, name = _qualified_name(func).partition("::")
        for space in (torch, torch._C._nn):
            if namespace == "aten" and getattr(space, name, None) in RULES:
                return RULES[getattr(space, name)]
    return None


def _qualified_name(func: Any) -> str:
    packet = func.overloadpacket if isinstance(func, torch._ops.OpOverload) else func
    return packet._qualified_op_name


def innermost(args: Any, kwargs: Any) -> Run:
    """The pass of highest level among the carriers in the arguments."""
    found = _search(args, None)
    if kwargs:
        found = _search(kwargs.values(), found)
    if found is None:
        raise UnsupportedOperationError(
            "method='taylor' met a carrier where it cannot see it" + place() + ". "
            "Use method='nested' or 'reverse'."
        )
    return found


def _search(items: Any, found: Run | None) -> Run | None:
    for item in items:
        if isinstance(item, CARRIER):
            if (item.run.root or item.run).over and not _in_backward():
                raise _stale()
            if item.origin is not None:
                from pinnderiv.derivatives.taylor import aliasing

                aliasing.refresh(item)
            if found is None or item.run.level > found.level:
                found = item.run
            elif item.run is not found and item.run.level == found.level:
                # Fewer directions meet all of them: `dispatch` turns the fewer back.
                found = found.root or found
        elif isinstance(item, (list, tuple)):
            found = _search(item, found)
    return found


def _hidden_from_autograd(run: Run) -> bool:
    """Where gradients are off anyway: whether an ``autograd.Function`` is running inside f."""
    if run.grad_enabled or torch.compiler.is_compiling():
        return False
    return inside_custom_function()


def _in_backward() -> bool:
    """Whether a backward pass is running, in which torch.utils.checkpoint runs f again."""
    return torch._C._current_graph_task_id() != -1


def _stale() -> UnsupportedOperationError:
    return UnsupportedOperationError(
        "method='taylor' met a carrier that f kept from an earlier call (in an attribute, a cache, "
        f"a default argument){place()}: its derivatives belong to other points. Do not keep what "
        "depends on x, or keep x.detach()."
    )


def _with_all_directions(run: Run, tree: Any) -> Any:
    """The arguments with all carriers of the pass in the directions of ``run``."""
    if isinstance(tree, CARRIER):
        if tree.run is not run and tree.run.root is run:
            from pinnderiv.derivatives.taylor import economy

            return economy.restored(tree)
        return tree
    if isinstance(tree, dict):
        return {k: _with_all_directions(run, v) for k, v in tree.items()}
    if type(tree) in (list, tuple):
        return type(tree)([_with_all_directions(run, item) for item in tree])
    return tree


def active(run: Run, item: Any) -> bool:
    """Whether ``item`` carries derivatives of this pass."""
    return isinstance(item, CARRIER) and item.run is run


def strip(run: Run, tree: Any) -> Any:
    """The arguments with the carriers of this pass replaced by their values."""
    if isinstance(tree, CARRIER):
        return tree.value if tree.run is run else tree
    if isinstance(tree, dict):
        return {k: strip(run, v) for k, v in tree.items()}
    if type(tree) in (list, tuple):
        return type(tree)([strip(run, item) for item in tree])
    return tree
