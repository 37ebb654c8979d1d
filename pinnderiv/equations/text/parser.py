"""From tokens to a syntax tree: recursive descent, with an end to how deep it goes.

equation = sum ["=" sum]
sum      = product {("+" | "-") product}
product  = unary {("*" | "/" | "·") unary}
unary    = {"+" | "-"} power
power    = primary ["**" unary]
primary  = number | name ["(" sum {"," sum} ")"] | "(" sum ")" | "[" sum {"," sum} "]"
"""

from __future__ import annotations

from dataclasses import dataclass

from pinnderiv.equations.text.tokens import Token, error_at, tokens_of

DEEPEST = 60
"""Brackets and powers within one another."""


@dataclass(frozen=True)
class Syntax:
    """A node of the syntax tree, at a place of the text."""

    position: int


@dataclass(frozen=True)
class Literal(Syntax):
    """A number."""

    value: float


@dataclass(frozen=True)
class Name(Syntax):
    """A name that is not called."""

    name: str


@dataclass(frozen=True)
class Call(Syntax):
    """name(arguments)."""

    name: str
    arguments: tuple[Syntax, ...]


@dataclass(frozen=True)
class Listing(Syntax):
    """[items]: a vector."""

    items: tuple[Syntax, ...]


@dataclass(frozen=True)
class Negative(Syntax):
    """−operand."""

    operand: Syntax


@dataclass(frozen=True)
class Chain(Syntax):
    """Operands joined by operators of one rank, from left to right.

    Attributes:
        first: the leftmost operand.
        rest: each operator ("+", "-", "*", "/" or "·"), its place and its right operand.
    """

    first: Syntax
    rest: tuple[tuple[str, int, Syntax], ...]


@dataclass(frozen=True)
class Power(Syntax):
    """base ** exponent."""

    base: Syntax
    exponent: Syntax


def parse(text: str) -> tuple[Syntax, Syntax | None]:
    """The left- and the right-hand side of an equation; no right-hand side without "=".

    Raises:
        ArgumentError: the text does not follow the grammar; says where.
    """
    parser = _Parser(text)
    left = parser.sum()
    right = None
    if parser.take("="):
        right = parser.sum()
    parser.finish()
    return left, right


def parse_expression(text: str) -> Syntax:
    """The tree of a text without "=".

    Raises:
        ArgumentError: the text does not follow the grammar; says where.
    """
    parser = _Parser(text)
    tree = parser.sum()
    parser.finish()
    return tree


class _Parser:
    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens = tokens_of(text)
        self.place = 0
        self.depth = 0

    @property
    def next(self) -> Token:
        return self.tokens[self.place]

    def take(self, *operators: str) -> Token | None:
        """The next token, if it is one of the operators."""
        token = self.next
        if token.kind != "operator" or token.text not in operators:
            return None
        self.place += 1
        return token

    def need(self, operator: str, opened: Token) -> None:
        if not self.take(operator):
            token = self.next
            raise error_at(
                self.text,
                token.position,
                f"{operator!r} is missing before {_shown(token)}",
                f"The {opened.text!r} at column {opened.position + 1} is not closed.",
            )

    def finish(self) -> None:
        token = self.next
        if token.kind != "end":
            advice = "Write * for a product." if token.kind in ("name", "number") else ""
            if token.text == "=":
                advice = "An expression has no '='." if self.place else ""
            raise error_at(self.text, token.position, f"unexpected {_shown(token)}", advice)

    def sum(self) -> Syntax:
        return self._chain(self.product, "+", "-")

    def product(self) -> Syntax:
        return self._chain(self.unary, "*", "/", "·")

    def _chain(self, operand: object, *operators: str) -> Syntax:
        start = self.next.position
        first = operand()  # type: ignore[operator]
        rest = []
        while token := self.take(*operators):
            rest.append((token.text, token.position, operand()))  # type: ignore[operator]
        return Chain(start, first, tuple(rest)) if rest else first

    def unary(self) -> Syntax:
        start, negative = self.next.position, False
        while token := self.take("+", "-"):
            negative ^= token.text == "-"
        operand = self.power()
        return Negative(start, operand) if negative else operand

    def power(self) -> Syntax:
        base = self.primary()
        if token := self.take("**"):
            self._deeper(token)
            exponent = self.unary()
            self.depth -= 1
            return Power(token.position, base, exponent)
        return base

    def primary(self) -> Syntax:
        token = self.next
        self.place += 1
        if token.kind == "number":
            return Literal(token.position, float(token.text))
        if token.kind == "name":
            opened = self.take("(")
            if not opened:
                return Name(token.position, token.text)
            return Call(token.position, token.text, self._items(opened, ")"))
        if token.text == "(" and token.kind == "operator":
            (inner,) = self._items(token, ")", single=True)
            return inner
        if token.text == "[" and token.kind == "operator":
            return Listing(token.position, self._items(token, "]"))
        raise error_at(
            self.text,
            token.position,
            f"a number, a name or a bracket is missing before {_shown(token)}",
        )

    def _items(self, opened: Token, close: str, single: bool = False) -> tuple[Syntax, ...]:
        self._deeper(opened)
        items = [self.sum()]
        while not single and self.take(","):
            items.append(self.sum())
        self.need(close, opened)
        self.depth -= 1
        return tuple(items)

    def _deeper(self, token: Token) -> None:
        self.depth += 1
        if self.depth > DEEPEST:
            raise error_at(
                self.text,
                token.position,
                f"more than {DEEPEST} brackets or powers within one another",
            )


def _shown(token: Token) -> str:
    return "the end" if token.kind == "end" else repr(token.text)
