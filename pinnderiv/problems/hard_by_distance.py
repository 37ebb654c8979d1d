"""Which conditions can be built into the network on domains that are no box, by distances."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import torch
from torch import Tensor

from pinnderiv.derivatives import partial
from pinnderiv.domains import Domain, SobolSampler, SpaceTime
from pinnderiv.equations import TextField
from pinnderiv.equations.text.expression import atoms
from pinnderiv.errors import ArgumentError, UnsupportedOperationError
from pinnderiv.problems.conditions import AnyCondition, Condition, Field
from pinnderiv.problems.texts import Constant, is_zero

_PROBES = 64
_INSIDE = 512
# Points of a piece that are to show whether it touches another, and how near is touching, as a
# part of the domain's diameter.
_EDGE_PROBES, _TOUCHING = 4096, 0.01
_ON = 1e-7
_TOLERANCE = 1e-9
# A value that is so much larger inside than where it is given has a singularity there.
_WILD = 1e3


@dataclass(frozen=True)
class Built:
    """What is built in by distances.

    Attributes:
        arguments: of :class:`pinnderiv.networks.DistanceConstraint`, after the network.
        met: names of the conditions that then hold exactly.
        advised: whether that is smooth: distances with bounded derivatives, and values that are
            the same number on all of a piece and do not meet others.
    """

    arguments: dict[str, Any]
    met: tuple[str, ...]
    advised: bool


@dataclass
class _Group:
    """Conditions with the same function for a value, and the parts of the boundary they are on."""

    value: Field
    conditions: list[Condition]
    parts: list[str]


def built_by_distance(
    domain: Domain, about: Sequence[AnyCondition], initial: Sequence[Condition]
) -> Built | None:
    """What can be built into one output of the network; ``None`` for nothing.

    Args:
        domain: of the problem; its boundary has smooth distances.
        about: the conditions on that output.
        initial: those of them at the start: none, u, or u and u_t.

    Raises:
        ArgumentError: no smooth distance is known, a value cannot be continued into the domain, or
            conditions contradict each other where they meet.
    """
    given = [each for each in about if isinstance(each, Condition) and _gives_values(domain, each)]
    if not given and not initial:
        return None
    try:
        inside = domain.sample(SobolSampler(0), _INSIDE)
        groups = _groups(domain, about, given)
        distances = [[_Distance(domain, part) for part in each.parts] for each in groups]
        lengths = [[float(d(inside).median()) for d in each] for each in distances]
    except UnsupportedOperationError as error:
        raise ArgumentError(f"{error} Use loss terms.") from error
    start, rate = (*(each.value for each in initial), None, None)[:2]
    for each in groups:
        _require_tame(domain, each, inside)
    touching = [_touch(domain, *pair) for pair in combinations(groups, 2)]
    rates = [_rate(each.value, domain.dim - 1) for each in groups if len(initial) == 2]
    for n, each in enumerate(groups):
        _require_start(domain, each, start, rates[n] if rates else None, rate)
    fields = [*(each.value for each in groups), start, rate]
    zero = all(each is None or is_zero(each) for each in fields)
    whole = {c.name for g in groups for c in g.conditions} | {each.name for each in initial}
    arguments = {
        "inputs": domain.dim,
        "distances": distances,
        "lengths": lengths,
        "values": None if zero else [_or_none(each.value) for each in groups],
    }
    if initial and isinstance(domain, SpaceTime):
        arguments |= {"duration": domain.duration, "time_order": len(initial)}
        if not zero:
            arguments |= {"start": _or_none(start), "velocity": _or_none(rate)}
    if rates and not zero:
        arguments["rates"] = [_or_none(each) for each in rates]
    smooth = all(domain.smooth(part) for each in groups for part in each.parts)
    constant = all(_is_constant(each.value) for each in groups)
    names = tuple(each.name for each in about if each.name in whole)
    return Built(arguments, names, smooth and constant and not any(touching))


@dataclass(frozen=True)
class _Distance:
    """The smooth distance to a part of the boundary, (*batch, D) -> (*batch, 1)."""

    domain: Domain
    part: str

    def __call__(self, x: Tensor) -> Tensor:
        return self.domain.piece_distance(self.part, x)


def _gives_values(domain: Domain, each: Condition) -> bool:
    """Whether a condition gives values of u on whole pieces of the boundary of space."""
    return (
        type(each) is Condition
        and not each.partial
        and each.surface is None
        and each.piece not in ("initial", "final")
        and not _by_predicate(domain, each.piece)
    )


def _by_predicate(domain: Domain, name: str) -> bool:
    space = domain.space if isinstance(domain, SpaceTime) else domain
    return name not in ("initial", "final") and (
        domain.root(name) != name or space.root(name) != name
    )


def _groups(
    domain: Domain, about: Sequence[AnyCondition], given: Sequence[Condition]
) -> list[_Group]:
    """The parts of the boundary that have values, by the function that gives them."""
    points = dict(_smallest_parts(domain))
    owner: dict[str, Condition] = {}
    covered = {
        each.name: [name for name, x in points.items() if _on(domain, each.piece, x)]
        for each in given
    }
    # the condition on less of the boundary says more of it than the one on more
    for each in sorted(given, key=lambda c: len(covered[c.name])):
        for name in covered[each.name]:
            owner.setdefault(name, each)
    _require_free_of_cuts(domain, about, owner)
    groups: list[_Group] = []
    for name, condition in owner.items():
        same = [g for g in groups if _same(g.value, condition.value)]
        if not same:
            groups.append(_Group(condition.value, [], []))
            same = groups[-1:]
        same[0].parts.append(name)
        if condition not in same[0].conditions:
            same[0].conditions.append(condition)
    return groups


def _smallest_parts(domain: Domain) -> Iterator[tuple[str, Tensor]]:
    """Names that together are the boundary of space and have no others in them, with points."""
    found: dict[str, Tensor] = {}
    for name in domain.names:
        if name in ("initial", "final") or _by_predicate(domain, name):
            continue
        try:
            found[name] = domain.sample_piece(name, SobolSampler(0), _PROBES)
        except ArgumentError:
            continue  # a face that another shape has cut off
    inside = {
        (a, b): a != b and _on(domain, b, points) for a, points in found.items() for b in found
    }
    names = list(found)
    for n, name in enumerate(names):
        smaller = any(inside[other, name] and not inside[name, other] for other in names)
        twin = any(inside[other, name] and inside[name, other] for other in names[:n])
        if not smaller and not twin:
            yield name, found[name]


def _size(domain: Domain) -> float:
    space = domain.space if isinstance(domain, SpaceTime) else domain
    return float(torch.dist(torch.tensor(space.lower), torch.tensor(space.upper)))


def _on(domain: Domain, piece: str, points: Tensor) -> bool:
    return bool((domain.piece_distance(piece, points) <= _ON * _size(domain)).all())


def _require_free_of_cuts(
    domain: Domain, about: Sequence[AnyCondition], owner: dict[str, Condition]
) -> None:
    """Where a predicate gives other values on a part of a piece, that piece has no one value.

    Raises:
        ArgumentError: there is such a part.
    """
    for each in about:
        if type(each) is not Condition or each.partial or each.surface is not None:
            continue
        if not each.piece or not _by_predicate(domain, each.piece):
            continue
        points = domain.sample_piece(each.piece, SobolSampler(0), _PROBES)
        for name, other in owner.items():
            gap = domain.piece_distance(name, points)
            if bool((gap <= _ON * _size(domain)).any()):
                raise ArgumentError(
                    f"the condition {each.name!r} holds where a predicate says, on a part of what "
                    f"{other.name!r} is about too, so that no smooth distance keeps them apart. "
                    "Use loss terms."
                )


def _same(one: Field, other: Field) -> bool:
    return one is other or bool(one == other) or (is_zero(one) and is_zero(other))


def _or_none(field: Field | None) -> Field | None:
    return None if field is None or is_zero(field) else field


def _rate(field: Field, time: int) -> Field:
    """The derivative by time."""
    if isinstance(field, Constant):
        return Constant(0.0)
    if isinstance(field, TextField):
        return field.derivative(field.coordinates[time])
    return partial(field, (time,), check=False)


def _spread(values: Tensor) -> float:
    return float(values.abs().max())


def _require_tame(domain: Domain, group: _Group, inside: Tensor) -> None:
    """Values are continued by their own formula, which may have no values inside.

    Raises:
        ArgumentError: it is not finite there, or far larger than where it was given.
    """
    if is_zero(group.value):
        return
    given = torch.cat([domain.sample_piece(p, SobolSampler(0), _PROBES) for p in group.parts])
    size, within = _spread(group.value(given).detach()), group.value(inside).detach()
    if not bool(within.isfinite().all()) or _spread(within) > _WILD * max(size, 1e-300):
        raise ArgumentError(
            f"the value of {group.conditions[0].name!r} has no continuation into the domain: its "
            f"formula gives {_spread(within):.3g} inside, and at most {size:.3g} on the boundary. "
            "Use loss terms."
        )


def _is_constant(field: Field) -> bool:
    return isinstance(field, Constant) or (
        isinstance(field, TextField) and not atoms(field.expression)
    )


def _touch(domain: Domain, first: _Group, second: _Group) -> bool:
    """Whether pieces of two groups meet.

    Raises:
        ArgumentError: their values differ there, so that they cannot both hold.
    """
    length, touch = _size(domain), False
    for one, other in ((first, second), (second, first)):
        for part in one.parts:
            x = domain.sample_piece(part, SobolSampler(0), _EDGE_PROBES)
            gap = domain.piece_distance(other.parts, x)[:, 0] / length
            values, others = one.value(x).detach(), other.value(x).detach()
            near = gap < _TOUCHING
            if not bool(near.any()):
                continue
            touch = True
            size = max(_spread(values), _spread(others))
            apart = (values - others).abs()[near, 0]
            # where they agree, what parts them shrinks with the distance
            if bool((apart > (20 * gap[near] + 1e-6) * size).any()):
                raise ArgumentError(
                    f"the values of {first.conditions[0].name!r} and "
                    f"{second.conditions[0].name!r} differ where they meet, so that they cannot "
                    "all hold exactly. Use loss terms."
                )
    return touch


def _require_start(
    domain: Domain, group: _Group, start: Field | None, slope: Field | None, rate: Field | None
) -> None:
    """The data at the start must be those of the boundary where it begins.

    Raises:
        ArgumentError: they are not.
    """
    if start is None:
        return
    x = torch.cat([domain.sample_piece(p, SobolSampler(0), _PROBES) for p in group.parts])
    x[:, -1] = domain.lower[-1]
    checks: list[tuple[str, Callable[[Tensor], Tensor], Callable[[Tensor], Tensor]]] = [
        ("the start", group.value, start)
    ]
    if slope is not None and rate is not None:
        checks.append(("the velocity at the start", slope, rate))
    for what, one, other in checks:
        first, second = one(x).detach(), other(x).detach()
        scale = max(_spread(first), _spread(second), 1.0)
        if not _spread(first - second) <= _TOLERANCE * scale:
            raise ArgumentError(
                f"the values of u differ where {group.conditions[0].name!r} and {what} meet, so "
                "that they cannot all hold exactly. Use loss terms."
            )
