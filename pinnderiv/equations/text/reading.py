"""From a syntax tree to what it means: expressions in coordinates, unknowns and parameters."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from pinnderiv.equations.text import parser
from pinnderiv.equations.text.calculus import differentiate
from pinnderiv.equations.text.expression import (
    Expression,
    Number,
    Vector,
    add,
    combine,
    function,
    multiply,
    power,
    scale,
)
from pinnderiv.equations.text.functions import ALIASES, FUNCTIONS
from pinnderiv.equations.text.scope import Meaning, Scope
from pinnderiv.equations.text.tokens import TextError, did_you_mean, error_at
from pinnderiv.errors import ArgumentError


def read_equation(text: str, scope: Scope) -> Expression:
    """The residual that a text says: left minus right, where it has an "=".

    Raises:
        ArgumentError: the text cannot be read; says where.
    """
    left, right = parser.parse(text)
    reader = _Reader(text, scope)
    result = reader.scalar(left)
    return result if right is None else combine([(result, 1.0), (reader.scalar(right), -1.0)])


def read(text: str, scope: Scope) -> Meaning:
    """What a text without "=" means.

    Raises:
        ArgumentError: the text cannot be read; says where.
    """
    return _Reader(text, scope).visit(parser.parse_expression(text))


def read_scalar(text: str, scope: Scope) -> Expression:
    """What a text without "=" means, which must be no vector.

    Raises:
        ArgumentError: the text cannot be read, or is a vector; says where.
    """
    return _Reader(text, scope).scalar(parser.parse_expression(text))


class _Reader:
    def __init__(self, text: str, scope: Scope) -> None:
        self.text, self.scope = text, scope

    def error(self, node: parser.Syntax, problem: str, advice: str = "") -> ArgumentError:
        return error_at(self.text, node.position, problem, advice)

    def scalar(self, node: parser.Syntax, where: str = "") -> Expression:
        found = self.visit(node)
        if isinstance(found, Vector):
            raise self.error(
                node,
                f"a vector stands{where or ' as a whole equation'}, where a number must",
                "Use dot(a, b), div(...) or one equation for each component.",
            )
        return found

    def vector(self, node: parser.Syntax, where: str) -> Vector:
        found = self.visit(node)
        if not isinstance(found, Vector):
            raise self.error(node, f"{where} takes a vector, such as grad(u) or [u, v]")
        return found

    def visit(self, node: parser.Syntax) -> Meaning:
        try:
            return self._visit(node)
        except TextError:
            raise
        except ArgumentError as error:
            # what algebra refuses, such as 1/0, gets its place in the text
            raise self.error(node, str(error).rstrip(".")) from error

    def _visit(self, node: parser.Syntax) -> Meaning:
        match node:
            case parser.Literal():
                return Number(node.value)
            case parser.Name():
                return self._name(node)
            case parser.Negative():
                return _each(self.visit(node.operand), lambda part: scale(part, -1.0))
            case parser.Power():
                base = self.scalar(node.base, " before **")
                return power(base, self.scalar(node.exponent, " after **"))
            case parser.Listing():
                return Vector(tuple(self.scalar(item, " within a vector") for item in node.items))
            case parser.Chain():
                return self._chain(node)
            case parser.Call():
                return self._call(node)
        raise self.error(node, "this cannot be read")

    def _name(self, node: parser.Name) -> Meaning:
        found = self.scope.meaning(node.name)
        if found is not None:
            return found
        if node.name in FUNCTIONS or node.name in ALIASES or node.name in self._calls:
            raise self.error(node, f"{node.name!r} is a function: write {node.name}(...)")
        known = self.scope.names()
        shown = [*self.scope.outputs, *self.scope.values, *self.scope.coordinates]
        hint = did_you_mean(node.name, known)
        advice = f"{hint} Known: {', '.join(shown[:20])} and derivatives, pi, e.".strip()
        raise self.error(node, f"unknown name {node.name!r}", advice)

    def _chain(self, node: parser.Chain) -> Meaning:
        if node.rest[0][0] in "+-":
            parts = [(self.visit(node.first), 1.0)]
            for sign, _, operand in node.rest:
                parts.append((self.visit(operand), 1.0 if sign == "+" else -1.0))
            return self._sum(node, parts)
        result = self.visit(node.first)
        for sign, position, operand in node.rest:
            right = self.visit(operand)
            place = parser.Syntax(position)
            if isinstance(result, Vector) and isinstance(right, Vector):
                if sign != "·":
                    advice = "For the scalar product write dot(a, b) or a·b."
                    raise self.error(place, f"two vectors cannot be joined by {sign!r}", advice)
                result = self._dot(place, result, right)
            elif sign == "/":
                if isinstance(right, Vector):
                    raise self.error(place, "nothing can be divided by a vector")
                if right == Number(0):
                    raise self.error(place, "this divides by zero")
                inverse = power(right, Number(-1))
                result = _each(result, _times(inverse))
            elif isinstance(right, Vector) and isinstance(result, Expression):
                result = _each(right, _times(result))
            elif isinstance(right, Expression):
                result = _each(result, _times(right))
        return result

    def _sum(self, node: parser.Syntax, parts: list[tuple[Meaning, float]]) -> Meaning:
        vectors = [part for part, _ in parts if isinstance(part, Vector)]
        if not vectors:
            return combine((p, factor) for p, factor in parts if isinstance(p, Expression))
        sizes = {len(vector.components) for vector in vectors}
        if len(vectors) < len(parts) or len(sizes) > 1:
            raise self.error(node, "a vector can be added to a vector of the same length only")
        return Vector(
            tuple(
                combine((p.components[n], f) for p, f in parts if isinstance(p, Vector))
                for n in range(sizes.pop())
            )
        )

    def _dot(self, node: parser.Syntax, a: Vector, b: Vector) -> Expression:
        if len(a.components) != len(b.components):
            raise self.error(
                node, f"vectors of {len(a.components)} and {len(b.components)} components"
            )
        return add(multiply(pair) for pair in zip(a.components, b.components, strict=True))

    def _call(self, node: parser.Call) -> Meaning:
        if node.name in self._calls:
            return self._calls[node.name](self, node)
        name = ALIASES.get(node.name, node.name)
        known = FUNCTIONS.get(name)
        if known is None:
            if self.scope.meaning(node.name) is not None:
                advice = f"Write {node.name} alone, or {node.name}*(...) for a product."
                raise self.error(node, f"{node.name!r} is not a function of the language", advice)
            hint = did_you_mean(node.name, [*FUNCTIONS, *ALIASES, *self._calls])
            names = ", ".join([*self._calls, *FUNCTIONS])
            raise self.error(node, f"unknown function {node.name!r}", f"{hint} Known: {names}.")
        self._arity(node, known.arity, known.arity)
        where = f" as argument of {node.name}"
        return function(name, tuple(self.scalar(a, where) for a in node.arguments))

    def _arity(self, node: parser.Call, least: int, most: int | None) -> None:
        count = len(node.arguments)
        if count < least or (most is not None and count > most):
            wanted = f"{least}" if least == most else f"at least {least}"
            raise self.error(node, f"{node.name} takes {wanted} argument(s), not {count}")

    def _derivative(self, node: parser.Call) -> Meaning:
        self._arity(node, 2, None)
        result = self.visit(node.arguments[0])
        for argument in node.arguments[1:]:
            name = argument.name if isinstance(argument, parser.Name) else None
            column = None if name is None else self.scope.column(name)
            if column is None:
                names = ", ".join(self.scope.coordinates)
                raise self.error(
                    argument,
                    f"{node.name} differentiates by coordinates only ({names})",
                    "Name one for each differentiation: d(u, x, x).",
                )
            result = _each(result, _by(column))
        return result

    def _space(self, node: parser.Call) -> tuple[int, ...]:
        if not self.scope.space:
            raise self.error(node, f"{node.name} needs coordinates of space, and there is only t")
        return self.scope.space

    def _grad(self, node: parser.Call) -> Meaning:
        self._arity(node, 1, 1)
        inner = self.scalar(node.arguments[0], " as argument of grad")
        return Vector(tuple(differentiate(inner, c) for c in self._space(node)))

    def _div(self, node: parser.Call) -> Meaning:
        self._arity(node, 1, None)
        if len(node.arguments) > 1:
            parts = tuple(self.scalar(a, " as argument of div") for a in node.arguments)
        else:
            parts = self.vector(node.arguments[0], "div").components
        space = self._space(node)
        if len(parts) != len(space):
            names = ", ".join(self.scope.coordinates[c] for c in space)
            raise self.error(
                node, f"div takes one component for each of ({names}), not {len(parts)}"
            )
        return add(differentiate(p, c) for p, c in zip(parts, space, strict=True))

    def _dot_call(self, node: parser.Call) -> Meaning:
        self._arity(node, 2, 2)
        a, b = (self.vector(argument, "dot") for argument in node.arguments)
        return self._dot(node, a, b)

    def _laplacian(self, node: parser.Call) -> Meaning:
        self._arity(node, 1, 1)
        space = self._space(node)
        return _each(self.visit(node.arguments[0]), lambda part: _laplacian(part, space))

    def _biharmonic(self, node: parser.Call) -> Meaning:
        self._arity(node, 1, 1)
        space = self._space(node)
        inner = self.visit(node.arguments[0])
        return _each(inner, lambda part: _laplacian(_laplacian(part, space), space))

    _calls: dict[str, Callable[[_Reader, parser.Call], Meaning]] = {  # noqa: RUF012
        "d": _derivative,
        "grad": _grad,
        "div": _div,
        "dot": _dot_call,
        "laplacian": _laplacian,
        "laplace": _laplacian,
        "biharmonic": _biharmonic,
    }


def _laplacian(part: Expression, space: Sequence[int]) -> Expression:
    return add(differentiate(differentiate(part, c), c) for c in space)


def _times(factor: Expression) -> Callable[[Expression], Expression]:
    return lambda part: multiply([part, factor])


def _by(column: int) -> Callable[[Expression], Expression]:
    return lambda part: differentiate(part, column)


def _each(meaning: Meaning, change: Callable[[Expression], Expression]) -> Meaning:
    """``change`` of a number, or of each component of a vector."""
    if isinstance(meaning, Vector):
        return Vector(tuple(change(part) for part in meaning.components))
    return change(meaning)
