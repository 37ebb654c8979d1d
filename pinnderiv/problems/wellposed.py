"""Whether a problem says enough to have a solution, asked before any training."""

from __future__ import annotations

from collections.abc import Sequence

from pinnderiv.domains import Domain
from pinnderiv.equations import Equation
from pinnderiv.errors import ConfigurationError
from pinnderiv.problems.conditions import (
    AnyCondition,
    Condition,
    Flux,
    Observations,
    PeriodicCondition,
    Relation,
)

_INITIAL = "initial"


def check_well_posed(
    equation: Equation,
    domain: Domain,
    conditions: Sequence[AnyCondition],
    outputs: Sequence[str],
    coordinates: Sequence[str],
) -> None:
    """Refuses a problem that obviously lacks something.

    Observations of an output, or a relation that may say anything, count for whatever is
    missing: with them nobody but the user can know.

    Args:
        equation: of the problem.
        domain: where it holds.
        conditions: all of them.
        outputs: the unknowns.
        coordinates: the columns.

    Raises:
        ConfigurationError: an output with no equation; a coordinate in which the equation is
            of some order, and too few conditions for it; a piece of the boundary without one.
    """
    if equation.count < len(outputs):
        raise ConfigurationError(
            f"there are {len(outputs)} outputs ({', '.join(outputs)}) and {equation.count} "
            f"equation{'s' * (equation.count > 1)}: a system needs one for each output"
        )
    free = any(isinstance(each, Relation | Observations) for each in conditions)
    for index, output in enumerate(outputs):
        about = [each for each in conditions if _about(each, index)]
        if domain.time_axis is not None and not free:
            _check_time(equation, domain, about, output, coordinates[domain.time_axis])
        if not free:
            _check_space(equation, domain, about, output, coordinates)
    if not free and equation.count > 1:
        on_boundary = [each for each in conditions if each.piece != _INITIAL]
        if not on_boundary and any(equation.order(c) for c in coordinates if c != "t"):
            raise ConfigurationError(
                "there is no condition on the boundary: add one under conditions, such as "
                "{walls: {piece: boundary, value: 0}}"
            )


def _about(condition: AnyCondition, index: int) -> bool:
    output = getattr(condition, "output", None)
    return output is None or output == index


def _check_time(
    equation: Equation, domain: Domain, about: list[AnyCondition], output: str, time: str
) -> None:
    order = equation.order(time, output)
    axis = domain.time_axis
    given = {
        each.partial.count(axis)
        for each in about
        if isinstance(each, Condition) and domain.root(each.piece) == _INITIAL
    }
    if any(isinstance(each, PeriodicCondition) and each.axis == axis for each in about):
        return
    for missing in set(range(order)) - given:
        name, kind = ((output, "initial"), (f"{output}_{time}", "velocity"))[min(missing, 1)]
        raise ConfigurationError(
            f"the equation is of order {order} in {time} for {output}, and there is no condition "
            f"for {name} at the start: add one under conditions, such as {{start_{kind}: {{kind: "
            f"{kind}, value: 0}}}}"
        )


def _check_space(
    equation: Equation,
    domain: Domain,
    about: list[AnyCondition],
    output: str,
    coordinates: Sequence[str],
) -> None:
    """Each piece of the boundary across which the equation is of second order has a condition."""
    axes = [i for i in range(domain.dim) if i != domain.time_axis]
    orders = {axis: equation.order(coordinates[axis], output) for axis in axes}
    needy = [axis for axis in axes if orders[axis] >= 2]
    simple = [axis for axis in axes if orders[axis] == 1 and equation.count == 1]
    covered = {
        domain.root(each.piece)
        for each in about
        if isinstance(each, Condition | Flux) and each.surface is None
    }
    periodic = {each.axis for each in about if isinstance(each, PeriodicCondition)}
    if covered & {"boundary", "walls"}:
        return
    for axis in (*needy, *simple):
        sides = [f"{coordinates[axis]}_min", f"{coordinates[axis]}_max"]
        if axis in periodic or not set(sides) <= set(domain.names):
            continue
        bare = [side for side in sides if side not in covered]
        if len(bare) > (0 if axis in needy else 1):
            raise ConfigurationError(
                f"the equation is of order {orders[axis]} in {coordinates[axis]} for {output}, and "
                f"there is no condition for {output} on {' or '.join(bare)}: add one under "
                f"conditions, such as {{{bare[0]}: {{piece: {bare[0]}, value: 0}}}}, or "
                f"{{wrap: {{kind: periodic, axis: {coordinates[axis]}}}}}"
            )
    if not needy:
        return
    pieces = [piece for piece in domain.pieces if piece not in (_INITIAL, "walls")]
    for piece in pieces:
        if piece not in covered:
            raise ConfigurationError(
                f"there is no condition for {output} on the piece {piece} of the boundary: add one "
                f"under conditions, such as {{{piece}: {{piece: {piece}, value: 0}}}}"
            )
