"""Learning-rate schedules: the factor on the learning rate as a function of the step alone.

A schedule keeps no state. It is evaluated at the step of its phase, so going on from a
checkpoint needs nothing more than that number.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from pinnderiv.errors import ConfigurationError


def _constant(schedule: Schedule, step: int, length: int) -> float:
    return 1.0


def _exponential(schedule: Schedule, step: int, length: int) -> float:
    return schedule.factor ** (step / schedule.every)


def _staircase(schedule: Schedule, step: int, length: int) -> float:
    return schedule.factor ** (step // schedule.every)


def _cosine(schedule: Schedule, step: int, length: int) -> float:
    done = min(step / max(length, 1), 1.0)
    return schedule.final + (1.0 - schedule.final) * 0.5 * (1.0 + math.cos(math.pi * done))


def _linear(schedule: Schedule, step: int, length: int) -> float:
    return 1.0 + (schedule.final - 1.0) * min(step / max(length, 1), 1.0)


_KINDS: dict[str, Callable[[Schedule, int, int], float]] = {
    "constant": _constant,
    "exponential": _exponential,
    "step": _staircase,
    "cosine": _cosine,
    "linear": _linear,
}
_NEED_LENGTH = ("cosine", "linear")


@dataclass(frozen=True)
class Schedule:
    """How the learning rate changes over a phase.

    Attributes:
        kind: ``constant``; ``exponential`` (times ``factor`` for every ``every`` steps, smoothly);
            ``step`` (the same in jumps); ``cosine`` and ``linear`` (down to ``final`` at the end
            of the phase, whose length in steps must be given).
        factor: in (0, 1], for ``exponential`` and ``step``.
        every: steps, for ``exponential`` and ``step``.
        final: the last factor, in [0, 1], for ``cosine`` and ``linear``.
        warmup: steps over which the rate first rises linearly from nearly zero, for any kind.

    Raises:
        ConfigurationError: an unknown kind or a number out of range.
    """

    kind: str = "constant"
    factor: float = 0.9
    every: int = 1000
    final: float = 0.0
    warmup: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "kind", str(getattr(self.kind, "value", self.kind)))
        if self.kind not in _KINDS:
            raise ConfigurationError(
                f"unknown schedule '{self.kind}': choose one of {', '.join(_KINDS)}"
            )
        if not 0.0 < self.factor <= 1.0:
            raise ConfigurationError(f"schedule.factor must lie in (0, 1], got {self.factor}")
        if not 0.0 <= self.final <= 1.0:
            raise ConfigurationError(f"schedule.final must lie in [0, 1], got {self.final}")
        if self.every < 1 or self.warmup < 0:
            raise ConfigurationError(
                "schedule.every must be at least 1 and schedule.warmup at least 0, "
                f"got {self.every} and {self.warmup}"
            )

    def check_length(self, length: int | None) -> None:
        """Raises ConfigurationError if the schedule needs the phase's length and has none."""
        if self.kind in _NEED_LENGTH and length is None:
            raise ConfigurationError(
                f"schedule '{self.kind}' falls over the length of its phase, but the phase has no "
                "'steps': give it steps, or take schedule 'exponential'"
            )

    def at(self, step: int, length: int | None) -> float:
        """The factor on the learning rate at ``step`` (from 0) of a phase of ``length`` steps."""
        rise = min((step + 1) / (self.warmup + 1), 1.0)
        return rise * _KINDS[self.kind](self, step, length or 0)
