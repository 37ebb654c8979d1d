"""The table of engines, and the choice among them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from pinnderiv.derivatives import safety
from pinnderiv.derivatives.engine import Engine, Function
from pinnderiv.derivatives.nested import NestedEngine
from pinnderiv.derivatives.reverse import ReverseEngine
from pinnderiv.derivatives.taylor.dispatch import Operation
from pinnderiv.derivatives.taylor.engine import TaylorEngine
from pinnderiv.derivatives.tracing import traced_local
from pinnderiv.derivatives.transforms import (
    can_look_at_numbers,
    examining,
    is_carrier,
    is_examining,
)
from pinnderiv.derivatives.work import Circumstance, Work
from pinnderiv.errors import ArgumentError, UnsupportedOperationError, did_you_mean

ENGINES: dict[str, Engine] = {
    engine.name: engine for engine in (TaylorEngine(), ReverseEngine(), NestedEngine())
}
_STRICT: dict[str, Engine] = {**ENGINES, "taylor": TaylorEngine(strict=True)}
METHODS = ("auto", "nested", "taylor", "reverse")

# A method is compared with one that shares no formula with it and is believed before it.
_WITNESS = {"nested": "reverse", "taylor": "reverse"}
# torch.compile cannot differentiate twice in reverse mode.
_COMPILED = ("taylor", "nested")


@dataclass(frozen=True)
class Candidate:
    """An engine in the choice.

    Attributes:
        method: its name.
        cost: estimated time, in forward and backward passes of f.
        objection: why it would be wrong or cannot run; None where it is right.
    """

    method: str
    cost: float
    objection: str | None


def check_method(method: str) -> None:
    """Refuses a method that is unknown.

    Raises:
        ArgumentError: it is none of `METHODS`.
    """
    if not isinstance(method, str) or method not in METHODS:
        hint = did_you_mean(method, METHODS)
        raise ArgumentError(f"method={method!r} is unknown; choose one of {METHODS}.{hint}")


def candidates(
    f: Function,
    x: Tensor,
    work: Work,
    strict: bool = False,
    possible: tuple[str, ...] | None = None,
) -> Iterator[Candidate]:
    """The engines, cheapest first, each examined for f when it is asked for.

    Args:
        f: the function.
        x: points.
        work: what is asked for.
        strict: no operation of f may be treated generically by Taylor mode.
        possible: the engines that can run; by default those that can where this call stands.
    """
    known = safety.profile(f, x)
    circumstance = circumstance_of(known, x)
    possible = possible or _possible(x)
    if len(possible) > 1:
        share = safety.generic_share(known, f, x, _generic_calls)
        circumstance = replace(circumstance, generic=share)
    costs = {m: work.cost(m, circumstance) for m in possible}
    for method in sorted(costs, key=lambda m: costs[m]):
        objection = _objection(known, f, x, engine_named(method, strict), work.order)
        yield Candidate(method, costs[method], objection)


def _generic_calls(f: Function, x: Tensor) -> int:
    """How many calls of f Taylor mode has no rule for."""
    log: list[Operation] = []
    TaylorEngine(log=log).jacobian(f, x)
    return sum(operation.kind == "fallback" for operation in log)


def circumstance_of(known: safety.Profile, x: Tensor) -> Circumstance:
    """What the cost of a request depends on, besides the request."""
    # Compiled code has no cost of calling; and its number of rows may be a symbol.
    load = known.width * x[..., 0].numel() if can_look_at_numbers() else math.inf
    return Circumstance(known.outputs, load, x.device.type)


def engine_named(method: str, strict: bool) -> Engine:
    """The engine of that name; a strict one treats no operation generically."""
    return (_STRICT if strict else ENGINES)[method]


def _possible(x: Tensor) -> tuple[str, ...]:
    """The engines that can run where this call stands."""
    if is_carrier(x):
        return ("taylor",)
    # The guard may look at numbers while it decides for code that is being compiled.
    return tuple(ENGINES) if can_look_at_numbers() and not is_examining() else _COMPILED


def choose(
    f: Function, x: Tensor, work: Work, method: str, check: bool, strict: bool = False
) -> Engine:
    """The engine that computes ``work`` for f.

    Args:
        f: the function.
        x: points, checked.
        work: what is asked for.
        method: "auto" for the cheapest one that is right, or the name of an engine.
        check: let the guard examine f.
        strict: no operation of f may be treated generically by Taylor mode.

    Raises:
        UnsupportedOperationError: the method named would be wrong, or none is right.
        BatchMixingError, ShapeError, DtypeError: see :func:`safety.profile`.
    """
    if is_carrier(x) and method not in ("auto", "taylor"):
        raise UnsupportedOperationError(
            f"method={method!r} cannot run inside of method='taylor', as here, where a transform "
            "differentiates the result of another one: give both the same method, or the inner "
            "one method='auto'."
        )
    if not check:
        return engine_named("taylor" if method == "auto" else method, strict)
    if can_look_at_numbers():
        return engine_named(_examined(f, x, work, method, strict), strict)
    size = (work.order, work.directions, work.channels, work.pulls)
    found = _examined_while_compiling(
        x.ndim, x.shape[-1], x.dtype, x.device, size, method, strict, _possible(x)
    )
    return engine_named(found, strict)


def _examined_while_compiling(
    ndim: int,
    columns: int,
    dtype: torch.dtype,
    device: torch.device,
    size: tuple[int, int, int, int],
    method: str,
    strict: bool,
    possible: tuple[str, ...],
) -> str:
    """The choice for the ``f`` of :func:`choose` when it is compiled, on points of the guard's."""
    f = traced_local("f")
    lead = (4, *(2,) * (ndim - 2)) if ndim > 1 else ()
    x = torch.linspace(-0.9, 0.7, 4 * 2**ndim * columns, dtype=dtype, device=device)
    x = x[: columns * math.prod(lead)].reshape(*lead, columns)
    with examining():
        return _examined(f, x, Work(*size), method, strict, possible)


# What torch.compiler.assume_constant_result does, which would import the whole compiler.
_examined_while_compiling._dynamo_marked_constant = True  # type: ignore[attr-defined]


def _examined(
    f: Function,
    x: Tensor,
    work: Work,
    method: str,
    strict: bool,
    possible: tuple[str, ...] | None = None,
) -> str:
    if method != "auto":
        _insist(f, x, work, method, strict)
        return method
    objections = []
    for candidate in candidates(f, x, work, strict, possible):
        if candidate.objection is None:
            return candidate.method
        objections.append(f"method={candidate.method!r} {candidate.objection}")
    first = engine_named(candidate.method, strict)
    raise UnsupportedOperationError(
        "no method is right for this function: " + "; ".join(objections) + "."
    ) from safety.failure_of(safety.profile(f, x), f, x, first, work.order)


def _insist(f: Function, x: Tensor, work: Work, method: str, strict: bool) -> None:
    """Raises where the method that was asked for would be wrong for f."""
    known, engine = safety.profile(f, x), engine_named(method, strict)
    objection = _objection(known, f, x, engine, work.order)
    if objection is None:
        return
    working = [c.method for c in candidates(f, x, work, strict) if c.objection is None]
    advice = (
        f"Use method={working[0]!r} or method='auto'" if working else "No other method is right"
    )
    raise UnsupportedOperationError(
        f"method={method!r} {objection}. {advice}."
    ) from safety.failure_of(known, f, x, engine, work.order)


def _objection(
    known: safety.Profile, f: Function, x: Tensor, engine: Engine, order: int
) -> str | None:
    witness = ENGINES.get(_WITNESS.get(engine.name, ""))
    return safety.verdict(known, f, x, engine, order, witness)


def hvp_of(engine: Engine, f: Function, x: Tensor, guarded: bool) -> Any:
    """How ``engine`` multiplies the Hessian of f by a vector.

    Forward over reverse uses forward formulas: where the guard finds one wrong, reverse
    mode twice takes its place.
    """
    if isinstance(engine, ReverseEngine) and guarded:
        known = safety.profile(f, x)
        if not safety.forward_over_reverse_is_right(known, f, x, engine):
            return engine.hvp_by_reverse_twice
    return engine.hvp
