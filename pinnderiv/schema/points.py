"""The collocation points of a run."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from pinnderiv.schema.missing import MISSING


@dataclass
class SamplerConfig:
    """Collocation points: how they are drawn, how many, and how often anew.

    ``points`` has a number for the interior and for each piece of the boundary; with hard
    constraints only the interior is used. ``resample_every`` counts steps; 0 is never.
    """

    method: Any = MISSING
    points: dict[str, int] = field(default_factory=dict)
    resample_every: int = 0
