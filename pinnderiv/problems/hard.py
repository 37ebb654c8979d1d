"""Which conditions of a problem can be built into the network, and out of what."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from pinnderiv.derivatives import partial
from pinnderiv.domains import Box, Domain, SobolSampler, SpaceTime
from pinnderiv.errors import ArgumentError
from pinnderiv.problems.conditions import AnyCondition, Condition, Field, PeriodicCondition
from pinnderiv.problems.hard_by_distance import built_by_distance
from pinnderiv.problems.texts import is_zero

Wall = tuple[int, int]
"""Column of the axis that it is across, and 0 for the lower end or 1 for the upper."""

_EVERYWHERE = ("walls", "boundary")
_INITIAL = "initial"
# Points where two pieces meet, and how far their values may differ there.
_PROBES = 16
_TOLERANCE = 1e-9


@dataclass(frozen=True)
class HardPart:
    """What is built into one output.

    Attributes:
        arguments: after the network, of :class:`pinnderiv.networks.HardConstraint` on a box, and
            of :class:`pinnderiv.networks.DistanceConstraint` on other domains.
        met: names of the conditions that then hold exactly.
        form: which of the two.
        advised: whether it is smooth enough to serve better than terms of the loss.
    """

    arguments: dict[str, Any]
    met: tuple[str, ...]
    form: Literal["box", "distance"] = "box"
    advised: bool = True


def hard_part(
    domain: Domain,
    conditions: Sequence[AnyCondition],
    output: int,
    time_order: int,
    periodic: Sequence[int] = (),
) -> HardPart | None:
    """What can be built into one output of the network; ``None`` for nothing.

    Args:
        domain: of the problem.
        conditions: of the problem.
        output: index of the output.
        time_order: how often the equation differentiates it by time.
        periodic: columns along which the network is to be periodic itself.

    Raises:
        ArgumentError: no smooth distance to the boundary is known, or conditions contradict each
            other where they meet.
    """
    space = domain.space if isinstance(domain, SpaceTime) else domain
    about = [each for each in conditions if getattr(each, "output", None) in (None, output)]
    initial = _initial(about, domain.time_axis, time_order)
    if not isinstance(space, Box):
        built = built_by_distance(domain, about, initial)
        if built is None:
            return None
        return HardPart(built.arguments, built.met, "distance", built.advised)
    faces = _faces(domain, about, periodic)
    if not faces and not initial and not periodic:
        return None
    rate = initial[1].value if len(initial) == 2 else None
    values = {wall: each.value for wall, each in faces.items()}
    start = initial[0].value if initial else None
    _require_agreement(domain, values, start, rate)
    _require_repeats(domain, (*values.values(), start, rate), periodic)
    full = {(a, s) for a in range(space.dim) if a not in periodic for s in (0, 1)}
    walls = None if set(faces) == full and (initial or domain.time_axis is None) else tuple(faces)
    # one for all walls holds on periodic ones too, where nothing is built in
    whole = [each for each in faces.values() if not periodic or each.piece not in _EVERYWHERE]
    met = {each.name for each in (*whole, *initial)}
    met |= {
        each.name for each in about if isinstance(each, PeriodicCondition) and each.axis in periodic
    }
    value = _one(values, start)
    if rate is None or is_zero(rate):
        # without data there is nothing to lift
        nothing = value is None or (not isinstance(value, dict) and is_zero(value))
        value, rate = (None, None) if nothing else (value, rate)
    return HardPart(
        {
            "lower": domain.lower,
            "upper": domain.upper,
            "value": value,
            "time_axis": domain.time_axis if initial else None,
            "time_order": len(initial),
            "velocity": rate,
            **({} if not periodic else {"periodic": tuple(sorted(periodic))}),
            **({} if walls is None else {"walls": walls}),
        },
        # a condition on several walls holds only if it is met on each of them
        tuple(name for name in dict.fromkeys(each.name for each in about) if name in met),
    )


def _faces(
    domain: Domain, about: list[AnyCondition], periodic: Sequence[int]
) -> dict[Wall, Condition]:
    """The walls that have values of u, each with its condition."""
    found: dict[Wall, Condition] = {}
    names = _wall_names(domain)
    for condition in about:
        if type(condition) is not Condition or condition.partial or condition.surface:
            continue
        for name, wall in names.items():
            holds = condition.piece in (*_EVERYWHERE, name) and wall[0] not in periodic
            # the entry that names a single wall says more than one for all of them
            if holds and (wall not in found or condition.piece == name):
                found[wall] = condition
    return found


def _wall_names(domain: Domain) -> dict[str, Wall]:
    space = domain.space if isinstance(domain, SpaceTime) else domain
    sides = [name for name in space.names if name.endswith(("_min", "_max"))]
    return {name: (index // 2, index % 2) for index, name in enumerate(sides)}


def _initial(about: list[AnyCondition], time_axis: int | None, time_order: int) -> list[Condition]:
    """The conditions at the start, one for each order in time, or none if they are not complete."""
    if time_axis is None or time_order not in (1, 2):
        return []
    found: list[Condition] = []
    for order in range(time_order):
        partial_ = (time_axis,) * order
        fit = [
            each
            for each in about
            if isinstance(each, Condition) and each.piece == _INITIAL and each.partial == partial_
        ]
        if len(fit) != 1:
            return []
        found.append(fit[0])
    return found


def _same(one: Field, other: Field) -> bool:
    return one is other or bool(one == other)


def _one(values: dict[Wall, Field], start: Field | None) -> Field | dict[Wall | None, Field] | None:
    """One function for all walls and the start, or one for each."""
    every = [*values.values(), *([] if start is None else [start])]
    if not every:
        return None
    if all(_same(each, every[0]) or (is_zero(each) and is_zero(every[0])) for each in every):
        return every[0]
    found: dict[Wall | None, Field] = dict(values.items())
    if start is not None:
        found[None] = start
    return found


def _require_agreement(
    domain: Domain,
    values: dict[Wall, Field],
    start: Field | None,
    rate: Field | None,
) -> None:
    """Values that differ where two walls, or a wall and the start, meet cannot all hold exactly.

    Raises:
        ArgumentError: they differ.
    """
    for what, one, other, points in _meetings(domain, values, start, rate):
        first, second = one(points).detach(), other(points).detach()
        size = max(float(first.abs().max()), float(second.abs().max()), 1.0)
        if not float((first - second).abs().max()) <= _TOLERANCE * size:
            raise ArgumentError(
                f"the values of u differ where {what} meet, so that they cannot all hold exactly. "
                "Use loss terms."
            )


def _require_repeats(
    domain: Domain, fields: Sequence[Field | None], periodic: Sequence[int]
) -> None:
    """What is given must repeat where u does, else what is made of it does not.

    Raises:
        ArgumentError: it does not.
    """
    names = {wall: name for name, wall in _wall_names(domain).items()}
    for axis in periodic:
        ends = [_inside(domain) for _ in range(2)]
        for side, points in enumerate(ends):
            points[:, axis] = (domain.lower, domain.upper)[side][axis]
        for field in fields:
            if field is None:
                continue
            first, second = (field(points).detach() for points in ends)
            if not float((first - second).abs().max()) <= _TOLERANCE * max(
                float(first.abs().max()), 1.0
            ):
                raise ArgumentError(
                    f"u is periodic, and the values given elsewhere differ between "
                    f"{names[axis, 0]} and {names[axis, 1]}, so that they cannot all hold exactly. "
                    "Use loss terms."
                )


def _inside(domain: Domain) -> Tensor:
    inside = SobolSampler(0).draw(_PROBES, domain.dim)
    lower = torch.tensor(domain.lower, dtype=torch.float64)
    return lower + inside * (torch.tensor(domain.upper, dtype=torch.float64) - lower)


def _meetings(
    domain: Domain, values: dict[Wall, Field], start: Field | None, rate: Field | None
) -> Iterator[tuple[str, Field, Field, Tensor]]:
    names = {wall: name for name, wall in _wall_names(domain).items()}
    inside = _inside(domain)

    def on(*walls: Wall) -> Tensor:
        points = inside.clone()
        for axis, side in walls:
            points[:, axis] = (domain.lower, domain.upper)[side][axis]
        return points

    listed = list(values.items())
    for index, (wall, field) in enumerate(listed):
        for other, another in listed[index + 1 :]:
            if wall[0] != other[0] and not _same(field, another):
                yield f"{names[wall]} and {names[other]}", field, another, on(wall, other)
        time = domain.time_axis
        if start is None or time is None:
            continue
        beginning = on(wall, (time, 0))
        if not _same(field, start):
            yield f"{names[wall]} and the start", field, start, beginning
        if rate is not None:
            slope = partial(field, (time,), check=False)
            yield f"{names[wall]} and the velocity at the start", slope, rate, beginning
