"""Samplers: where the unit points come from."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pinnderiv.errors import ArgumentError, CheckpointError

# The direction numbers that scipy ships end here.
MAX_SOBOL_DIMENSION = 21201


class Sampler(ABC):
    """A reproducible stream of point sets in the unit cube.

    Draw number k of a sampler depends on its seed, on k, and on the shape asked
    for, and on nothing else. So the whole state is two integers, and a sampler
    loaded from a checkpoint goes on bit for bit.

    Args:
        seed: a non-negative integer.

    Raises:
        ArgumentError: the seed is negative or no integer.
    """

    def __init__(self, seed: int = 0) -> None:
        if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
            raise ArgumentError(f"seed must be an integer of at least 0; got {seed!r}.")
        self.seed = seed
        self.draws = 0

    def draw(self, n: int, dim: int) -> Tensor:
        """Draws the next set of points; each call gives new ones.

        Args:
            n: number of points, at least 1.
            dim: number of columns, at least 1.

        Returns:
            float64 (n, dim) in [0, 1), on the CPU.

        Raises:
            ArgumentError: ``n`` or ``dim`` is not a positive integer, or ``dim``
                is more than the method can do.
        """
        for name, value in (("n", n), ("dim", dim)):
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise ArgumentError(f"{name} must be an integer of at least 1; got {value!r}.")
        points = self._unit_points(n, dim, np.random.default_rng([self.seed, self.draws]))
        self.draws += 1
        # A Latin hypercube can hit 1 exactly, where the interval is half open.
        return torch.from_numpy(np.minimum(points, np.nextafter(1.0, 0.0)))

    def state_dict(self) -> dict[str, Any]:
        """What :meth:`load_state_dict` needs to go on: plain strings and integers."""
        return {"sampler": type(self).__name__, "seed": self.seed, "draws": self.draws}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Goes on where the sampler of ``state`` stopped.

        Raises:
            CheckpointError: ``state`` comes from another kind of sampler, or is damaged.
        """
        missing = {"sampler", "seed", "draws"} - set(state)
        if missing:
            raise CheckpointError(f"the sampler's state lacks {', '.join(sorted(missing))}.")
        if state["sampler"] != type(self).__name__:
            raise CheckpointError(
                f"the state is that of a {state['sampler']}, and this is a "
                f"{type(self).__name__}: resume with the sampler that the run began with."
            )
        self.seed = int(state["seed"])
        self.draws = int(state["draws"])

    @abstractmethod
    def _unit_points(self, n: int, dim: int, rng: np.random.Generator) -> np.ndarray: ...


class UniformSampler(Sampler):
    """Independent points, uniform in the cube. Error of a mean: O(n^-1/2)."""

    def _unit_points(self, n: int, dim: int, rng: np.random.Generator) -> np.ndarray:
        return rng.random((n, dim))


class LatinHypercubeSampler(Sampler):
    """Latin hypercube (McKay, Beckman & Conover 1979): one point in each of n slabs an axis."""

    def _unit_points(self, n: int, dim: int, rng: np.random.Generator) -> np.ndarray:
        # scipy.stats takes most of a second to import, and a uniform sampler has no use for it.
        from scipy.stats import qmc

        return qmc.LatinHypercube(dim, rng=rng).random(n)


class SobolSampler(Sampler):
    """Scrambled Sobol' points (Owen 1998), a new scrambling each draw.

    ``n`` need not be a power of two: the first n of the next larger balanced set are taken.
    """

    def _unit_points(self, n: int, dim: int, rng: np.random.Generator) -> np.ndarray:
        if dim > MAX_SOBOL_DIMENSION:
            raise ArgumentError(
                f"Sobol' points have at most {MAX_SOBOL_DIMENSION} columns; got dim={dim}. "
                "Use UniformSampler or LatinHypercubeSampler."
            )
        from scipy.stats import qmc

        return qmc.Sobol(dim, scramble=True, rng=rng).random_base2((n - 1).bit_length())[:n]
