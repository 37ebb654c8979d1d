"""The collocation points of a run, and what is known at them beforehand.

The source term and the values of the conditions depend on the points alone. They are computed
when the points are drawn, not at every step.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from pinnderiv.domains import Sampler
from pinnderiv.errors import CheckpointError, ConfigurationError
from pinnderiv.problems import Problem
from pinnderiv.training.ansatz import Ansatz
from pinnderiv.training.seeding import child_seed

INTERIOR = "interior"


@dataclass(frozen=True)
class Points:
    """One set of collocation points.

    Attributes:
        interior: (N, D), where the equation is asked to hold.
        source: (N, 1), what L v must be there (see :mod:`pinnderiv.training.ansatz`).
        pieces: for each piece of the boundary in use, points (N_piece, D) on it.
        values: for each condition in use, its values (N_piece, 1) at its piece's points.
    """

    interior: Tensor
    source: Tensor
    pieces: dict[str, Tensor]
    values: dict[str, Tensor]

    @property
    def count(self) -> int:
        """How many points there are in all."""
        return len(self.interior) + sum(len(points) for points in self.pieces.values())


class Collocation:
    """Draws the points, and draws them anew every so many steps.

    Args:
        problem: what the points are for.
        ansatz: gives the right-hand side; if it is hard, no condition needs points.
        sampler: makes a sampler from a keyword ``seed``; each piece gets one of its own.
        counts: number of points in ``interior`` and on each piece of the boundary.
        seed: the run's seed.
        resample_every: steps between two draws; 0 keeps the first points for the whole run.
        dtype, device: of the points.

    Raises:
        ConfigurationError: a count is missing or not positive, or names no piece.
    """

    def __init__(
        self,
        problem: Problem,
        ansatz: Ansatz,
        sampler: Callable[..., Sampler],
        counts: Mapping[str, int],
        seed: int,
        resample_every: int = 0,
        dtype: torch.dtype = torch.float64,
        device: torch.device | str = "cpu",
    ) -> None:
        if resample_every < 0:
            raise ConfigurationError(
                f"sampler.resample_every must be at least 0 (0: never), got {resample_every}"
            )
        self.problem = problem
        self.ansatz = ansatz
        self.conditions = () if ansatz.hard else problem.conditions
        self.resample_every = resample_every
        self.dtype, self.device = dtype, torch.device(device)
        names = [INTERIOR, *dict.fromkeys(each.piece for each in self.conditions)]
        self.counts = {name: _count(counts, name) for name in names}
        self.samplers = {name: sampler(seed=child_seed(seed, "points", name)) for name in names}
        self.points = self._draw()

    def due(self, step: int) -> bool:
        """Whether the points are to be drawn anew before step number ``step`` (from 0)."""
        return self.resample_every > 0 and step > 0 and step % self.resample_every == 0

    def resample(self) -> None:
        """Draws the next points."""
        self.points = self._draw()

    def state_dict(self) -> dict[str, Any]:
        """The points, and the samplers' places in their sequences."""
        return {
            "interior": self.points.interior,
            "source": self.points.source,
            "pieces": dict(self.points.pieces),
            "values": dict(self.points.values),
            "samplers": {name: each.state_dict() for name, each in self.samplers.items()},
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Goes on with the points of :meth:`state_dict` and draws what would have come next.

        Raises:
            CheckpointError: the state has points on other pieces, or another sampler's.
        """
        if set(state["samplers"]) != set(self.samplers):
            raise CheckpointError(
                f"the checkpoint has points on {', '.join(state['samplers'])}, this configuration "
                f"asks for {', '.join(self.samplers)}: resume with the problem and the constraint "
                "that the run began with"
            )
        for name, sampler in self.samplers.items():
            sampler.load_state_dict(state["samplers"][name])
        self.points = Points(
            self._cast(state["interior"]),
            self._cast(state["source"]),
            {name: self._cast(points) for name, points in state["pieces"].items()},
            {name: self._cast(values) for name, values in state["values"].items()},
        )

    def _draw(self) -> Points:
        domain = self.problem.domain
        unit = {
            name: sampler.draw(self.counts[name], domain.dim)
            for name, sampler in self.samplers.items()
        }
        interior = self._cast(domain.interior(unit[INTERIOR]))
        pieces = {
            name: self._cast(domain.on_piece(name, unit[name]))
            for name in self.samplers
            if name != INTERIOR
        }
        values = {each.name: each.value(pieces[each.piece]).detach() for each in self.conditions}
        return Points(interior, self.ansatz.source(interior), pieces, values)

    def _cast(self, tensor: Tensor) -> Tensor:
        return tensor.to(device=self.device, dtype=self.dtype)


def _count(counts: Mapping[str, int], name: str) -> int:
    if name not in counts:
        raise ConfigurationError(
            f"sampler.points says nothing of '{name}': add +sampler.points.{name}=<number>; "
            f"it has {', '.join(counts) or 'no entries'}"
        )
    if counts[name] < 1:
        raise ConfigurationError(f"sampler.points.{name} must be at least 1, got {counts[name]}")
    return int(counts[name])
