"""Residual-adaptive resampling: the next interior points are those where the residual is large."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import ClassVar, NamedTuple

import numpy as np
import torch
from torch import Tensor

from pinnderiv.errors import ConfigurationError

# Candidates for each interior point, and the share of these that is added at a time: a twentieth.
_POOL = 10
_SHARE = 20


class Known(NamedTuple):
    """Interior points (N, D), and the source there (N, 1)."""

    points: Tensor
    source: Tensor

    def at(self, chosen: Tensor) -> Known:
        """Some of them, by their indices or by a mask (N,)."""
        return Known(self.points[chosen], self.source[chosen])

    def and_also(self, others: Known) -> Known:
        """Both, these first."""
        return Known(*(torch.cat(pair) for pair in zip(self, others, strict=True)))


class Supply(NamedTuple):
    """What a rule may ask for.

    Attributes:
        fresh: makes so many points that no rule has chosen.
        error: |residual| of the equation at points, (N,), finite and not negative.
        generator: for the rule's own draws.
    """

    fresh: Callable[[int], Known]
    error: Callable[[Known], Tensor]
    generator: np.random.Generator


class Adaptive(ABC):
    """A rule for the next interior points out of the present ones.

    As in the papers, the loss stays the plain mean over the points as they lie: it is not
    corrected for their density, so where they are dense the residual counts for more.
    """

    def begin(self, count: int) -> None:  # noqa: B027 - not every rule minds the number
        """Takes note of how many interior points the run begins with.

        Raises:
            ConfigurationError: the rule cannot begin with so many.
        """

    @abstractmethod
    def next(self, present: Known, supply: Supply) -> Known:
        """The next interior points."""


class _FromPool(Adaptive):
    """Chooses from a pool of fresh points, with probabilities ∝ |r|^k / mean |r|^k + c.

    Args:
        pool: number of candidates; None for ten times the interior points. For both numbers below
            None takes the rule's own.
        power: k.
        floor: c; with 0 no point lies where the residual is zero.

    Raises:
        ConfigurationError: a number is out of range.
    """

    own_power: ClassVar[float] = 1.0
    own_floor: ClassVar[float] = 1.0

    def __init__(
        self, pool: int | None = None, power: float | None = None, floor: float | None = None
    ) -> None:
        self.pool = pool
        self.power = self.own_power if power is None else power
        self.floor = self.own_floor if floor is None else floor
        for name, value in (("adaptive_power", self.power), ("adaptive_floor", self.floor)):
            if not 0.0 <= value < float("inf"):
                raise ConfigurationError(
                    f"sampler.{name} must be a finite number of at least 0, got {value}"
                )

    def candidates(self, count: int) -> int:
        """How many candidates there are where the run began with ``count`` points."""
        return _POOL * count if self.pool is None else self.pool

    def chosen(self, error: Tensor, count: int, generator: np.random.Generator) -> Tensor:
        """Indices of ``count`` candidates, drawn one after the other without replacement.

        The smallest of exponential waiting times with these rates are such a draw (Efraimidis &
        Spirakis 2006); a candidate with probability zero comes last.
        """
        density = error.double().cpu() ** self.power
        mean = density.mean()
        # where nothing is left of the residual, one place is as good as another
        rate = density / mean + self.floor if float(mean) > 0.0 else torch.ones_like(density)
        waiting = torch.from_numpy(generator.exponential(size=len(error))) / rate
        return waiting.argsort(stable=True)[:count].to(error.device)


class RAD(_FromPool):
    """All points anew, by the density of the residual (RAD, Wu et al. 2023)."""

    def begin(self, count: int) -> None:
        if self.candidates(count) < count:
            raise ConfigurationError(
                f"sampler.adaptive_pool is {self.pool}, fewer than the {count} interior points "
                "that are chosen from it: take some ten times as many, or null"
            )

    def next(self, present: Known, supply: Supply) -> Known:
        count = len(present.points)
        pool = supply.fresh(self.candidates(count))
        return pool.at(self.chosen(supply.error(pool), count, supply.generator))


class _Growing(_FromPool):
    """Adds points to the present ones, up to a limit.

    Args:
        add: points at a time; None for a twentieth of the interior points.
        limit: the most interior points; None for twice as many as at the start.
        pool, power, floor: see the base.

    Raises:
        ConfigurationError: a number is out of range.
    """

    def __init__(
        self,
        add: int | None = None,
        limit: int | None = None,
        pool: int | None = None,
        power: float | None = None,
        floor: float | None = None,
    ) -> None:
        super().__init__(pool, power, floor)
        if add is not None and add < 1:
            raise ConfigurationError(f"sampler.adaptive_add must be at least 1, got {add}")
        self.add, self.limit = add, limit
        self._start = 0

    def begin(self, count: int) -> None:
        self._start = count
        if self.limit is not None and self.limit <= count:
            raise ConfigurationError(
                f"sampler.adaptive_limit is {self.limit}, and there are {count} interior points "
                "to begin with, so that none could be added: give a larger limit, or null"
            )
        if self.candidates(count) < self._adds():
            raise ConfigurationError(
                f"sampler.adaptive_pool is {self.pool}, fewer than the {self._adds()} points that "
                "are added at a time: take a larger one, or null"
            )

    def next(self, present: Known, supply: Supply) -> Known:
        limit = 2 * self._start if self.limit is None else self.limit
        count = min(self._adds(), limit - len(present.points))
        if count < 1:
            return present
        pool = supply.fresh(self.candidates(self._start))
        added = self.pick(supply.error(pool), count, supply.generator)
        return present.and_also(pool.at(added))

    def _adds(self) -> int:
        return max(1, self._start // _SHARE) if self.add is None else self.add

    @abstractmethod
    def pick(self, error: Tensor, count: int, generator: np.random.Generator) -> Tensor:
        """Indices of the candidates to add."""


class RAR(_Growing):
    """Adds the candidates of largest residual (RAR, Lu et al. 2021; RAR-G in Wu et al. 2023)."""

    def pick(self, error: Tensor, count: int, generator: np.random.Generator) -> Tensor:
        return error.argsort(descending=True, stable=True)[:count]


class RARD(_Growing):
    """Adds candidates drawn by the density of the residual (RAR-D, Wu et al. 2023)."""

    own_power = 2.0
    own_floor = 0.0

    def pick(self, error: Tensor, count: int, generator: np.random.Generator) -> Tensor:
        return self.chosen(error, count, generator)


class R3(Adaptive):
    """Retains the points whose residual is above the mean, and draws the others anew.

    Retain-resample-release (R3, Daw et al. 2023): a point is released as soon as its residual has
    fallen below the mean.
    """

    def next(self, present: Known, supply: Supply) -> Known:
        error = supply.error(present)
        kept = present.at(error > error.mean())
        released = len(present.points) - len(kept.points)
        # of equal errors, all can lie above a mean that was rounded down
        return kept.and_also(supply.fresh(released)) if released else present
