"""The loss of a run."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import Any


class BalanceKind(Enum):
    """How the terms are balanced; see :mod:`pinnderiv.training.balancing`."""

    none = "none"
    gradient_norm = "gradient_norm"
    ntk = "ntk"
    relobralo = "relobralo"


@dataclass
class LossConfig:
    """Factors on the mean squares of the terms; those that a run does not have are ignored.

    Values weigh more than the equation, whose residual is made of second derivatives and so is
    larger by a squared wavenumber or more.

    ``balance`` multiplies the weights by factors of its own, anew every ``balance_every`` steps;
    ``balance_momentum`` is what an update keeps of the old ones (both null: the rule's own), and
    ``balance_temperature`` and ``balance_lookback`` are ReLoBRaLo's T and E[ρ].

    ``causal`` is ε of causal weights in time, or a list of rising ones, null for none;
    ``causal_chunks`` is the number of intervals of time, ``causal_every`` the steps between two
    updates.
    """

    weights: dict[str, float | None] = field(
        default_factory=lambda: {
            "equation": 1.0,
            "walls": None,
            "initial": None,
            "initial_velocity": None,
        }
    )
    balance: BalanceKind = BalanceKind.none
    balance_every: int | None = None
    balance_momentum: float | None = None
    balance_temperature: float = 0.1
    balance_lookback: float = 0.999
    causal: Any = None
    causal_chunks: int = 32
    causal_every: int = 1
