"""Conditions out of a problem file."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from pinnderiv.domains import Domain, SobolSampler
from pinnderiv.domains.naming import RESERVED
from pinnderiv.equations import Equation
from pinnderiv.errors import ConfigurationError, PinnderivError
from pinnderiv.problems.conditions import (
    AnyCondition,
    Condition,
    Field,
    Flux,
    Observations,
    PeriodicCondition,
    Relation,
)
from pinnderiv.problems.entries import (
    Entry,
    equation_texts,
    finite,
    unknown_value,
)
from pinnderiv.problems.from_solution import Rate, zero
from pinnderiv.problems.observed import observed
from pinnderiv.problems.relations import relation_equation
from pinnderiv.problems.texts import Texts

BOUNDARY, INITIAL = "boundary", "initial"
_NAME = re.compile(r"[A-Za-z]\w*")
# Names of other terms of the loss and places of points.
_TAKEN = ("equation", "interior")
_PROBES = 64
_PLACE = ("kind", "piece", "where", "weight", "output")
# The keys of each kind, and those of them that it must have.
KEYS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "dirichlet": ((*_PLACE, "value"), ()),
    "neumann": ((*_PLACE, "value"), ()),
    "robin": ((*_PLACE, "value", "alpha", "beta"), ("alpha",)),
    "initial": (("kind", "where", "weight", "output", "value"), ()),
    "velocity": (("kind", "where", "weight", "output", "value"), ()),
    "periodic": (("kind", "weight", "output", "axis"), ("axis",)),
    "observations": (("kind", "weight", "output", "file", "points", "values"), ()),
    "relation": (("kind", "piece", "where", "weight", "equation"), ("equation",)),
    "interface": (("kind", "where", "weight", "equation", "shape"), ("equation", "shape")),
}


@dataclass
class Setting:
    """What the conditions of a file are read against.

    Attributes:
        coordinates, outputs: their names.
        equation: of the problem.
        domain: of the problem; conditions with ``where`` add their pieces to it.
        texts: reads values.
        values: of the equation's parameters, which relations may use too.
        solution: the exact solution, (N, D) -> (N, M), or None.
        folder: where the names of files begin.
        shape: builds a domain out of a mapping at a path of the file.
    """

    coordinates: tuple[str, ...]
    outputs: tuple[str, ...]
    equation: Equation
    domain: Domain
    texts: Texts
    values: Mapping[str, Any]
    solution: Field | None
    folder: Path
    shape: Callable[[str, Any], tuple[Domain, str]]


def conditions_of(entries: Any, setting: Setting) -> tuple[AnyCondition, ...]:
    """The conditions that ``conditions:`` of a problem file describes.

    Args:
        entries: a mapping from names to conditions.
        setting: what they are read against.

    Raises:
        ConfigurationError: an entry makes no condition; the message says which and why.
    """
    if not isinstance(entries, Mapping):
        raise ConfigurationError(
            "conditions must be a mapping from a name to a condition, such as {walls: {piece: "
            f"boundary, value: 0}}}}; got {entries!r}"
        )
    found: list[AnyCondition] = []
    for name, values in entries.items():
        if not isinstance(name, str) or not _NAME.fullmatch(name) or name in _TAKEN:
            raise ConfigurationError(
                f"conditions: {name!r} cannot be the name of a condition: take a word of letters, "
                f"digits and underscores, none of {', '.join(_TAKEN)}"
            )
        try:
            found += _Reader(name, values, setting).conditions()
        except ConfigurationError:
            raise
        except PinnderivError as error:
            raise ConfigurationError(f"conditions.{name}: {error}") from error
    return tuple(found)


class _Reader:
    """One entry of ``conditions``."""

    def __init__(self, name: str, values: Any, setting: Setting) -> None:
        self.name, self.setting = name, setting
        path = f"conditions.{name}"
        kind = values.get("kind") if isinstance(values, Mapping) else None
        if kind is None:
            place = values.get("piece") if isinstance(values, Mapping) else None
            kind = INITIAL if place == INITIAL else "dirichlet"
            values = (
                {k: v for k, v in values.items() if (k, kind) != ("piece", INITIAL)}
                if place
                else values
            )
        if not isinstance(kind, str) or kind not in KEYS:
            raise unknown_value(f"{path}.kind", kind, list(KEYS))
        self.kind = str(kind)
        self.entry = Entry(path, values, *KEYS[self.kind])

    def conditions(self) -> list[AnyCondition]:
        build: dict[str, Callable[[], list[AnyCondition]]] = {
            "dirichlet": self._dirichlet,
            "neumann": self._flux,
            "robin": self._flux,
            "initial": self._dirichlet,
            "velocity": self._velocity,
            "periodic": self._periodic,
            "observations": self._observations,
            "relation": self._relation,
            "interface": self._interface,
        }
        return build[self.kind]()

    def _dirichlet(self) -> list[AnyCondition]:
        piece = self._piece()
        given = self.entry.get("value")
        unsaid = self.entry.get("output") is None and len(self.setting.outputs) > 1
        several = isinstance(given, Mapping) or (given is None and unsaid)
        if not several:
            index = self._output()
            return [
                Condition(
                    self.name, piece, (), self._value(index), output=index, weight=self._weight()
                )
            ]
        # one entry for several outputs: a value for each
        names = self.setting.outputs if given is None else tuple(given)
        return [
            Condition(
                self.name if len(names) == 1 else f"{self.name}_{output}",
                piece,
                (),
                self._value(self._index(output), None if given is None else given[output], output),
                output=self._index(output),
                weight=self._weight(),
            )
            for output in names
        ]

    def _velocity(self) -> list[AnyCondition]:
        piece, axis = self._piece(), self.setting.domain.time_axis
        if axis is None:
            raise ConfigurationError(f"{self.entry.path} needs time")
        index = self._output()
        given = self.entry.get("value")
        if given is None:
            value: Field = Rate(self._exact(index), (axis,))
        else:
            value = self.setting.texts.field(self.entry.at("value"), given)
        return [
            Condition(self.name, piece, (axis,), value, output=index, weight=self._weight(10.0))
        ]

    def _flux(self) -> list[AnyCondition]:
        entry, texts = self.entry, self.setting.texts
        index, given = self._output(), entry.get("value")
        known = {
            key: None if entry.get(key) is None else texts.field(entry.at(key), entry.get(key))
            for key in ("alpha", "beta")
        }
        value = None if given is None else texts.field(entry.at("value"), given)
        solution = self._exact(index) if given is None else None
        piece = self._piece()
        return [
            Flux(
                self.name,
                piece,
                weight=self._weight(10.0),
                value=value,
                solution=solution,
                zeroth=known["alpha"],
                normal=known["beta"],
                output=index,
            )
        ]

    def _periodic(self) -> list[AnyCondition]:
        axis_name, domain = self.entry.text("axis"), self.setting.domain
        if axis_name not in self.setting.coordinates:
            raise unknown_value(self.entry.at("axis"), axis_name, self.setting.coordinates)
        axis, piece = self.setting.coordinates.index(axis_name), f"{axis_name}_min"
        if piece not in domain.names or f"{axis_name}_max" not in domain.names:
            raise ConfigurationError(
                f"{self.entry.at('axis')}: a periodic condition joins {piece} and {axis_name}_max, "
                f"and this domain has no such sides: it has {', '.join(domain.names)}. Use a box"
            )
        output = None if self.entry.get("output") is None else self._output()
        orders = range(max(1, self.setting.equation.order(axis_name)))
        return [
            PeriodicCondition(
                self.name if order == 0 else f"{self.name}_{order}",
                piece,
                (axis,) * order,
                zero,
                axis,
                (domain.lower[axis], domain.upper[axis]),
                output=output,
                weight=self._weight(100.0 if order == 0 else 10.0),
            )
            for order in orders
        ]

    def _observations(self) -> list[AnyCondition]:
        entry, setting = self.entry, self.setting
        index = self._output()
        unsaid = entry.get("points") is not None and entry.get("values") is None
        exact = self._exact(index) if unsaid else None
        at, values = observed(
            entry,
            setting.coordinates,
            setting.outputs[index],
            setting.domain,
            setting.texts,
            exact,
            setting.folder,
        )
        return [
            Observations(
                self.name, self.name, at=at, values=values, output=index, weight=self._weight()
            )
        ]

    def _relation(self) -> list[AnyCondition]:
        equation, with_normals = self._equation()
        piece = self._piece()
        return [
            Relation(
                self.name,
                piece,
                weight=self._weight(10.0),
                equation=equation,
                with_normals=with_normals,
            )
        ]

    def _interface(self) -> list[AnyCondition]:
        equation, with_normals = self._equation()
        surface, piece = self.setting.shape(self.entry.at("shape"), self.entry.get("shape"))
        probes = surface.sample_piece(piece, SobolSampler(0), _PROBES)
        outside = int((~self.setting.domain.contains(probes)).sum())
        if outside and self.entry.get("where") is None:
            raise ConfigurationError(
                f"{self.entry.at('shape')}: {outside} of {_PROBES} points of its boundary lie "
                "outside the domain, where nothing is solved: make it smaller, or leave them out "
                "with where"
            )
        if self.entry.get("where") is not None:
            predicate = self.setting.texts.predicate(
                self.entry.at("where"), self.entry.get("where")
            )
            whole, piece = piece, self._new_name(surface.names)
            surface = surface.piece_where(piece, whole, predicate)
        return [
            Relation(
                self.name,
                piece,
                weight=self._weight(10.0),
                equation=equation,
                with_normals=with_normals,
                surface=surface,
            )
        ]

    def _equation(self) -> tuple[Equation, bool]:
        given, where = self.entry.get("equation"), self.entry.at("equation")
        setting = self.setting
        return relation_equation(
            equation_texts(where, given),
            where,
            setting.equation,
            setting.values,
            setting.domain.time_axis,
        )

    # -- what many kinds have ------------------------------------------------------------------

    def _piece(self) -> str:
        domain = self.setting.domain
        at_start = self.kind in ("initial", "velocity")
        if at_start and domain.time_axis is None:
            raise ConfigurationError(
                f"{self.entry.path} is an initial condition, and the problem has no time: add "
                "'t' to the coordinates and time: [start, end], or take kind: dirichlet"
            )
        piece = INITIAL if at_start else self.entry.text("piece", BOUNDARY)
        if piece == BOUNDARY and BOUNDARY not in domain.names:
            raise ConfigurationError(
                f"{self.entry.path} is on the boundary of space, and the problem is in t alone: "
                "take kind: initial or velocity for the start, or piece: final for the end"
            )
        if piece not in domain.names:
            raise unknown_value(self.entry.at("piece"), piece, domain.names)
        where = self.entry.get("where")
        if where is None:
            return str(piece)
        predicate = self.setting.texts.predicate(self.entry.at("where"), where)
        part = self._new_name(domain.names)
        self.setting.domain = domain.piece_where(part, str(piece), predicate)
        return part

    def _new_name(self, taken: Sequence[str]) -> str:
        """What the part of a piece is called: as the condition, unless something else is."""
        name = self.name
        while name in (*taken, *RESERVED):
            name += "_part"
        return name

    def _weight(self, usual: float = 100.0) -> float:
        weight = finite(self.entry.at("weight"), self.entry.get("weight", usual))
        if weight < 0:
            raise ConfigurationError(
                f"{self.entry.at('weight')} must not be negative; got {weight}"
            )
        return weight

    def _index(self, name: Any) -> int:
        if name not in self.setting.outputs:
            raise unknown_value(self.entry.at("output"), name, self.setting.outputs)
        return self.setting.outputs.index(name)

    def _output(self) -> int:
        name, outputs = self.entry.text("output"), self.setting.outputs
        if name is not None:
            return self._index(name)
        if len(outputs) == 1:
            return 0
        raise ConfigurationError(
            f"{self.entry.path} must say which of {', '.join(outputs)} it is about: add "
            f"output: {outputs[0]}"
        )

    def _value(self, index: int, given: Any = None, output: str = "") -> Field:
        given = self.entry.get("value") if given is None else given
        if given is None:
            return self._exact(index)
        where = self.entry.at("value") + (f".{output}" if output else "")
        return self.setting.texts.field(where, given)

    def _exact(self, index: int) -> Field:
        if self.setting.solution is None:
            raise ConfigurationError(
                f"{self.entry.path} lacks a value, and the problem has no exact solution to take "
                "it from"
            )
        return (
            OutputOf(self.setting.solution, index)
            if len(self.setting.outputs) > 1
            else self.setting.solution
        )


@dataclass(frozen=True)
class OutputOf:
    """One output of a function, (N, D) -> (N, 1)."""

    function: Field
    output: int

    def __call__(self, x: Tensor) -> Tensor:
        return self.function(x)[..., self.output : self.output + 1]
