"""The loss of a run."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class LossConfig:
    """Factors on the mean squares of the terms; those that a run does not have are ignored.

    Values weigh more than the equation, whose residual is made of second derivatives and so is
    larger by a squared wavenumber or more.
    """

    weights: dict[str, float] = field(
        default_factory=lambda: {
            "equation": 1.0,
            "walls": 100.0,
            "initial": 100.0,
            "initial_velocity": 10.0,
        }
    )
