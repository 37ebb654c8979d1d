"""How far a network is from the exact solution."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from pinnderiv.domains import UniformSampler
from pinnderiv.errors import ConfigurationError
from pinnderiv.problems import Problem
from pinnderiv.training.ansatz import Ansatz
from pinnderiv.training.seeding import child_seed

# Points an axis of the evaluation grid; in more dimensions a grid sees too little of the inside.
_GRID = {1: 1001, 2: 101}
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


@dataclass
class _Part:
    """The points in one slab of time.

    Attributes:
        ansatz: of the slab.
        points: float64 (N, D).
        exact: the solution there, float64 (N, M).
        wanted: what the trained part must be there; None until the slab has begun.
    """

    ansatz: Ansatz
    points: Tensor
    exact: Tensor
    wanted: Tensor | None = None


class Accuracy:
    """Measures the error at points that training never sees.

    Where the problem has an exact solution they are a regular grid, ends included, in one or two
    coordinates (1001 or 101² points, those in the domain), and 10,000 uniform random points in
    more, from a seed of their own: a coarser grid would see nothing of a wave that
    fits it. Else they are those of its reference values; without either the error is not a number.

    Args:
        problem: has the exact solution, or reference values.
        ansatz: the network is its trained part; for slabs of time one each, in their order.
        seed: the run's seed.
        dtype, device: where the network is.

    Raises:
        ConfigurationError: the exact solution is zero there, or not finite.
    """

    def __init__(
        self,
        problem: Problem,
        ansatz: Ansatz | Sequence[Ansatz],
        seed: int,
        dtype: torch.dtype,
        device: torch.device | str,
    ) -> None:
        points, exact = _wanted(problem, seed)
        points, exact = points.to(device), exact.to(device)
        size = exact.norm()
        if len(exact) and not (torch.isfinite(size) and size > 0.0):
            raise ConfigurationError(
                f"the exact solution of problem {problem.name!r} is "
                f"{'zero' if size == 0 else 'not finite'} wherever the error is measured, so "
                "that a relative error has no meaning: choose other problem.amplitudes or "
                "problem.frequencies"
            )
        self.outputs = problem.outputs
        ansatzes = [ansatz] if isinstance(ansatz, Ansatz) else list(ansatz)
        ends = [each.problem.domain.upper[-1] for each in ansatzes[:-1]]
        slab = torch.bucketize(points[:, -1].contiguous(), torch.tensor(ends).to(points))
        self._parts = [
            _Part(each, points[slab == k], exact[slab == k]) for k, each in enumerate(ansatzes)
        ]
        self._dtype = dtype
        self.begin(0)

    def begin(self, slab: int) -> None:
        """Takes the slabs of time up to ``slab`` into account; those before are trained."""
        for part in self._parts[: slab + 1]:
            if part.wanted is None:
                part.wanted = part.exact - part.ansatz.known(part.points)

    def measure(self) -> Error:
        """The error of the network as it is now, over the slabs that have begun."""
        return self._measure([part for part in self._parts if part.wanted is not None])

    def measure_all(self) -> Error:
        """The error over all of time, with slabs that have not begun as they are."""
        return self._measure(self._parts)

    def by_output(self) -> dict[str, float]:
        """The relative L2 error of each output over all of time; empty where nothing is known."""
        if not sum(len(part.points) for part in self._parts):
            return {}
        with torch.no_grad():
            error = torch.cat([self._error(part) for part in self._parts]).norm(dim=0)
        size = torch.cat([part.exact for part in self._parts]).norm(dim=0)
        return dict(zip(self.outputs, (error / size).tolist(), strict=True))

    def _measure(self, parts: list[_Part]) -> Error:
        if not sum(len(part.points) for part in parts):
            return Error(math.nan, math.nan)
        with torch.no_grad():
            error = torch.cat([self._error(part) for part in parts])
            size = torch.cat([part.exact for part in parts]).norm()
            return Error(float(error.norm() / size), float(error.abs().max()))

    def _error(self, part: _Part) -> Tensor:
        rows = part.points.to(self._dtype).split(_ROWS)
        values = torch.cat([part.ansatz.v(each) for each in rows]).double()
        if part.wanted is None:
            return values - (part.exact - part.ansatz.known(part.points))
        return values - part.wanted


def _wanted(problem: Problem, seed: int) -> tuple[Tensor, Tensor]:
    """Points, and the solution there, in float64 whatever the network's precision is."""
    domain = problem.domain
    if problem.measured is not None:
        return problem.measured.points, problem.measured.values
    if problem.solution is None:
        return torch.zeros(0, domain.dim).double(), torch.zeros(0, len(problem.outputs)).double()
    if domain.dim in _GRID:
        points = domain.grid(_GRID[domain.dim])
        # the grid is that of the bounding box
        points = points[domain.contains(points)]
    else:
        sampler = UniformSampler(seed=child_seed(seed, "evaluation"))
        points = domain.sample(sampler, _SAMPLES)
    return points, problem.exact(points).detach()
