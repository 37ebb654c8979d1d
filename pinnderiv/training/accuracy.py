"""How far a network is from the exact solution."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from pinnderiv.domains import UniformSampler
from pinnderiv.errors import ConfigurationError
from pinnderiv.problems import Problem
from pinnderiv.training.ansatz import Ansatz
from pinnderiv.training.seeding import child_seed

# Points an axis of the evaluation grid; in more dimensions a grid sees too little of the inside.
_GRID = {1: 1001, 2: 101, 3: 25}
_SAMPLES = 10_000
_ROWS = 20_000


@dataclass(frozen=True)
class Error:
    """Distance from the exact solution.

    Attributes:
        relative_l2: ‖u − u*‖₂ / ‖u*‖₂ over the evaluation points.
        largest: max |u − u*| over them, in the unit of u.
    """

    relative_l2: float
    largest: float


class Accuracy:
    """Measures the error at points that training never sees.

    They are a regular grid, ends included, in up to three coordinates (1001, 101² or 25³
    points), and 10,000 uniform random points in more, from a seed of their own.

    Args:
        problem: has the exact solution.
        ansatz: the network is its trained part.
        seed: the run's seed.
        dtype, device: where the network is.

    Raises:
        ConfigurationError: the exact solution is zero there, or not finite.
    """

    def __init__(
        self,
        problem: Problem,
        ansatz: Ansatz,
        seed: int,
        dtype: torch.dtype,
        device: torch.device | str,
    ) -> None:
        domain = problem.domain
        if domain.dim in _GRID:
            points = domain.grid(_GRID[domain.dim])
        else:
            sampler = UniformSampler(seed=child_seed(seed, "evaluation"))
            points = domain.interior(sampler.draw(_SAMPLES, domain.dim))
        points = points.to(device)
        # both in float64, whatever the network's precision is
        exact = problem.exact(points).detach()
        self._size = exact.norm()
        if not (torch.isfinite(self._size) and self._size > 0.0):
            raise ConfigurationError(
                f"the exact solution of problem {problem.name!r} is "
                f"{'zero' if self._size == 0 else 'not finite'} wherever the error is measured, so "
                "that a relative error has no meaning: choose other problem.amplitudes or "
                "problem.frequencies"
            )
        self._wanted = exact - ansatz.known(points)
        self._trained = ansatz.v
        self._points = points.to(dtype)

    def measure(self) -> Error:
        """The error of the network as it is now."""
        with torch.no_grad():
            values = torch.cat([self._trained(rows) for rows in self._points.split(_ROWS)])
            error = values.double() - self._wanted
            return Error(float(error.norm() / self._size), float(error.abs().max()))
