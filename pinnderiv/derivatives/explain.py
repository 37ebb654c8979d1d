"""Which engine "auto" takes, and why."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from pinnderiv.derivatives import engines, operators, partials, safety
from pinnderiv.derivatives.engine import Function
from pinnderiv.derivatives.engines import Candidate
from pinnderiv.derivatives.evaluate import points
from pinnderiv.derivatives.linear import LinearParts
from pinnderiv.derivatives.operators import Transform
from pinnderiv.derivatives.partials import squares
from pinnderiv.derivatives.request import normalise_dims, parse_names
from pinnderiv.derivatives.taylor.dispatch import Operation
from pinnderiv.derivatives.taylor.engine import TaylorEngine
from pinnderiv.derivatives.transforms import outside_inference_mode
from pinnderiv.derivatives.work import Work
from pinnderiv.errors import ArgumentError, DtypeError, UnsupportedOperationError, did_you_mean

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

_ARGUMENTS = {
    "laplacian": ("dims", "weights"),
    "biharmonic": ("dims",),
    "partial": ("dims",),
    "derivatives": ("request", "coordinates", "outputs"),
    "second_order_operator": ("matrix",),
    "linear_operator": ("second", "matrix", "first", "zeroth"),
}
"""What changes the work of a transform."""


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
        note: what to know of f besides, or "".
    """

    operator: str
    method: str
    reason: str
    candidates: tuple[Candidate, ...]
    operations: dict[str, str]
    rules: tuple[Operation, ...] = ()
    channels: int = 0
    note: str = ""

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
        if self.note:
            lines.append(f"  {self.note}")
        return "\n".join(lines)

    __repr__ = __str__


@outside_inference_mode
def explain(
    f: Function, x: Tensor, operator: str | Transform = "laplacian", **arguments: Any
) -> Explanation:
    """Which engine ``method="auto"`` takes for this f and x, and why.

    Args:
        f: the function.
        x: points ``(*batch, D)``.
        operator: a transform, or its name, such as "laplacian".
        **arguments: what the transform would be given besides and that changes the work:
            ``dims`` for laplacian, partial and biharmonic; ``weights`` for laplacian; ``request``,
            ``coordinates`` and ``outputs`` for derivatives; ``matrix`` for
            second_order_operator; that, ``second``, ``first`` and ``zeroth`` for
            linear_operator.

    Returns:
        An :class:`Explanation`, which prints readably.

    Raises:
        ArgumentError: an unknown operator, or an argument that it does not have.
        UnsupportedOperationError: no engine is right for f; the message says why each is not.
        PinnderivError: f or x is refused, as by the transform itself.
    """
    if not callable(f):
        swapped = " You gave them in the other order." if callable(x) else ""
        raise DtypeError(
            f"f must be a function or a torch.nn.Module, got {type(f).__name__}: f comes first, "
            f"explain(f, x, 'laplacian').{swapped}"
        )
    x = points(x, True)
    name: str = _name(operator)
    work = _work(name, x, arguments)
    found = tuple(engines.candidates(f, x, work))
    right = [c for c in found if c.objection is None]
    if not right:
        raise UnsupportedOperationError(
            f"no method is right for {name} of this function: "
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
    known = safety.profile(f, x)
    note = known.flatness if work.order > 1 else ""
    return Explanation(
        name,
        chosen.method,
        reason,
        found,
        dict(known.operations),
        _rules(f, x),
        work.channels,
        note,
    )


def _rules(f: Function, x: Tensor) -> tuple[Operation, ...]:
    """What Taylor mode does with each operation of f, found on the guard's own few rows."""
    try:
        with torch.no_grad():
            return tuple(TaylorEngine().operations(f, safety.profile(f, x).probe.points.clone()))
    except UnsupportedOperationError:
        return ()


def _work(operator: str, x: Tensor, arguments: dict[str, Any]) -> Work:
    names = (*_SIMPLE, "partial", "derivatives")
    if operator not in names:
        raise ArgumentError(
            f"operator={operator!r} is unknown; choose one of {names}."
            f"{did_you_mean(operator, names)}"
        )
    taken = _ARGUMENTS.get(operator, ())
    for name in arguments:
        if name not in taken:
            raise ArgumentError(
                f"explain got {name!r}, but of the arguments of {operator} only "
                f"{taken or 'none'} change its work.{did_you_mean(name, taken)}"
            )
    columns, dims = x.shape[-1], arguments.get("dims")
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
    if operator == "laplacian":
        chosen = normalise_dims(dims, columns)
        return LinearParts.weighted(chosen, arguments.get("weights"), x, True).work
    given = [arguments.get(name) for name in ("second", "matrix", "first", "zeroth")]
    if any(part is not None for part in given):
        second, matrix, first, zeroth = given
        return LinearParts.general(second, matrix, first, zeroth, x, True).work
    return _SIMPLE[operator](columns if dims is None else len(normalise_dims(dims, columns)))


def _name(operator: Any) -> Any:
    """The name of a transform that is given itself."""
    home = getattr(operator, "__module__", None)
    return operator.__name__ if home in (operators.__name__, partials.__name__) else operator
