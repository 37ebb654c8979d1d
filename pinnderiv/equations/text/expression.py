"""Expressions: a small algebra with one form for each sum and product.

Numbers are folded, like terms and powers of one base are collected, and zero and one vanish, as
the nodes are built. Nothing is expanded, so an expression is computed much as it was written.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from pinnderiv.equations.text.functions import FUNCTIONS
from pinnderiv.errors import ArgumentError

Index = tuple[int, ...]
"""Columns to differentiate by, sorted."""


class Expression:
    """A node; immutable, equal to every other node of the same form."""

    __slots__ = ("_hash", "form")
    form: tuple[object, ...]

    def _seal(self, *form: object) -> None:
        self.form = form
        self._hash = hash((type(self).__name__, form))

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        return (
            isinstance(other, Expression)
            and type(other) is type(self)
            and self._hash == other._hash
            and self.form == other.form
        )

    @property
    def children(self) -> tuple[Expression, ...]:
        """The expressions that this one is made of."""
        return ()

    def _made_of(self) -> tuple[object, ...]:
        """The arguments that make this node."""
        raise NotImplementedError

    def __reduce__(self) -> tuple[object, ...]:
        # Hashes of text differ from process to process: a copy works them out anew.
        return type(self), self._made_of()

    def __deepcopy__(self, memo: object) -> Expression:
        return self


class Number(Expression):
    """A number."""

    __slots__ = ("value",)

    def __init__(self, value: float) -> None:
        self.value = float(value)
        if not math.isfinite(self.value):
            raise ArgumentError(f"the expression holds a number that is not finite ({value}).")
        self._seal(self.value)

    def _made_of(self) -> tuple[object, ...]:
        return (self.value,)


class Atom(Expression):
    """What has a value from outside.

    Attributes:
        kind: "coordinate", "output" (an unknown or a derivative of it), "parameter" (one
            number, perhaps a trained one), "coefficient" (a function of the coordinates, or a
            derivative of it) or "operator" (a collapsed operator of an unknown).
        name: of the coordinate, output, parameter or coefficient.
        index: columns that an output or a coefficient is differentiated by.
    """

    __slots__ = ("index", "kind", "name")

    def __init__(self, kind: str, name: str, index: Index = ()) -> None:
        self.kind, self.name, self.index = kind, name, tuple(sorted(index))
        self._seal(kind, name, self.index)

    def _made_of(self) -> tuple[object, ...]:
        return self.kind, self.name, self.index


class Sum(Expression):
    """constant + Σ factor · term."""

    __slots__ = ("constant", "terms")

    def __init__(self, terms: dict[Expression, float], constant: float) -> None:
        self.terms = tuple(terms.items())
        self.constant = constant
        self._seal(frozenset(self.terms), constant)

    def _made_of(self) -> tuple[object, ...]:
        return dict(self.terms), self.constant

    @property
    def children(self) -> tuple[Expression, ...]:
        return tuple(term for term, _ in self.terms)


class Product(Expression):
    """Π base^exponent; numbers stand in the Sum around it."""

    __slots__ = ("powers",)

    def __init__(self, powers: dict[Expression, float]) -> None:
        self.powers = tuple(powers.items())
        self._seal(frozenset(self.powers))

    def _made_of(self) -> tuple[object, ...]:
        return (dict(self.powers),)

    @property
    def children(self) -> tuple[Expression, ...]:
        return tuple(base for base, _ in self.powers)


class Function(Expression):
    """An elementary function of its arguments."""

    __slots__ = ("arguments", "name")

    def __init__(self, name: str, arguments: tuple[Expression, ...]) -> None:
        self.name, self.arguments = name, arguments
        self._seal(name, arguments)

    def _made_of(self) -> tuple[object, ...]:
        return self.name, self.arguments

    @property
    def children(self) -> tuple[Expression, ...]:
        return self.arguments


ZERO, ONE = Number(0.0), Number(1.0)


def split(expression: Expression) -> tuple[float, Expression]:
    """An expression as a number times another one."""
    if isinstance(expression, Number):
        return expression.value, ONE
    if isinstance(expression, Sum) and len(expression.terms) == 1 and not expression.constant:
        ((term, factor),) = expression.terms
        return factor, term
    return 1.0, expression


def add(parts: Iterable[Expression]) -> Expression:
    """The sum of the parts."""
    return combine((part, 1.0) for part in parts)


def combine(parts: Iterable[tuple[Expression, float]]) -> Expression:
    """Σ factor · part."""
    constant, terms = 0.0, dict[Expression, float]()
    for part, factor in parts:
        if isinstance(part, Number):
            constant += factor * part.value
        elif isinstance(part, Sum):
            constant += factor * part.constant
            for term, inner in part.terms:
                terms[term] = terms.get(term, 0.0) + factor * inner
        else:
            terms[part] = terms.get(part, 0.0) + factor
    terms = {term: factor for term, factor in terms.items() if factor != 0}
    for factor in (*terms.values(), constant):
        if not math.isfinite(factor):
            raise ArgumentError("the expression holds a number that is not finite.")
    if not terms:
        return Number(constant)
    if len(terms) == 1 and not constant and next(iter(terms.values())) == 1.0:
        return next(iter(terms))
    return Sum(terms, constant)


def scale(expression: Expression, factor: float) -> Expression:
    """factor · expression."""
    return combine([(expression, factor)])


def multiply(parts: Iterable[Expression]) -> Expression:
    """The product of the parts."""
    number, powers = 1.0, dict[Expression, float]()
    for part in parts:
        factor, core = split(part)
        number *= factor
        if core is ONE or isinstance(core, Number):
            continue
        for base, exponent in _integer_powers(core):
            powers[base] = powers.get(base, 0.0) + exponent
    if number == 0:
        return ZERO
    powers = {base: exponent for base, exponent in powers.items() if exponent != 0}
    if not powers:
        return Number(number)
    if len(powers) == 1 and next(iter(powers.values())) == 1.0:
        return scale(next(iter(powers)), number)
    return scale(Product(powers), number)


def _integer_powers(core: Expression) -> list[tuple[Expression, float]]:
    """A product as bases with whole exponents; a root is a base of its own.

    √x · √x is x for positive x only, so the exponents of roots are not added.
    """
    if not isinstance(core, Product):
        return [(core, 1.0)]
    if len(core.powers) == 1 and not core.powers[0][1].is_integer():
        return [(core, 1.0)]
    return list(core.powers)


def power(base: Expression, exponent: Expression) -> Expression:
    """base ** exponent."""
    if not isinstance(exponent, Number):
        if base == ONE:
            return ONE
        return function("pow", (base, exponent))
    n = exponent.value
    if n == 0:
        return ONE
    if n == 1:
        return base
    if isinstance(base, Number):
        return function("pow", (base, exponent))
    if not n.is_integer():
        return Product({base: n})
    number, core = split(base)
    try:
        folded = number**n
    except (OverflowError, ZeroDivisionError) as error:
        raise ArgumentError(f"{number:g}**{n:g} in the expression is not finite.") from error
    powers = {inner: m * n for inner, m in _integer_powers(core)}
    if len(powers) == 1 and next(iter(powers.values())) == 1.0:
        return scale(next(iter(powers)), folded)
    return scale(Product(powers), folded)


def function(name: str, arguments: tuple[Expression, ...]) -> Expression:
    """An elementary function of its arguments, as a number where they are numbers."""
    if name == "sqrt" and not isinstance(arguments[0], Number):
        return power(arguments[0], Number(0.5))
    if all(isinstance(argument, Number) for argument in arguments):
        values = [argument.value for argument in arguments if isinstance(argument, Number)]
        try:
            return Number(FUNCTIONS[name].number(*values))
        except (ValueError, OverflowError, ZeroDivisionError) as error:
            shown = ", ".join(f"{value:g}" for value in values)
            raise ArgumentError(
                f"{name}({shown}) in the expression is no finite number."
            ) from error
    if name == "pow" and isinstance(arguments[1], Number):
        return power(*arguments)
    return Function(name, arguments)


def walk(*roots: Expression) -> Iterator[Expression]:
    """Every node below the roots once, the roots included; children before their parents."""
    seen: set[Expression] = set()
    stack = [(root, False) for root in reversed(roots)]
    while stack:
        node, ready = stack.pop()
        if ready:
            yield node
        elif node not in seen:
            seen.add(node)
            stack.append((node, True))
            stack.extend((child, False) for child in reversed(node.children))


def atoms(*roots: Expression) -> list[Atom]:
    """The atoms of some expressions, each once, in the order that they stand in."""
    return [node for node in walk(*roots) if isinstance(node, Atom)]


@dataclass(frozen=True)
class Vector:
    """Components of expressions: a gradient, a velocity."""

    components: tuple[Expression, ...]
