"""Which engine "auto" takes, and why."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from pinnderiv.derivatives import engines, safety
from pinnderiv.derivatives.engine import Function
from pinnderiv.derivatives.engines import Candidate
from pinnderiv.derivatives.evaluate import points
from pinnderiv.derivatives.partials import squares
from pinnderiv.derivatives.request import normalise_dims, parse_names
from pinnderiv.derivatives.taylor.dispatch import Operation
from pinnderiv.derivatives.taylor.engine import TaylorEngine
from pinnderiv.derivatives.transforms import outside_inference_mode
from pinnderiv.derivatives.work import Work
from pinnderiv.errors import ArgumentError, UnsupportedOperationError

_SIMPLE = {
    "jacobian": Work.gradient,
    "divergence": Work.gradient,
    "hessian": Work.full,
    "second_derivatives": Work.diagonal,
    "laplacian": Work.collapsed,
    "second_order_operator": Work.collapsed,
    "linear_operator": Work.collapsed,
    "hvp": Work.product,
    "biharmonic": lambda columns: Work.partials(squares(range(columns))),
}


@dataclass(frozen=True)
class Explanation:
    """The choice of an engine; print it to read it.

    Attributes:
        operator: what was asked for.
        method: the engine that "auto" takes.
        reason: why, in a sentence.
        candidates: every engine, with its estimated cost and what is wrong with it, if anything.
        operations: what f runs: operation → the module that ran it first.
        rules: what Taylor mode makes of each PyTorch call of f: its rule's kind, or "fallback";
            empty where Taylor mode cannot follow f.
        channels: how many tangents and curvature channels Taylor mode carries.
    """

    operator: str
    method: str
    reason: str
    candidates: tuple[Candidate, ...]
    operations: dict[str, str]
    rules: tuple[Operation, ...] = ()
    channels: int = 0

    @property
    def fallbacks(self) -> tuple[Operation, ...]:
        """The calls that Taylor mode has no rule for and treats generically."""
        return tuple(o for o in self.rules if o.kind == "fallback")

    def __str__(self) -> str:
        lines = [f"{self.operator}: auto takes {self.method!r}, {self.reason}"]
        for c in self.candidates:
            state = "right" if c.objection is None else c.objection
            lines.append(
                f"  {c.method:8} about {c.cost:.3g} forward and backward passes of f; {state}"
            )
        lines.append(f"  f runs {', '.join(self.operations) or 'no operation'}")
        if self.rules:
            ruled = [f"{o.name} ({o.kind})" for o in self.rules if o.kind != "fallback"]
            lines.append(f"  taylor has rules for {', '.join(dict.fromkeys(ruled)) or 'nothing'}")
        for o in self.fallbacks:
            # A first directional derivative is two evaluations, one of second order four.
            lines.append(
                f"  taylor has no rule for {o.name} ({o.line}): treated generically, about "
                f"{6 * self.channels} evaluations of it where a rule takes {self.channels + 1}; "
                "strict=True refuses that"
            )
        return "\n".join(lines)

    __repr__ = __str__


@outside_inference_mode
def explain(f: Function, x: Tensor, operator: str = "laplacian", **arguments: Any) -> Explanation:
    """Which engine ``method="auto"`` takes for this f and x, and why.

    Args:
        f: the function.
        x: points ``(*batch, D)``.
        operator: the name of a transform, such as "laplacian".
        **arguments: what the transform would be given besides and that changes the work:
            ``dims`` for laplacian, partial and biharmonic; ``request``, ``coordinates`` and
            ``outputs`` for derivatives.

    Returns:
        An :class:`Explanation`, which prints readably.

    Raises:
        ArgumentError: an unknown operator.
        UnsupportedOperationError: no engine is right for f; the message says why each is not.
        PinnderivError: f or x is refused, as by the transform itself.
    """
    x = points(x, True)
    work = _work(operator, x.shape[-1], arguments)
    found = tuple(engines.candidates(f, x, work))
    right = [c for c in found if c.objection is None]
    if not right:
        raise UnsupportedOperationError(
            f"no method is right for {operator} of this function: "
            + "; ".join(f"method={c.method!r} {c.objection}" for c in found)
            + "."
        )
    chosen = right[0]
    cheaper = [c for c in found if c.objection is not None and c.cost < chosen.cost]
    reason = "the cheapest by estimate."
    if cheaper:
        reason = f"because {cheaper[0].method!r}, though cheaper, {cheaper[0].objection}."
    elif len(right) == 1 and len(found) > 1:
        reason = "the only one that is right for this function."
    operations = safety.profile(f, x).operations
    return Explanation(
        operator, chosen.method, reason, found, dict(operations), _rules(f, x), work.channels
    )


def _rules(f: Function, x: Tensor) -> tuple[Operation, ...]:
    """What Taylor mode does with each operation of f, found on the guard's own few rows."""
    try:
        with torch.no_grad():
            return tuple(TaylorEngine().operations(f, safety.profile(f, x).probe.points.clone()))
    except UnsupportedOperationError:
        return ()


def _work(operator: str, columns: int, arguments: dict[str, Any]) -> Work:
    dims: Sequence[int] | None = arguments.get("dims")
    if operator == "partial":
        index = normalise_dims(() if dims is None else dims, columns, repeat=True)
        return Work.partials((index,))
    if operator == "derivatives":
        try:
            request, coordinates = arguments["request"], arguments["coordinates"]
        except KeyError as missing:
            raise ArgumentError(
                f"explain(f, x, 'derivatives') needs {missing.args[0]}=..., as derivatives does."
            ) from None
        named = parse_names(request, coordinates, arguments.get("outputs", ("u",)))
        return Work.partials(tuple({index for _, index in named.values()}))
    if operator in _SIMPLE:
        return _SIMPLE[operator](columns if dims is None else len(normalise_dims(dims, columns)))
    names = (*_SIMPLE, "partial", "derivatives")
    close = difflib.get_close_matches(str(operator), names, n=1)
    hint = f" Did you mean {close[0]!r}?" if close else ""
    raise ArgumentError(f"operator={operator!r} is unknown; choose one of {names}.{hint}")
