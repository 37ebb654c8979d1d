"""From text to tokens, and errors that point into the text.

Only what is listed here is a token: numbers, names, operators and brackets. Quotes, dots after
names, colons and the like are no part of the language, so no text can reach Python.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from pinnderiv.errors import ArgumentError, alike

LONGEST = 20_000
"""Characters of a text."""

_TOKEN = re.compile(
    r"(?P<space>\s+)"
    r"|(?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)"
    r"|(?P<name>[^\W\d]\w*)"
    r"|(?P<operator>\*\*|[-+*/^=(),\[\]·−×])"
)
_ALIASES = {"^": "**", "−": "-", "×": "*"}


@dataclass(frozen=True)
class Token:
    """A piece of text.

    Attributes:
        kind: "number", "name", "operator" or "end".
        text: as it is read.
        position: of its first character in the text, from 0.
    """

    kind: str
    text: str
    position: int


def tokens_of(text: str) -> list[Token]:
    """All tokens of a text, and one for its end.

    Raises:
        ArgumentError: a character that is no part of the language, or too long a text.
    """
    if len(text) > LONGEST:
        raise ArgumentError(
            f"an expression of {len(text)} characters is too long (at most {LONGEST})."
        )
    found: list[Token] = []
    position = 0
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            raise error_at(
                text,
                position,
                f"unexpected character {text[position]!r}",
                "Expressions hold names, numbers, + - * / ** ( ) [ ] and commas.",
            )
        kind = match.lastgroup or ""
        # Two numbers or a number and a name without a sign between them, such as 2x or 1.2.3.
        if kind in ("number", "name") and position and found and found[-1].kind == "number":
            before = found[-1]
            if before.position + len(before.text) == position:
                raise error_at(
                    text,
                    position,
                    f"there is no sign between {before.text!r} and {match.group()!r}",
                    "Write * for a product.",
                )
        if kind != "space":
            piece = match.group()
            found.append(Token(kind, _ALIASES.get(piece, piece), position))
        position = match.end()
    return [*found, Token("end", "the end", len(text))]


class TextError(ArgumentError):
    """An error with a place in a text."""


def error_at(text: str, position: int, problem: str, advice: str = "") -> TextError:
    """The error for something wrong at a place in a text, with the place marked.

    Args:
        text: the whole text.
        position: where, from 0.
        problem: what is wrong, without a full stop.
        advice: a sentence or two that say how to mend it.

    Returns:
        The exception, for the caller to raise.
    """
    begin = text.rfind("\n", 0, position) + 1
    line = text[begin:].split("\n", 1)[0]
    place = position - begin
    # Of a long line only what stands around the place.
    start = max(0, place - 60)
    shown = line[start : place + 40].replace("\t", " ")
    marked = f"\n  {shown}\n  {' ' * (place - start)}^"
    return TextError(f"{problem} at column {place + 1}:{marked}" + f"\n{advice}" * bool(advice))


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """``"Did you mean 'u_xx'?"``, or nothing where no name is near."""
    names = list(known)
    close = alike(name, names, most=8, cutoff=0.5)
    # a wrong letter is likelier than a missing one: u_xz is u_xx rather than u_x
    best = min(
        close,
        key=lambda each: (_changes(name, each), abs(len(each) - len(name)), names.index(each)),
        default="",
    )
    return f"Did you mean {best!r}?" if best else ""


def _changes(a: str, b: str) -> int:
    """How many letters to change, add or take away (Levenshtein)."""
    row = list(range(len(b) + 1))
    for i, left in enumerate(a):
        before, row[0] = row[0], i + 1
        for j, right in enumerate(b):
            before, row[j + 1] = (
                row[j + 1],
                min(before + (left != right), row[j] + 1, row[j + 1] + 1),
            )
    return row[-1]
