"""Problems as they stand in a file: coordinates, equation, domain, conditions, what to measure."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import nn

from pinnderiv.domains import Domain, UniformSampler
from pinnderiv.equations import Equation, GridFunction, Trainable
from pinnderiv.errors import ArgumentError, ConfigurationError, PinnderivError
from pinnderiv.problems.conditions import Field
from pinnderiv.problems.consistency import check_values
from pinnderiv.problems.entries import equation_texts, readable, sequence
from pinnderiv.problems.geometry import domain_of, shape_of
from pinnderiv.problems.kinds import Setting, conditions_of
from pinnderiv.problems.parameters import parameters_of, plain, require_use
from pinnderiv.problems.problem import Problem
from pinnderiv.problems.reference import Reference, read_reference
from pinnderiv.problems.relations import System
from pinnderiv.problems.texts import Texts, used_in
from pinnderiv.problems.wellposed import check_well_posed, require_enough

EXACT = "exact"


def pde_problem(
    coordinates: Any,
    equation: Any,
    domain: Any = None,
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
        domain: one shape, such as ``{"box": {"lower": [0, 0], "upper": [1, 1]}}``; None for an
            ordinary differential equation, whose only coordinate is ``t``.
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
    values = parameters_of({} if parameters is None else parameters, columns, unknowns, here)
    require_use(values, [equation, domain, conditions, time, source, exact, parameters])
    texts = Texts(columns, plain(values))
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
        shape=lambda path, given: shape_of(path, given, time, texts, here, space_time),
    )
    found = conditions_of({} if conditions is None else conditions, setting)
    # conditions that hold on a part of a piece have added it
    space_time = setting.domain
    _require_whole(values, pde)
    check_well_posed(pde, space_time, found, unknowns, columns)
    problem = Problem(
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
    check_values(problem)
    return problem


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


def _require_points(domain: Domain) -> None:
    """A domain with nothing in it is better refused now than by the sampler later."""
    try:
        domain.sample(UniformSampler(0), 8)
    except ArgumentError as error:
        raise ConfigurationError(f"domain: {error}") from error


def _equation(
    given: Any, columns: tuple[str, ...], unknowns: tuple[str, ...], values: Mapping[str, Any]
) -> Equation:
    texts = equation_texts("equation", given)
    require_enough(len(texts), unknowns)
    kind = Equation if len(texts) == 1 else System
    try:
        return kind(given, columns, unknowns, **used_in(texts, values))
    except PinnderivError as error:
        raise ConfigurationError(f"equation: {error}") from error


def _require_whole(values: Mapping[str, Any], equation: Equation) -> None:
    """What is to be found must have a part in the equation, or in a relation."""
    for name, each in values.items():
        found = (*equation.trainable, *equation.networks)
        sought = isinstance(each, Trainable | nn.Module) and not isinstance(each, GridFunction)
        if sought and name not in found:
            raise ConfigurationError(
                f"parameters.{name} is to be trained, and occurs in no equation: only "
                "equations and relations can determine it"
            )


def _source(given: Any, equation: Equation, solution: Field | None, texts: Texts) -> Field | None:
    if given is None:
        return None
    if given == EXACT:
        if solution is None:
            raise ConfigurationError("source: exact needs the exact solution: add exact")
        _require_true_values(equation)
        return equation.source_for(solution)
    return texts.fields("source", given, equation.names)


def _require_true_values(equation: Equation) -> None:
    """Refuses to make a source of an equation in which something is not known."""
    missing = sorted((set(equation.trainable) - set(equation.true)) | set(equation.networks))
    if missing:
        raise ConfigurationError(
            f"source: exact is what the equation makes of exact, and the true value of "
            f"{missing[0]} is not known: give the source as text"
            + (f", or parameters.{missing[0]}.true" if missing[0] in equation.trainable else "")
        )


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
    return read_reference(readable("reference", given, folder), columns, unknowns)
