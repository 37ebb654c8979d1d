"""What names mean: coordinates, unknowns and their derivatives, given values, and constants."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from pinnderiv.equations.text.calculus import HIGHEST, differentiate
from pinnderiv.equations.text.expression import Atom, Expression, Number, Vector
from pinnderiv.equations.text.functions import CONSTANTS
from pinnderiv.errors import ArgumentError

if TYPE_CHECKING:
    from collections.abc import Callable

Meaning = Expression | Vector
Given = Meaning | str | tuple["Given", ...]
"""A value as a scope is told it: a text, or a sequence for a vector, is looked into when used."""


class Scope:
    """The names of a text.

    Args:
        coordinates: names of the columns.
        outputs: names of the unknowns.
        values: what other names stand for.
        read: turns a text into its meaning in a scope.

    Raises:
        ArgumentError: a name is no name, is given twice, or can also be read as a derivative.
    """

    def __init__(
        self,
        coordinates: Sequence[str],
        outputs: Sequence[str],
        values: Mapping[str, Given],
        read: Callable[[str, Scope], Meaning],
    ) -> None:
        self.coordinates, self.outputs = _names("coordinates", coordinates), tuple(outputs)
        if outputs:
            _names("outputs", outputs)
        self.values = dict(values)
        self.used: set[str] = set()
        self._read = read
        self._known: dict[str, Meaning] = {}
        self._open: list[str] = []
        everything = [*self.coordinates, *self.outputs, *self.values]
        for name in everything:
            if everything.count(name) > 1:
                raise ArgumentError(
                    f"the name {name!r} is given twice among coordinates {self.coordinates}, "
                    f"outputs {self.outputs} and values ({', '.join(self.values)})."
                )
            if not name.isidentifier():
                raise ArgumentError(f"{name!r} is no name: use letters, digits and underscores.")
            if name not in self.coordinates and self._readings(name):
                raise ArgumentError(
                    f"the name {name!r} can also be read as a derivative: choose another one."
                )

    @property
    def space(self) -> tuple[int, ...]:
        """The columns of space: all but that of ``t``."""
        return tuple(n for n, name in enumerate(self.coordinates) if name != "t")

    def column(self, name: str) -> int | None:
        """The column of a coordinate; ``None`` for another name."""
        return self.coordinates.index(name) if name in self.coordinates else None

    def meaning(self, name: str) -> Meaning | None:
        """What a name stands for; ``None`` where it is not known.

        Raises:
            ArgumentError: a derivative that can be read in several ways, or an error within
                the text of a value.
        """
        if name in self._known:
            if name in self.values:
                self.used.add(name)
            return self._known[name]
        found = self._find(name)
        if found is not None:
            self._known[name] = found
        return found

    def _find(self, name: str) -> Meaning | None:
        if name in self.coordinates:
            return Atom("coordinate", name, (self.coordinates.index(name),))
        if name in self.outputs:
            return Atom("output", name)
        if name in self.values:
            self.used.add(name)
            return self._value(name)
        readings = self._readings(name)
        if len(readings) > 1:
            shown = " or ".join(
                f"{base} by ({', '.join(self.coordinates[c] for c in index)})"
                for base, index in sorted(readings)
            )
            raise ArgumentError(
                f"{name!r} can be read in {len(readings)} ways ({shown}): write d({readings[0][0]},"
                " ...) with the coordinates one by one"
            )
        if readings:
            base, index = readings[0]
            found = self.meaning(base)
            for column in index:
                if not isinstance(found, Expression):
                    return None
                found = differentiate(found, column)
            return found
        return Number(CONSTANTS[name]) if name in CONSTANTS else None

    def _value(self, name: str) -> Meaning:
        if name in self._open:
            raise ArgumentError(f"the value of {name!r} depends on itself.")
        self._open.append(name)
        try:
            return self._meaning_of(self.values[name], name)
        finally:
            self._open.pop()

    def _meaning_of(self, given: Given, name: str) -> Meaning:
        if isinstance(given, str):
            inner = Scope.__new__(Scope)
            inner.__dict__.update(self.__dict__)
            inner.outputs = ()  # a coefficient is no function of the unknowns
            inner._known = {}
            try:
                return self._read(given, inner)
            except ArgumentError as error:
                raise ArgumentError(f"in the value of {name!r}: {error}") from error
        if isinstance(given, tuple):
            parts = [self._meaning_of(each, name) for each in given]
            return Vector(tuple(part for part in parts if isinstance(part, Expression)))
        return given

    def _readings(self, name: str) -> list[tuple[str, tuple[int, ...]]]:
        """Every way to read a name as a derivative of an unknown or of a value."""
        found = {
            (base, tuple(sorted(columns)))
            for base in (*self.outputs, *self.values)
            if name.startswith(base + "_")
            for columns in self._spellings(name[len(base) + 1 :], HIGHEST)
            if columns
        }
        return sorted(found)

    def _spellings(self, text: str, most: int) -> list[tuple[int, ...]]:
        if not text:
            return [()]
        if most == 0:
            return []
        return [
            (column, *rest)
            for column, coordinate in enumerate(self.coordinates)
            if text.startswith(coordinate)
            for rest in self._spellings(text[len(coordinate) :], most - 1)
        ]

    def names(self) -> list[str]:
        """Names that could be meant, for errors."""
        few = self.coordinates[:6]
        derivatives = [f"{u}_{a}" for u in self.outputs for a in self.coordinates]
        derivatives += [f"{u}_{a}{a}" for u in self.outputs for a in few]
        derivatives += [f"{u}_{a}{b}" for u in self.outputs for a in few for b in few if a != b]
        return [*self.outputs, *self.values, *self.coordinates, *derivatives, *CONSTANTS]


def _names(what: str, given: Sequence[str]) -> tuple[str, ...]:
    if isinstance(given, str) or not all(isinstance(name, str) for name in given):
        raise ArgumentError(
            f"{what}={given!r} must be a sequence of names, such as {what}=('x', 't')."
        )
    if not given or len(set(given)) < len(given):
        raise ArgumentError(f"{what}={tuple(given)!r} must name each of them once.")
    return tuple(given)
