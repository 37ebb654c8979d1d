"""What is done with expressions: differentiation, substitution, parts linear in unknowns."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

from pinnderiv.equations.text.expression import (
    ONE,
    ZERO,
    Atom,
    Expression,
    Function,
    Number,
    Product,
    Sum,
    add,
    combine,
    function,
    multiply,
    power,
    scale,
    walk,
)
from pinnderiv.errors import ArgumentError

LARGEST = 20_000
"""Nodes of an expression that has been differentiated."""
HIGHEST = 8
"""Order of a derivative of an unknown."""


def differentiate(expression: Expression, column: int) -> Expression:
    """∂/∂x_column, with the unknowns and coefficients as functions of the coordinates.

    Coordinates are atoms with the column as their index.

    Raises:
        ArgumentError: the result is too large, or of too high an order.
    """
    known: dict[Expression, Expression] = {}
    for node in walk(expression):
        known[node] = _derivative(node, column, known)
    result = known[expression]
    if sum(1 + len(node.children) for node in walk(result)) > LARGEST:
        raise ArgumentError(
            f"a derivative in the expression has more than {LARGEST} terms: simplify it."
        )
    return result


def _derivative(node: Expression, column: int, known: dict[Expression, Expression]) -> Expression:
    if isinstance(node, Atom):
        if node.kind == "coordinate":
            return ONE if node.index == (column,) else ZERO
        if node.kind == "parameter":
            return ZERO
        if len(node.index) >= HIGHEST:
            raise ArgumentError(
                f"a derivative of {node.name!r} of order {HIGHEST + 1} is out of reach "
                f"(at most {HIGHEST})."
            )
        return Atom(node.kind, node.name, (*node.index, column))
    if isinstance(node, Sum):
        return combine((known[term], factor) for term, factor in node.terms)
    if isinstance(node, Product):
        parts = []
        for base, exponent in node.powers:
            if known[base] == ZERO:
                continue
            others = [power(b, Number(e)) for b, e in node.powers if b is not base]
            lowered = power(base, Number(exponent - 1))
            parts.append((multiply([lowered, *others, known[base]]), exponent))
        return combine(parts)
    if isinstance(node, Function):
        slopes = [known[argument] for argument in node.arguments]
        if all(slope == ZERO for slope in slopes):
            return ZERO
        return add(
            multiply([partial, slope])
            for partial, slope in zip(_partials(node), slopes, strict=True)
            if slope != ZERO
        )
    return ZERO


def _partials(node: Function) -> list[Expression]:
    """The derivatives of an elementary function by each of its arguments."""
    x, *others = node.arguments
    square = power(x, Number(2))
    less = combine([(ONE, 1.0), (square, -1.0)])  # 1 − x²
    half = Number(-0.5)
    match node.name:
        case "sin":
            return [function("cos", (x,))]
        case "cos":
            return [scale(function("sin", (x,)), -1.0)]
        case "tan":
            return [add([ONE, power(node, Number(2))])]
        case "asin":
            return [power(less, half)]
        case "acos":
            return [scale(power(less, half), -1.0)]
        case "atan":
            return [power(add([ONE, square]), Number(-1))]
        case "sinh":
            return [function("cosh", (x,))]
        case "cosh":
            return [function("sinh", (x,))]
        case "tanh":
            return [combine([(ONE, 1.0), (power(node, Number(2)), -1.0)])]
        case "exp":
            return [node]
        case "log":
            return [power(x, Number(-1))]
        case "erf":
            return [scale(function("exp", (scale(square, -1.0),)), 2 / math.sqrt(math.pi))]
        case "abs":
            return [function("sign", (x,))]
        case "sign" | "heaviside":
            return [ZERO]
    (y,) = others
    match node.name:
        case "min":
            return [_step(y, x), _step(x, y)]
        case "max":
            return [_step(x, y), _step(y, x)]
        case "atan2":
            length = power(add([square, power(y, Number(2))]), Number(-1))
            return [multiply([y, length]), scale(multiply([x, length]), -1.0)]
    # x ** y
    by_base = multiply([y, power(x, combine([(y, 1.0), (ONE, -1.0)]))])
    if isinstance(x, Number) and x.value <= 0:
        raise ArgumentError(f"the derivative of {x.value:g}**(...) is not real.")
    return [by_base, multiply([node, function("log", (x,))])]


def _step(a: Expression, b: Expression) -> Expression:
    """1 where a > b, 0 where a < b."""
    return function("heaviside", (combine([(a, 1.0), (b, -1.0)]),))


def replace(expression: Expression, swap: Callable[[Atom], Expression]) -> Expression:
    """The expression with other expressions in place of its atoms."""
    made: dict[Expression, Expression] = {}
    for node in walk(expression):
        if isinstance(node, Atom):
            made[node] = swap(node)
        elif isinstance(node, Sum):
            parts = [(made[term], factor) for term, factor in node.terms]
            made[node] = combine([*parts, (ONE, node.constant)])
        elif isinstance(node, Product):
            made[node] = multiply(power(made[b], Number(e)) for b, e in node.powers)
        elif isinstance(node, Function):
            made[node] = function(node.name, tuple(made[a] for a in node.arguments))
        else:
            made[node] = node
    return made[expression]


@dataclass
class Affine:
    """Σ_a coefficients[a] · a + free + other.

    Attributes:
        coefficients: of each unknown; free of unknowns.
        free: the part without unknowns.
        other: the part that is not affine in the unknowns.
    """

    coefficients: dict[Atom, Expression] = field(default_factory=dict)
    free: Expression = ZERO
    other: Expression = ZERO


def affine(expression: Expression, unknown: Callable[[Atom], bool]) -> Affine:
    """The expression by its dependence on those atoms that are ``unknown``."""
    holds: dict[Expression, bool] = {}
    for node in walk(expression):
        if isinstance(node, Atom):
            holds[node] = unknown(node)
        else:
            holds[node] = any(holds[child] for child in node.children)
    parts: list[tuple[Atom, Expression]] = []
    free: list[Expression] = []
    other: list[Expression] = []

    def visit(node: Expression, factors: list[Expression]) -> None:
        if not holds[node]:
            free.append(multiply([*factors, node]))
        elif isinstance(node, Atom):
            parts.append((node, multiply(factors)))
        elif isinstance(node, Sum):
            for term, number in node.terms:
                visit(term, [*factors, Number(number)])
            if node.constant:
                free.append(multiply([*factors, Number(node.constant)]))
        elif isinstance(node, Product):
            inside = [(base, exponent) for base, exponent in node.powers if holds[base]]
            if len(inside) == 1 and inside[0][1] == 1.0:
                outside = [power(b, Number(e)) for b, e in node.powers if not holds[b]]
                visit(inside[0][0], [*factors, *outside])
            else:
                other.append(multiply([*factors, node]))
        else:
            other.append(multiply([*factors, node]))

    visit(expression, [])
    collected: dict[Atom, list[Expression]] = {}
    for atom, coefficient in parts:
        collected.setdefault(atom, []).append(coefficient)
    sums = {atom: add(each) for atom, each in collected.items()}
    return Affine({a: c for a, c in sums.items() if c != ZERO}, add(free), add(other))
