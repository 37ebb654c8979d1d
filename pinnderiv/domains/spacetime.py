"""Space-time: a domain in space, over an interval of time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Self

import torch
from torch import Tensor

from pinnderiv.domains.domain import Domain
from pinnderiv.domains.shape import like
from pinnderiv.domains.time_interval import check_duration
from pinnderiv.errors import ArgumentError

_ENDS = ("initial", "final")


class SpaceTime(Domain):
    """The cylinder ``space × [start, end]``, columns (x_1, …, x_d, t).

    Its boundary has the pieces of ``space``, each over the whole duration, and
    ``"initial"``: all of space at the start. The end carries no condition in an
    initial value problem, so it is no piece; but it has a name, ``"final"``.
    ``"boundary"`` is the boundary of space, and so is that of :meth:`distance`.

    Args:
        space: the domain in space.
        duration: the start and the end of time, in that order.

    Raises:
        ArgumentError: ``duration`` is not two finite numbers in rising order, or
            ``space`` has a time of its own.
    """

    def __init__(self, space: Domain, duration: Sequence[float]) -> None:
        if space.time_axis is not None:
            raise ArgumentError(
                f"space must be a domain without time; got a {type(space).__name__}."
            )
        self.duration = check_duration(duration)
        if not all(map(math.isfinite, (*space.lower, *space.upper))):
            raise ArgumentError(
                f"space must be bounded; got {space!r}. Intersect it with a box first."
            )
        self.space = space

    def __repr__(self) -> str:
        return f"SpaceTime({self.space!r}, duration={list(self.duration)})"

    def during(self, start: float, end: float) -> Self:
        """The same space over other times, with all names.

        Raises:
            ArgumentError: they are not two finite numbers in rising order.
        """
        made = self._copy()
        made.duration = check_duration((start, end))
        return made

    @property
    def lower(self) -> tuple[float, ...]:
        return (*self.space.lower, self.duration[0])

    @property
    def upper(self) -> tuple[float, ...]:
        return (*self.space.upper, self.duration[1])

    @property
    def pieces(self) -> tuple[str, ...]:
        return (*self.space.pieces, "initial")

    @property
    def time_axis(self) -> int:
        return self.space.dim

    @property
    def measure(self) -> float:
        return self.space.measure * self._length

    @property
    def measure_error(self) -> float:
        return self.space.measure_error * self._length

    @property
    def _length(self) -> float:
        return self.duration[1] - self.duration[0]

    def _faces(self) -> tuple[str, ...]:
        return ("final", *self.space.names)

    def _interior(self, unit: Tensor) -> Tensor:
        return self._join(self.space.interior(unit[:, :-1]), unit[:, -1])

    def _on_piece(self, name: str, unit: Tensor) -> Tensor:
        if name in _ENDS:
            return self._at(name, self.space.interior(unit[:, :-1]), unit[:, -1])
        return self._join(self.space.on_piece(name, unit[:, :-1]), unit[:, -1])

    def _piece_measure(self, name: str) -> float:
        if name in _ENDS:
            return self.space.measure
        return self.space.piece_measure(name) * self._length

    def _piece_measure_error(self, name: str) -> float:
        if name in _ENDS:
            return self.space.measure_error
        return self.space.piece_measure_error(name) * self._length

    def _propose(self, unit: Tensor) -> tuple[Tensor, Tensor | None]:
        points, keep = self.space._propose(unit[:, :-1])
        return self._join(points, unit[:, -1]), keep

    def _proposal_measure(self) -> float:
        return self.space._proposal_measure() * self._length

    def _propose_piece(self, name: str, unit: Tensor) -> tuple[Tensor, Tensor | None]:
        if name in _ENDS:
            points, keep = self.space._propose(unit[:, :-1])
            return self._at(name, points, unit[:, -1]), keep
        points, keep = self.space._proposal(self.space._find(name), unit[:, :-1])
        return self._join(points, unit[:, -1]), keep

    def _piece_proposal_measure(self, name: str) -> float:
        if name in _ENDS:
            return self.space._proposal_measure()
        root = self.space.root(self.space._find(name))
        return self.space._piece_proposal_measure(root) * self._length

    def _share(self) -> float:
        return self.space._share()

    def _piece_share(self, name: str) -> float:
        if name in _ENDS:
            return self.space._share()
        return self.space._share_of(self.space._find(name))

    def _contains(self, x: Tensor) -> Tensor:
        start, end = like(self.duration, x)
        time = x[..., -1]
        return self.space.contains(x[..., :-1]) & (time >= start) & (time <= end)

    def _within(self, x: Tensor, slack: float) -> Tensor:
        start, end = like(self.duration, x)
        time = x[..., -1]
        inside = (time >= start - slack) & (time <= end + slack)
        return self.space._within(x[..., :-1], slack) & inside

    def _normals(self, name: str, x: Tensor) -> Tensor:
        if name in _ENDS:
            normals = torch.zeros_like(x)
            normals[:, -1] = -1.0 if name == "initial" else 1.0
            return normals
        normals = self.space.normals(name, x[:, :-1])
        return torch.cat([normals, torch.zeros_like(x[:, -1:])], dim=1)

    def _gap(self, name: str, x: Tensor) -> Tensor:
        start, end = self.duration
        if name in _ENDS:
            return (x[:, -1] - (start if name == "initial" else end)).abs()
        space = self.space
        return space._gap(space.root(space._find(name)), x[:, :-1])

    def _inside(self, x: Tensor) -> Tensor:
        return self.space.distance(x[..., :-1])

    def _piece_inside(self, names: Sequence[str], x: Tensor) -> Tensor:
        # The piece of space alone has the units of length, and an end alone those of time; a
        # product is smooth where they meet, and the share of time keeps the first unit.
        start, end = self.duration
        time = x[..., -1:]
        factors = (
            [self.space.piece_distance(rest, x[..., :-1])]
            if (rest := [name for name in names if name not in _ENDS])
            else []
        )
        ends = [time - start] * ("initial" in names) + [end - time] * ("final" in names)
        for each in ends:
            factors.append(each / self._length if factors else each)
        return math.prod(factors[1:], start=factors[0])

    def _smooth(self, name: str, inside: bool) -> bool:
        return name in _ENDS or self.space.smooth(name)

    def _at(self, name: str, points: Tensor, unit_time: Tensor) -> Tensor:
        if name == "initial":
            return self._join(points, torch.zeros_like(unit_time))
        time = torch.full_like(unit_time, self.duration[1])
        return torch.cat([points, time[:, None]], dim=1)

    def _join(self, points: Tensor, unit_time: Tensor) -> Tensor:
        start, end = torch.tensor(self.duration, dtype=points.dtype, device=points.device)
        time = (start + unit_time * (end - start)).clamp(start, end)
        return torch.cat([points, time[:, None]], dim=1)
