"""The optimisers of a run, one after the other, and the budget that they share."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from pinnderiv.errors import ConfigurationError
from pinnderiv.training.optimisers import Optimiser


@dataclass
class Progress:
    """How far a run has come; this is what a resumed run goes on from.

    Attributes:
        step: steps taken in all.
        seconds: time spent in steps, in seconds; evaluation and saving are not in it.
        phase: index of the phase under way; the number of phases when all are over.
        phase_step: steps taken in this phase.
        phase_seconds: seconds of this phase.
        wall_seconds: all time since the start, in seconds, everything included.
        step_seconds: of the last step.
        stalled: the last phase that ended did so because it found no better point.
        note: what that phase had to say of it.
        slab: index of the slab of time under way.
        slab_from_step, slab_from_seconds: what had been used when it began.
        out_of_time: the last phase has a step to take that takes longer than is left. It is not
            saved: a resumed run looks anew.
    """

    step: int = 0
    seconds: float = 0.0
    phase: int = 0
    phase_step: int = 0
    phase_seconds: float = 0.0
    wall_seconds: float = 0.0
    step_seconds: float = 0.0
    stalled: bool = False
    note: str = ""
    slab: int = 0
    slab_from_step: int = 0
    slab_from_seconds: float = 0.0
    out_of_time: bool = False

    def state_dict(self) -> dict[str, Any]:
        state = asdict(self)
        del state["out_of_time"]
        return state

    def advance(self, seconds: float) -> None:
        """Counts one step that took ``seconds``."""
        self.step += 1
        self.phase_step += 1
        self.seconds += seconds
        self.phase_seconds += seconds
        self.step_seconds = seconds

    def next_phase(self, stalled: bool) -> None:
        """Leaves this phase; ``stalled`` if it found no better point."""
        self.stalled = stalled
        self.phase += 1
        self.phase_step = 0
        self.phase_seconds = 0.0

    def next_slab(self) -> None:
        """Leaves this slab of time; the next begins with the first phase."""
        self.slab += 1
        self.slab_from_step, self.slab_from_seconds = self.step, self.seconds
        self.phase = self.phase_step = 0
        self.phase_seconds = 0.0
        self.stalled = self.out_of_time = False


@dataclass(frozen=True)
class Budget:
    """What a run may use, whichever comes first.

    Args:
        max_steps: steps, or None.
        max_seconds: seconds spent in steps, or None.

    Raises:
        ConfigurationError: neither is given, or one is negative.
    """

    max_steps: int | None
    max_seconds: float | None

    def __post_init__(self) -> None:
        if self.max_steps is None and self.max_seconds is None:
            raise ConfigurationError(
                "training.max_steps and training.max_seconds are both null, so the run would "
                "never end: set one, for example training.max_seconds=60"
            )
        for name in ("max_steps", "max_seconds"):
            value = getattr(self, name)
            if value is not None and not value >= 0:
                raise ConfigurationError(f"training.{name} must be at least 0, got {value}")

    def used_up(self, progress: Progress) -> str | None:
        """The name of the limit that is reached, or None."""
        if self.max_steps is not None and progress.step >= self.max_steps:
            return "max_steps"
        if self.max_seconds is not None and progress.seconds >= self.max_seconds:
            return "max_seconds"
        return None

    def until_end_of_slab(self, progress: Progress, slabs: int) -> Budget:
        """The limits of the slab under way: an equal share of what was left when it began."""
        left = slabs - progress.slab
        steps, seconds = progress.slab_from_step, progress.slab_from_seconds
        return Budget(
            None if self.max_steps is None else steps - (steps - self.max_steps) // left,
            None if self.max_seconds is None else seconds + (self.max_seconds - seconds) / left,
        )

    def fraction(self, progress: Progress) -> float:
        """How much of the tighter limit is used, in [0, 1]."""
        shares = [0.0]
        if self.max_steps is not None:
            shares.append(progress.step / max(self.max_steps, 1))
        if self.max_seconds is not None:
            shares.append(progress.seconds / max(self.max_seconds, 1e-9))
        return min(max(shares), 1.0)


class Phases:
    """The optimisers in their order.

    Args:
        optimisers: by name, in order.
        budget: the run's; a phase's ``time_share`` is a share of its ``max_seconds``.
        slabs: how many slabs of time share the budget; the phases run anew in each.

    Raises:
        ConfigurationError: there is none; one that is not the last has no length; or a length
            in time has no ``max_seconds`` to be a share of.
    """

    def __init__(self, optimisers: Mapping[str, Optimiser], budget: Budget, slabs: int = 1) -> None:
        if not optimisers:
            raise ConfigurationError("the optimiser has no phase: take for example optimiser=adam")
        self.names = list(optimisers)
        self.optimisers = list(optimisers.values())
        self.budget = budget
        self.slabs = slabs
        for name, each in list(optimisers.items())[:-1]:
            has_time = each.time_share is not None and budget.max_seconds is not None
            if each.steps is None and not has_time:
                raise ConfigurationError(
                    f"phase '{name}' would never end, so the phases after it would never begin: "
                    f"set optimiser.{name}.steps (or optimiser.{name}.time_share together with "
                    "training.max_seconds)"
                )

    def over(self, progress: Progress) -> bool:
        """Whether the phase under way has used its length."""
        optimiser = self.optimisers[progress.phase]
        if optimiser.steps is not None and progress.phase_step >= optimiser.steps:
            return True
        if self.last(progress):
            return False  # the last phase may use what the others left
        ends = self.budget.until_end_of_slab(progress, self.slabs).max_seconds
        if optimiser.time_share is None or ends is None:
            return False
        share = optimiser.time_share * (ends - progress.slab_from_seconds)
        return progress.phase_seconds >= share

    def seconds_left(self, progress: Progress) -> float:
        """What the phase under way may still use of ``max_seconds``; infinite without a limit."""
        ends = self.budget.until_end_of_slab(progress, self.slabs).max_seconds
        if ends is None:
            return math.inf
        left, share = ends - progress.seconds, self.optimiser(progress).time_share
        if share is not None and progress.phase < len(self.optimisers) - 1:
            own = share * (ends - progress.slab_from_seconds) - progress.phase_seconds
            left = min(left, own)
        return max(left, 0.0)

    def finished(self, progress: Progress) -> bool:
        """Whether no phase is left."""
        return progress.phase >= len(self.optimisers)

    def reason_to_stop(self, progress: Progress) -> str | None:
        """``converged``, ``phases_over`` or the limit of the budget that is reached, or None.

        A last phase that has used its length is not left: a resumed run that gives it more goes
        on where it was. A slab of time that is not the last ends the run only where it has used
        up the budget of all.
        """
        if progress.slab < self.slabs - 1:
            return self.budget.used_up(progress)
        return self._reason_to_leave(progress)

    def slab_over(self, progress: Progress) -> bool:
        """Whether the slab of time under way is to be left for the next one."""
        return progress.slab < self.slabs - 1 and self._reason_to_leave(progress) is not None

    def _reason_to_leave(self, progress: Progress) -> str | None:
        if self.finished(progress):
            return "converged" if progress.stalled else "phases_over"
        if self.last(progress) and self.over(progress):
            return "phases_over"
        if progress.out_of_time:
            return "max_seconds"
        return self.budget.until_end_of_slab(progress, self.slabs).used_up(progress)

    def optimiser(self, progress: Progress) -> Optimiser:
        """The optimiser of the phase under way."""
        return self.optimisers[progress.phase]

    def last(self, progress: Progress) -> bool:
        """Whether the phase under way is the last one."""
        return progress.phase == len(self.optimisers) - 1

    def name(self, progress: Progress) -> str:
        """The name of the phase under way, or of the last one."""
        return self.names[min(progress.phase, len(self.names) - 1)]

    def label(self, progress: Progress) -> str:
        """The phase's name, and the slab's number where there is more than one."""
        where = f" (slab {progress.slab + 1} of {self.slabs})" if self.slabs > 1 else ""
        return f"{self.name(progress)}{where}"
