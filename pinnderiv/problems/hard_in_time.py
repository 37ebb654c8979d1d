"""Which conditions of an ordinary differential equation in time can be built into the network."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pinnderiv.domains import TimeInterval
from pinnderiv.problems.conditions import AnyCondition, Condition, Field
from pinnderiv.problems.hard import HardPart, Wall
from pinnderiv.problems.texts import is_zero

_START: Wall = (0, 0)
_END: Wall = (0, 1)


def hard_part_in_time(
    domain: TimeInterval, conditions: Sequence[AnyCondition], output: int, time_order: int
) -> HardPart | None:
    """What can be built into one output of the network; ``None`` for nothing.

    The values at the start are built in as they are where there is space too: u, and u_t for an
    equation of second order. Where there is one at the end, or no complete set at the start, time
    is an axis like one of space, with u at its ends.

    Args:
        domain: of the problem.
        conditions: of the problem.
        output: index of the output.
        time_order: how often the equation differentiates it.
    """
    about = [each for each in conditions if type(each) is Condition and each.output == output]

    def only(piece: str, partial: tuple[int, ...]) -> list[Condition]:
        found = [each for each in about if (each.piece, each.partial) == (piece, partial)]
        # of two that say different things neither can be built in
        return found if len(found) == 1 else []

    start, rate, end = only("initial", ()), only("initial", (0,)), only("final", ())
    if start and ((time_order == 1 and not end) or (time_order == 2 and rate)):
        built = [*start, *(rate if time_order == 2 else [])]
        arguments = _from_start(*(each.value for each in built))
    elif start or end:
        built = [*start, *end]
        arguments = _at_ends({wall: each.value for wall, (each,) in _walls(start, end)})
    else:
        return None
    bounds = {"lower": domain.lower, "upper": domain.upper}
    return HardPart({**bounds, **arguments}, tuple(each.name for each in built))


def _walls(start: list[Condition], end: list[Condition]) -> list[tuple[Wall, list[Condition]]]:
    return [(wall, held) for wall, held in ((_START, start), (_END, end)) if held]


def _from_start(value: Field, rate: Field | None = None) -> dict[str, Any]:
    # without data there is nothing to lift
    nothing = is_zero(value) and (rate is None or is_zero(rate))
    return {
        "value": None if nothing else value,
        "time_axis": 0,
        "time_order": 1 if rate is None else 2,
        "velocity": None if nothing else rate,
    }


def _at_ends(values: dict[Wall, Field]) -> dict[str, Any]:
    nothing = all(is_zero(each) for each in values.values())
    return {
        "value": None if nothing else values,
        "time_axis": None,
        "time_order": 0,
        "velocity": None,
        "walls": tuple(values),
    }
