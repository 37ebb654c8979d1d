"""The collocation points of a run."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from pinnderiv.schema.missing import MISSING


class AdaptiveKind(Enum):
    """How the next interior points follow from the residual at the present ones."""

    none = "none"
    rad = "rad"
    rar = "rar"
    rar_d = "rar_d"
    r3 = "r3"


@dataclass
class SamplerConfig:
    """Collocation points: how they are drawn, how many, and how often anew.

    ``points`` has a number for the interior and for each piece of the boundary; with hard
    constraints only the interior is used. ``resample_every`` counts steps; 0 is never. What
    begins with ``adaptive_`` is of :mod:`pinnderiv.training.adaptive`, and null is the rule's
    own: candidates to choose from, k and c of the density |r|^k / mean + c, points added at a
    time, and the most interior points that they may become.
    """

    method: Any = MISSING
    points: dict[str, int] = field(default_factory=dict)
    resample_every: int = 0
    adaptive: AdaptiveKind = AdaptiveKind.none
    adaptive_pool: int | None = None
    adaptive_power: float | None = None
    adaptive_floor: float | None = None
    adaptive_add: int | None = None
    adaptive_limit: int | None = None
