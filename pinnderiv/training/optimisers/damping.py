"""How strongly a Gauss–Newton step is damped: the policy that follows the gain ratio."""

from __future__ import annotations

from typing import Any

from pinnderiv.errors import ConfigurationError
from pinnderiv.training.optimisers.optimiser import positive

# A step is taken if the loss falls by at least this share of what the model foretells.
_ENOUGH = 1e-3


class Damping:
    """λ as a share of what measures JᵀJ, steered by the gain ratio (Nielsen 1999).

    The ratio is that of the loss's fall to the fall foretold. λ goes down to a third where the
    model is right, and up by growing powers of two where a step fails.

    Args:
        phase: the name of the phase, for errors.
        first: the first share.
        lowest: the share never falls below this.
        max_trials: values that one step may try.

    Raises:
        ConfigurationError: a number is out of range.
    """

    def __init__(self, phase: str, first: float, lowest: float, max_trials: int) -> None:
        self.first = positive(f"damping of the {phase} phase", first)
        self.lowest = positive(f"lowest damping of the {phase} phase", lowest)
        if max_trials < 1:
            raise ConfigurationError(
                f"max_trials of the {phase} phase must be at least 1, got {max_trials}"
            )
        self.max_trials = max_trials
        self.begin()

    def begin(self) -> None:
        """Goes back to the first share."""
        self.share = self.first
        self._growth = 2.0

    def of(self, size: float) -> float:
        """λ, for a JᵀJ of this size."""
        return max(self.share * size, 1e-300)

    def accepts(self, gain: float) -> bool:
        """Whether a step of this gain ratio is taken; sets the share for the next trial or step."""
        if gain > _ENOUGH:
            self.share *= max(1 / 3, 1 - (2 * min(gain, 1.0) - 1) ** 3)
            self.share = max(self.share, self.lowest)
            self._growth = 2.0
            return True
        self.share *= self._growth
        self._growth *= 2.0
        return False

    def state_dict(self) -> dict[str, Any]:
        return {"share": self.share, "growth": self._growth}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.share = float(state["share"])
        self._growth = float(state["growth"])


def gain_ratio(before: float, foretold: float, after: float) -> float:
    """The loss's fall from ``before`` to ``after`` as a share of the fall ``foretold``.

    Negative where the loss does not fall, where no fall was foretold, or where a number is none.
    """
    if not foretold > 0.0 or not after < before:
        return -1.0
    return (before - after) / foretold
