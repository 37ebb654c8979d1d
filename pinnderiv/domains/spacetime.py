"""Space-time: a domain in space, over an interval of time."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from pinnderiv.domains.domain import Domain
from pinnderiv.errors import ArgumentError


class SpaceTime(Domain):
    """The cylinder ``space × [start, end]``, columns (x_1, …, x_d, t).

    Its boundary has the pieces of ``space``, each over the whole duration, and
    ``"initial"``: all of space at the start. The end carries no condition in an
    initial value problem, so it is no piece.

    Args:
        space: the domain in space.
        duration: the start and the end of time, in that order.

    Raises:
        ArgumentError: ``duration`` is not two finite numbers in rising order, or
            ``space`` has a time of its own.
    """

    def __init__(self, space: Domain, duration: Sequence[float]) -> None:
        if space.time_axis is not None:
            raise ArgumentError("space must be a domain without time; got a SpaceTime.")
        try:
            start, end = (float(value) for value in duration)
        except (TypeError, ValueError) as error:
            raise ArgumentError(
                "duration must be two numbers, the start and the end of time, such as "
                f"[0.0, 1.0]; got {duration!r}."
            ) from error
        if not (math.isfinite(start) and math.isfinite(end) and start < end):
            raise ArgumentError(
                f"duration must start before it ends, both finite; got {start:g} to {end:g}."
            )
        self.space = space
        self.duration = (start, end)

    def __repr__(self) -> str:
        return f"SpaceTime({self.space!r}, duration={list(self.duration)})"

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
        return self.space.measure * (self.duration[1] - self.duration[0])

    def _interior(self, unit: Tensor) -> Tensor:
        return self._join(self.space.interior(unit[:, :-1]), unit[:, -1])

    def _on_piece(self, name: str, unit: Tensor) -> Tensor:
        if name == "initial":
            return self._join(self.space.interior(unit[:, :-1]), torch.zeros_like(unit[:, -1]))
        return self._join(self.space.on_piece(name, unit[:, :-1]), unit[:, -1])

    def _piece_measure(self, name: str) -> float:
        if name == "initial":
            return self.space.measure
        return self.space.piece_measure(name) * (self.duration[1] - self.duration[0])

    def _contains(self, x: Tensor) -> Tensor:
        start, end = torch.tensor(self.duration, dtype=x.dtype, device=x.device)
        time = x[..., -1]
        return self.space.contains(x[..., :-1]) & (time >= start) & (time <= end)

    def _join(self, points: Tensor, unit_time: Tensor) -> Tensor:
        start, end = torch.tensor(self.duration, dtype=points.dtype, device=points.device)
        time = (start + unit_time * (end - start)).clamp(start, end)
        return torch.cat([points, time[:, None]], dim=1)
