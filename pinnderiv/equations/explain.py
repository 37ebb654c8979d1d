"""A plan in words: operators, derivatives, channels."""

from __future__ import annotations

from collections.abc import Sequence

from pinnderiv.equations.plan import Channel, Plan
from pinnderiv.equations.text.expression import (
    ZERO,
    Atom,
    Expression,
    Function,
    Index,
    Number,
    Product,
    Sum,
)


class Explanation(str):
    """A text whose representation is itself, so that a prompt shows it as it reads."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


def explained(
    plan: Plan, coordinates: Sequence[str], outputs: Sequence[str], names: Sequence[str]
) -> Explanation:
    """The plan, line by line."""
    lines = []
    if plan.channel is not None:
        what = "the whole linear part" if plan.whole else "all second derivatives"
        lines.append(
            f"one collapsed operator, L = {_operator(plan.channel, coordinates)}: {what}, one "
            "curvature channel"
        )
    if plan.squared:
        inner = " ".join(f"{w:+g} d_{coordinates[c] * 2}" for c, w in plan.squared.items())
        lines.append(f"one operator of fourth order, B = ({inner})², as one operator of another")
    wanted = [_subscript("u", index, coordinates) for index in plan.indices if index]
    if wanted:
        passes = "from the same pass" if plan.channel else "from one shared pass"
        of = "" if len(outputs) == 1 and outputs[0] == "u" else f" of {', '.join(outputs)}"
        lines.append(f"derivatives {passes}{of}: {', '.join(wanted)}")
    lines.append(f"channels beside the value: {plan.channels}")
    shown = [
        f"{name}: {written(residual, coordinates)}"
        for name, residual in zip(names, plan.residuals, strict=True)
    ]
    return Explanation("\n".join([*shown, *("  " + line for line in lines)]))


def _operator(channel: Channel, coordinates: Sequence[str]) -> str:
    terms: list[tuple[Index, Expression]] = [
        ((column, column), c) for column, c in channel.second.items()
    ]
    terms += list(channel.mixed.items())
    terms += [((column,), c) for column, c in channel.first.items()]
    terms += [((), channel.zeroth)] if channel.zeroth != ZERO else []
    parts: list[str] = []
    for index, coefficient in terms:
        symbol = _subscript("d", index, coordinates) if index else "1"
        parts.append(f"({written(coefficient, coordinates)}) {symbol}")
    return " + ".join(parts).replace("(1) ", "").replace("+ (-1) ", "- ")


def _subscript(name: str, index: Index, coordinates: Sequence[str]) -> str:
    return name + ("_" + "".join(coordinates[c] for c in index) if index else "")


LONGEST = 400
"""Characters that an expression is shown with."""


def written(expression: Expression, coordinates: Sequence[str]) -> str:
    """An expression as text."""
    shown = _written(expression, coordinates, LONGEST)
    return shown if len(shown) <= LONGEST else shown[: LONGEST - 1] + "…"


def _written(node: Expression, coordinates: Sequence[str], budget: int) -> str:
    if budget <= 0:
        return "…"
    match node:
        case Number():
            return f"{node.value:.6g}"
        case Atom(kind="operator"):
            return f"L[{node.name}]"
        case Atom(kind="squared"):
            return f"B[{node.name}]"
        case Atom(kind="coordinate"):
            return node.name
        case Atom():
            return _subscript(node.name, node.index, coordinates)
        case Function():
            inner = ", ".join(_written(a, coordinates, budget // 2) for a in node.arguments)
            return f"{node.name}({inner})"
        case Product():
            return "*".join(
                _factor(base, exponent, coordinates, budget // 2) for base, exponent in node.powers
            )
        case Sum():
            return _sum(node, coordinates, budget)
    return "?"


def _factor(base: Expression, exponent: float, coordinates: Sequence[str], budget: int) -> str:
    inner = _written(base, coordinates, budget)
    if isinstance(base, Sum) or (isinstance(base, Product) and exponent != 1):
        inner = f"({inner})"
    return inner if exponent == 1 else f"{inner}**{exponent:g}"


def _sum(node: Sum, coordinates: Sequence[str], budget: int) -> str:
    parts: list[str] = []
    for term, factor in node.terms:
        size = "" if abs(factor) == 1 else f"{abs(factor):.6g}*"
        inner = _written(term, coordinates, budget - sum(map(len, parts)))
        parts.append(f"{'-' if factor < 0 else '+'} {size}{inner}")
    if node.constant:
        parts.append(f"{'-' if node.constant < 0 else '+'} {abs(node.constant):.6g}")
    text = " ".join(parts)
    return text[2:] if text.startswith("+ ") else "-" + text[2:]
