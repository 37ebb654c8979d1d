"""Problems as they stand in a file: coordinates, equation, domain, conditions, what to measure."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from pinnderiv.domains import Domain, UniformSampler
from pinnderiv.equations import Equation, GridFunction, Trainable
from pinnderiv.errors import ArgumentError, ConfigurationError, PinnderivError
from pinnderiv.problems.conditions import Field
from pinnderiv.problems.entries import Entry, finite, sequence
from pinnderiv.problems.geometry import domain_of, shape_of
from pinnderiv.problems.kinds import Setting, conditions_of
from pinnderiv.problems.problem import Problem
from pinnderiv.problems.reference import Reference, read_reference
from pinnderiv.problems.texts import Texts, used_in
from pinnderiv.problems.wellposed import check_well_posed

EXACT = "exact"
_PARAMETER = ("value", "trainable", "true", "file", "network")
_NETWORK = ("width", "depth", "positive")


def pde_problem(
    coordinates: Any,
    equation: Any,
    domain: Any,
    conditions: Any = None,
    outputs: Any = None,
    time: Any = None,
    parameters: Any = None,
    source: Any = None,
    exact: Any = None,
    reference: Any = None,
    name: str = "pde",
    title: str | None = None,
    folder: str | None = None,
) -> Problem:
    """A problem out of plain values, as a YAML file holds them (docs/problems.md has the schema).

    Args:
        coordinates: names of the columns; time is ``t`` and stands last.
        equation: text, a list of them, or a mapping from names to them.
        domain: one shape, such as ``{"box": {"lower": [0, 0], "upper": [1, 1]}}``.
        conditions: a mapping from names to conditions.
        outputs: names of the unknowns; ``["u"]`` unless given.
        time: ``[start, end]``, where ``t`` is a coordinate.
        parameters: a mapping from the names of coefficients to a number, text, or a mapping that
            says what the coefficient is.
        source: the right-hand side as text, one for each equation; ``"exact"`` for the one that
            makes ``exact`` the solution.
        exact: the exact solution as text, one for each output.
        reference: a file of values to measure against.
        name, title: of the problem.
        folder: where the names of files begin; the present folder unless given.

    Returns:
        The problem.

    Raises:
        ConfigurationError: something is misspelt, missing or contradicts something else; the
            message says where, and how to mend it.
    """
    here = Path(folder or ".")
    columns = _names("coordinates", coordinates)
    unknowns = _names("outputs", ["u"] if outputs is None else outputs)
    if set(columns) & set(unknowns):
        raise ConfigurationError(f"coordinates and outputs share {set(columns) & set(unknowns)}")
    _check_time(columns, time)
    values = _parameters(parameters or {}, columns, here)
    constants = {key: each for key, each in values.items() if isinstance(each, float | str)}
    texts = Texts(columns, constants)
    space_time = domain_of(domain, time, texts, here)
    _require_points(space_time)
    pde = _equation(equation, columns, unknowns, values)
    solution = None if exact is None else texts.fields(EXACT, exact, unknowns)
    setting = Setting(
        coordinates=columns,
        outputs=unknowns,
        equation=pde,
        domain=space_time,
        texts=texts,
        values=values,
        solution=solution,
        folder=here,
        shape=lambda path, given: shape_of(path, given, time, texts, here),
    )
    found = conditions_of(conditions or {}, setting)
    # conditions that hold on a part of a piece have added it
    space_time = setting.domain
    check_well_posed(pde, space_time, found, unknowns, columns)
    return Problem(
        name=name,
        title=title or name,
        domain=space_time,
        equation=pde,
        solution=solution,
        conditions=found,
        homogeneous=source is None,
        outputs=unknowns,
        right_hand_side=_source(source, pde, solution, texts),
        measured=_reference(reference, solution, columns, unknowns, here),
    )


def _names(path: str, given: Any) -> tuple[str, ...]:
    names = [given] if isinstance(given, str) else sequence(path, given)
    if not names or not all(isinstance(each, str) and each.isidentifier() for each in names):
        raise ConfigurationError(
            f"{path} must be a list of names made of letters and digits, such as [x, t]; got "
            f"{given!r}"
        )
    if len(set(names)) < len(names):
        raise ConfigurationError(f"{path} must differ from each other; got {names}")
    return tuple(names)


def _check_time(columns: tuple[str, ...], time: Any) -> None:
    if "t" in columns and columns[-1] != "t":
        raise ConfigurationError(f"t must be the last of the coordinates; got {list(columns)}")
    if ("t" in columns) != (time is not None):
        what = "no time: [start, end]" if time is None else "no coordinate t"
        raise ConfigurationError(
            f"the problem has {'the coordinate t' if time is None else 'time'} and {what}: add "
            "what is missing"
        )
    if columns == ("t",):
        raise ConfigurationError("coordinates must have one of space besides t")


def _require_points(domain: Domain) -> None:
    """A domain with nothing in it is better refused now than by the sampler later."""
    try:
        domain.sample(UniformSampler(0), 8)
    except ArgumentError as error:
        raise ConfigurationError(f"domain: {error}") from error


def _parameters(given: Any, columns: tuple[str, ...], folder: Path) -> dict[str, Any]:
    if not isinstance(given, Mapping):
        raise ConfigurationError(
            "parameters must be a mapping from names to values, such as {nu: 0.01}; got "
            f"{given!r}"
        )
    values: dict[str, Any] = {}
    # numbers first, so that text may use them whatever the order
    constants = {
        str(key): finite(f"parameters.{key}", each)
        for key, each in given.items()
        if isinstance(each, int | float) and not isinstance(each, bool)
    }
    for key, each in given.items():
        path = f"parameters.{key}"
        if key in constants:
            values[key] = constants[key]
        elif isinstance(each, str):
            values[key] = _text_parameter(path, each, columns, constants)
        else:
            values[str(key)] = _described(path, each, columns, constants, folder)
    return values


def _text_parameter(
    path: str, text: str, columns: tuple[str, ...], constants: Mapping[str, float]
) -> Any:
    """A number where the text is one; else the text, which the equation can take apart."""
    try:
        return Texts((), constants).number(path, text)
    except ConfigurationError:
        Texts(columns, constants).field(path, text)
        return text


def _described(
    path: str,
    given: Any,
    columns: tuple[str, ...],
    constants: Mapping[str, float],
    folder: Path,
) -> Any:
    entry = Entry(path, given, _PARAMETER)
    texts = Texts(columns, constants)
    what = [key for key in ("value", "trainable", "file", "network") if entry.get(key) is not None]
    if len(what) != 1:
        raise ConfigurationError(
            f"{path} must have one of value, trainable, file and network; got "
            f"{', '.join(what) or 'none'}"
        )
    if what == ["value"]:
        value = entry.get("value")
        if isinstance(value, str):
            return _text_parameter(path, value, columns, constants)
        return finite(entry.at("value"), value)
    true = entry.get("true")
    if what == ["trainable"]:
        initial = texts.number(entry.at("trainable"), entry.get("trainable"))
        return Trainable(
            initial, true=None if true is None else texts.number(entry.at("true"), true)
        )
    if what == ["network"]:
        inner = Entry(entry.at("network"), entry.get("network"), _NETWORK)
        width, depth = (
            _size(inner.at(k), inner.get(k, v)) for k, v in (("width", 16), ("depth", 2))
        )
        return _coefficient_network(len(columns), width, depth, bool(inner.get("positive", False)))
    return _grid(path, folder / str(entry.get("file")), columns)


def _size(path: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ConfigurationError(f"{path} must be a whole number of at least 1; got {value!r}")
    return value


def _coefficient_network(inputs: int, width: int, depth: int, positive: bool) -> nn.Module:
    layers: list[nn.Module] = []
    for layer in range(depth):
        layers += [nn.Linear(inputs if layer == 0 else width, width), nn.Tanh()]
    layers.append(nn.Linear(width, 1))
    if positive:
        layers.append(nn.Softplus())
    return nn.Sequential(*layers)


def _grid(path: str, file: Path, columns: tuple[str, ...]) -> GridFunction:
    """Values on a grid: an ``.npz`` with an axis for coordinates by their names, and ``values``."""
    try:
        return GridFunction.from_npz(file).over(columns)
    except (OSError, ValueError, PinnderivError) as error:
        raise ConfigurationError(f"{path}: '{file}' cannot be used: {error}") from error


def _equation(
    given: Any, columns: tuple[str, ...], unknowns: tuple[str, ...], values: Mapping[str, Any]
) -> Equation:
    if not isinstance(given, str | Mapping):
        given = sequence("equation", given)
    texts = list(given.values()) if isinstance(given, Mapping) else given
    used = used_in([texts] if isinstance(texts, str) else texts, values)
    idle = sorted(
        set(values) - set(used) - {k for k, v in values.items() if isinstance(v, float | str)}
    )
    if idle:
        raise ConfigurationError(f"parameters.{idle[0]} does not occur in the equation")
    try:
        return Equation(given, columns, unknowns, **used)
    except PinnderivError as error:
        raise ConfigurationError(f"equation: {error}") from error


def _source(given: Any, equation: Equation, solution: Field | None, texts: Texts) -> Field | None:
    if given is None:
        return None
    if given == EXACT:
        if solution is None:
            raise ConfigurationError("source: exact needs the exact solution: add exact")
        return Manufactured(equation, solution)
    return texts.fields("source", given, equation.names)


def _reference(
    given: Any,
    solution: Field | None,
    columns: tuple[str, ...],
    unknowns: tuple[str, ...],
    folder: Path,
) -> Reference | None:
    if given is None:
        return None
    if not isinstance(given, str):
        raise ConfigurationError(f"reference must be the name of a file; got {given!r}")
    if solution is not None:
        raise ConfigurationError("give exact or reference, not both: one is measured against")
    return read_reference(folder / given, columns, unknowns)


class Manufactured:
    """The source that makes a function the solution, (N, D) -> (N, number of equations).

    Args:
        equation: whose residual of the solution it is.
        solution: (N, D) -> (N, M).
    """

    def __init__(self, equation: Equation, solution: Field) -> None:
        self.equation, self.solution = equation, solution

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        return self.equation.residual(self.solution, x, check=False)
