"""Expressions: a small algebra with one form for each sum and product.

Numbers are folded, like terms and powers of one base are collected, and zero and one vanish, as
the nodes are built. Nothing is expanded, so an expression is computed much as it was written.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any
from weakref import WeakValueDictionary

from pinnderiv.equations.text.functions import FUNCTIONS
from pinnderiv.errors import ArgumentError

Index = tuple[int, ...]
"""Columns to differentiate by, sorted."""


class _Shared(type):
    """Makes each node once: a node of the same form is the same object.

    Without that, comparing expressions that share parts would take time exponential in their
    depth.
    """

    _made: WeakValueDictionary[Any, Expression] = WeakValueDictionary()

    def __call__(cls, *arguments: Any) -> Any:
        node = super().__call__(*arguments)
        return cls._made.setdefault((cls, node.form), node)


class Expression(metaclass=_Shared):
    """A node; immutable, and the same object as every other node of its form.

    Attributes:
        form: what makes it this node and no other.
        label: what terms and factors are sorted by, the same in every process: the order of
            operations, and with it the rounding, follows from the expression alone.
    """

    __slots__ = ("__weakref__", "form", "label")
    form: tuple[object, ...]
    label: str

    @property
    def children(self) -> tuple[Expression, ...]:
        """The expressions that this one is made of."""
        return ()

    def _made_of(self) -> tuple[object, ...]:
        """The arguments that make this node."""
        raise NotImplementedError

    def __reduce__(self) -> tuple[object, ...]:
        # A copy goes through the table of nodes that exist.
        return type(self), self._made_of()

    def __deepcopy__(self, memo: object) -> Expression:
        return self


_KINDS = ("number", "coordinate", "parameter", "coefficient", "operator", "squared", "output")


def _digest(rank: str, *parts: object) -> str:
    return rank + blake2b(repr(parts).encode(), digest_size=16).hexdigest()


def _label_of(item: tuple[Expression, float]) -> str:
    return item[0].label


class Number(Expression):
    """A number."""

    __slots__ = ("value",)

    def __init__(self, value: float) -> None:
        self.value = float(value)
        if not math.isfinite(self.value):
            raise ArgumentError(f"the expression holds a number that is not finite ({value}).")
        self.form = (self.value,)
        self.label = f"0{self.value!r}"

    def _made_of(self) -> tuple[object, ...]:
        return (self.value,)


class Atom(Expression):
    """What has a value from outside.

    Attributes:
        kind: "coordinate", "output" (an unknown or a derivative of it), "parameter" (one
            number, perhaps a trained one), "coefficient" (a function of the coordinates, or a
            derivative of it), "operator" or "squared" (collapsed operators of an unknown).
        name: of the coordinate, output, parameter or coefficient.
        index: columns that an output or a coefficient is differentiated by.
    """

    __slots__ = ("index", "kind", "name")

    def __init__(self, kind: str, name: str, index: Index = ()) -> None:
        self.kind, self.name, self.index = kind, name, tuple(sorted(index))
        self.form = (kind, name, self.index)
        self.label = f"{_KINDS.index(kind)}{name}{self.index}"

    def _made_of(self) -> tuple[object, ...]:
        return self.kind, self.name, self.index


class Sum(Expression):
    """constant + Σ factor · term."""

    __slots__ = ("constant", "terms")

    def __init__(self, terms: dict[Expression, float], constant: float) -> None:
        self.terms = tuple(sorted(terms.items(), key=_label_of))
        self.constant = constant
        self.form = (self.terms, constant)
        self.label = _digest("9", [(t.label, f) for t, f in self.terms], constant)

    def _made_of(self) -> tuple[object, ...]:
        return dict(self.terms), self.constant

    @property
    def children(self) -> tuple[Expression, ...]:
        return tuple(term for term, _ in self.terms)


class Product(Expression):
    """Π base^exponent; numbers stand in the Sum around it."""

    __slots__ = ("powers",)

    def __init__(self, powers: dict[Expression, float]) -> None:
        self.powers = tuple(sorted(powers.items(), key=_label_of))
        self.form = (self.powers,)
        self.label = _digest("8", [(base.label, e) for base, e in self.powers])

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
        self.form = (name, arguments)
        self.label = _digest("7", name, [argument.label for argument in arguments])

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
