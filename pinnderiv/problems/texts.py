"""What stands as text in a problem file: numbers, functions of the coordinates, predicates."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor

from pinnderiv.equations import TextField
from pinnderiv.equations.text.expression import atoms
from pinnderiv.errors import ConfigurationError, PinnderivError
from pinnderiv.problems.conditions import Field
from pinnderiv.problems.entries import finite
from pinnderiv.problems.predicates import Predicate, read_predicate

T = TypeVar("T")


def names_in(text: str, known: Iterable[str]) -> set[str]:
    """Those of the names that a text uses; ``k_x`` is a derivative of ``k``."""
    words, names = set(re.findall(r"[A-Za-z_]\w*", text)), set(known)
    return {word if word in names else word.rpartition("_")[0] for word in words} & names


def used_in(texts: Iterable[Any], values: Mapping[str, T]) -> dict[str, T]:
    """Those of the values whose names occur in texts, or in the texts of such values."""
    found: dict[str, T] = {}
    waiting = [str(each) for each in texts]
    while waiting:
        for name in names_in(waiting.pop(), values) - set(found):
            found[name] = values[name]
            if isinstance(values[name], str):
                waiting.append(str(values[name]))
    return found


@dataclass(frozen=True)
class Texts:
    """Turns text into numbers and functions.

    Attributes:
        coordinates: names of the columns.
        constants: numbers and texts by name, which text may use.
    """

    coordinates: tuple[str, ...]
    constants: Mapping[str, float | str]

    def number(self, path: str, value: Any) -> float:
        """A number, or text that has no coordinate in it, such as ``2*pi``."""
        if not isinstance(value, str):
            return finite(path, value)
        field = self._parsed(path, value)
        about = self.depends(path, value)
        if about:
            raise ConfigurationError(
                f"{path} must be a number, or text without coordinates such as 2*pi; got "
                f"{value!r}, which depends on {', '.join(about)}"
            )
        at = torch.zeros(1, len(self.coordinates), dtype=torch.float64)
        return finite(path, float(field(at)))

    def depends(self, path: str, text: str) -> list[str]:
        """The coordinates that a text depends on."""
        return sorted({atom.name for atom in atoms(self._parsed(path, text).expression)})

    def numbers(self, path: str, value: Any) -> list[float]:
        """A list of numbers."""
        if isinstance(value, str) or not isinstance(value, Sequence):
            raise ConfigurationError(f"{path} must be a list of numbers; got {value!r}")
        return [self.number(f"{path}[{index}]", each) for index, each in enumerate(value)]

    def field(self, path: str, value: Any) -> Field:
        """A function of the coordinates, out of a number or text."""
        if callable(value):
            return value
        if isinstance(value, bool) or not isinstance(value, int | float | str):
            raise ConfigurationError(
                f"{path} must be a number or text in {', '.join(self.coordinates)}, such as "
                f"'sin(pi*{self.coordinates[0]})'; got {value!r}"
            )
        if not isinstance(value, str):
            return Constant(finite(path, value))
        return self._parsed(path, value)

    def fields(self, path: str, values: Any, names: Sequence[str]) -> Field:
        """A function with one value for each name, out of one text, a list, or a mapping."""
        if isinstance(values, Mapping):
            wrong = set(values) ^ set(names)
            if wrong:
                raise ConfigurationError(
                    f"{path} must have an entry for each of {', '.join(names)} and no other; got "
                    f"{', '.join(map(str, values))}"
                )
            parts = [self.field(f"{path}.{name}", values[name]) for name in names]
        else:
            several = (
                values if isinstance(values, Sequence) and not isinstance(values, str) else [values]
            )
            if len(several) != len(names):
                raise ConfigurationError(
                    f"{path} must have {len(names)} entries, for {', '.join(names)}; got "
                    f"{len(several)}"
                )
            listed = several is values
            parts = [
                self.field(f"{path}[{index}]" if listed else path, each)
                for index, each in enumerate(several)
            ]
        return parts[0] if len(parts) == 1 else Stacked(tuple(parts))

    def predicate(self, path: str, text: Any) -> Predicate:
        """Where a text such as ``x > 0.5 and not y > 1`` holds, (N, D) -> bool (N,)."""
        if not isinstance(text, str):
            raise ConfigurationError(f"{path} must be text such as 'x > 0.5'; got {text!r}")
        try:
            return read_predicate(text, lambda side: self.field(path, side))
        except ConfigurationError:
            raise
        except PinnderivError as error:
            raise ConfigurationError(f"{path}: {error}") from error

    def _parsed(self, path: str, text: str) -> TextField:
        try:
            return TextField(text, self.coordinates, **used_in([text], self.constants))
        except PinnderivError as error:
            raise ConfigurationError(f"{path}: {error}") from error


@dataclass(frozen=True)
class Constant:
    """The same number everywhere, (N, D) -> (N, 1)."""

    number: float

    def __call__(self, x: Tensor) -> Tensor:
        return torch.full_like(x[..., :1], self.number)


def is_zero(field: Field) -> bool:
    """Whether a function is known to be zero everywhere."""
    return isinstance(field, Constant) and field.number == 0.0


@dataclass(frozen=True)
class Stacked:
    """Functions side by side, (N, D) -> (N, number of functions).

    Attributes:
        parts: each (N, D) -> (N, 1).
    """

    parts: tuple[Field, ...]

    def __call__(self, x: Tensor) -> Tensor:
        return torch.cat([part(x) for part in self.parts], dim=-1)
