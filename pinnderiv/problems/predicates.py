"""Predicates of a problem file: where comparisons that and, or and not join hold.

either     = every {"or" every}
every      = single {"and" single}
single     = "not" single | "(" either ")" | side sign side {sign side}
sign       = "<" | "<=" | ">" | ">="

A side is an expression of its own, with brackets of its own: a bracket holds predicates if there is
a sign or a word in it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from pinnderiv.equations.text.tokens import TextError, error_at
from pinnderiv.problems.conditions import Field

DEEPEST = 60
"""Brackets and negations within one another."""

_ADVICE = (
    "A predicate is made of comparisons (<, <=, >, >=) joined by 'and', 'or' and 'not', such as "
    "'x > 0.5 and not (y < 0.2 or y > 1)'."
)
_TOKEN = re.compile(r"(?P<sign><=|>=|<|>)|(?P<word>\b(?:and|or|not)\b)|(?P<bracket>[()\[\]])")
_OPENING, _CLOSING = ("(", "["), (")", "]")


@dataclass(frozen=True)
class Comparison:
    """Where ``left sign right`` holds, (N, D) -> bool (N,).

    Attributes:
        left, right: (N, D) -> (N, 1).
        sign: ``<``, ``<=``, ``>`` or ``>=``.
    """

    left: Field
    sign: str
    right: Field

    def __call__(self, x: Tensor) -> Tensor:
        left, right = self.left(x)[..., 0], self.right(x)[..., 0]
        return {"<": torch.lt, "<=": torch.le, ">": torch.gt, ">=": torch.ge}[self.sign](
            left, right
        )


Predicate = Callable[[Tensor], Tensor]
"""(N, D) -> bool (N,)."""


@dataclass(frozen=True)
class Every:
    """Where all of several predicates hold."""

    parts: tuple[Predicate, ...]

    def __call__(self, x: Tensor) -> Tensor:
        return torch.stack([part(x) for part in self.parts]).all(dim=0)


@dataclass(frozen=True)
class Either:
    """Where one of several predicates holds."""

    parts: tuple[Predicate, ...]

    def __call__(self, x: Tensor) -> Tensor:
        return torch.stack([part(x) for part in self.parts]).any(dim=0)


@dataclass(frozen=True)
class Negation:
    """Where a predicate does not hold."""

    part: Predicate

    def __call__(self, x: Tensor) -> Tensor:
        return ~self.part(x)


def read_predicate(text: str, side: Callable[[str], Field]) -> Predicate:
    """The predicate that a text describes.

    Args:
        text: such as ``0 < x < 0.5 and not (y > 1 or z > 1)``.
        side: makes a function of the coordinates out of the text of one side of a comparison.

    Raises:
        ArgumentError: the text does not follow the grammar; says where.
    """
    reader = _Reader(text, side)
    found = reader.either()
    reader.finish()
    return found


@dataclass(frozen=True)
class _Token:
    kind: str
    text: str
    start: int
    end: int


class _Reader:
    """Recursive descent over signs, words and brackets; all between them belongs to a side."""

    def __init__(self, text: str, side: Callable[[str], Field]) -> None:
        self.text, self.side = text, side
        self.tokens = [
            _Token(match.lastgroup or "", match.group(), match.start(), match.end())
            for match in _TOKEN.finditer(text)
        ]
        self.tokens.append(_Token("end", "the end", len(text), len(text)))
        # the token that comes next, and where what has not been read begins
        self.place, self.position, self.depth = 0, 0, 0

    def either(self) -> Predicate:
        parts = [self.every()]
        while self._take_word("or"):
            parts.append(self.every())
        return parts[0] if len(parts) == 1 else Either(tuple(parts))

    def every(self) -> Predicate:
        parts = [self.single()]
        while self._take_word("and"):
            parts.append(self.single())
        return parts[0] if len(parts) == 1 else Every(tuple(parts))

    def single(self) -> Predicate:
        begun = self.tokens[self.place]
        if self._take_word("not"):
            self._deeper(begun)
            found: Predicate = Negation(self.single())
            self.depth -= 1
            return found
        if begun.text != "(" or self._skipped() or not self._holds_predicate():
            return self._comparison()
        self._deeper(begun)
        self._advance()
        found = self.either()
        close = self.tokens[self.place]
        if close.text != ")":
            raise self._error(close.start, f"')' is missing before {_shown(close)}")
        self._advance()
        self.depth -= 1
        after = self.tokens[self.place]
        if self._skipped() or after.kind == "sign" or after.text in _OPENING:
            raise self._error(
                begun.start, "the comparison in these brackets is no number to calculate with"
            )
        return found

    def finish(self) -> None:
        token = self.tokens[self.place]
        if token.kind != "end":
            raise self._error(token.start, f"unexpected {_shown(token)}")

    def _comparison(self) -> Predicate:
        """``side sign side``, or a chain of them: each side is compared with the next."""
        begun, texts, signs = self.position, [self._side()], []
        while self.tokens[self.place].kind == "sign":
            signs.append(self.tokens[self.place].text)
            self._advance()
            texts.append(self._side())
        if not signs:
            begun += len(self.text[begun:]) - len(self.text[begun:].lstrip())
            raise self._error(begun, "here is no comparison")
        sides = [self.side(each) for each in texts]
        parts = tuple(
            Comparison(left, sign, right)
            for (left, right), sign in zip(pairwise(sides), signs, strict=True)
        )
        return parts[0] if len(parts) == 1 else Every(parts)

    def _side(self) -> str:
        start, open_ones = self.position, 0
        while True:
            token = self.tokens[self.place]
            if token.text in _OPENING:
                open_ones += 1
            elif token.text in _CLOSING and open_ones:
                open_ones -= 1
            elif token.kind == "end" or not open_ones:
                break
            else:
                raise self._error(
                    token.start, f"{token.text!r} stands in brackets of an expression"
                )
            self._advance()
        self.position = token.start
        text = self.text[start : token.start].strip()
        if not text:
            raise self._error(token.start, f"an expression is missing before {_shown(token)}")
        return text

    def _holds_predicate(self) -> bool:
        """Whether there is a sign or a word in the bracket that comes next."""
        open_ones = 0
        for token in self.tokens[self.place :]:
            open_ones += (token.text in _OPENING) - (token.text in _CLOSING)
            if token.kind in ("sign", "word"):
                return True
            if not open_ones:
                return False
        raise self._error(self.tokens[self.place].start, "this bracket is not closed")

    def _take_word(self, word: str) -> bool:
        if self.tokens[self.place].text != word or self._skipped():
            return False
        self._advance()
        return True

    def _skipped(self) -> bool:
        """Whether there is more than space before the next token."""
        return bool(self.text[self.position : self.tokens[self.place].start].strip())

    def _advance(self) -> None:
        self.position = self.tokens[self.place].end
        self.place += 1

    def _deeper(self, token: _Token) -> None:
        self.depth += 1
        if self.depth > DEEPEST:
            raise self._error(
                token.start, f"more than {DEEPEST} brackets and negations within one another"
            )

    def _error(self, position: int, problem: str) -> TextError:
        return error_at(self.text, position, problem, _ADVICE)


def _shown(token: _Token) -> str:
    return token.text if token.kind == "end" else repr(token.text)
