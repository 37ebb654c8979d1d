"""The problem of a run: one dataclass for each kind; null takes the case's own value."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from pinnderiv.schema.missing import MISSING


@dataclass
class ProblemConfig:
    """What all problems can be told.

    ``frequencies`` lists the modes (half-waves: one number, or one an axis), ``lower`` and
    ``upper`` are the box in space (one number, or one an axis).
    """

    _target_: str = MISSING
    case: str = MISSING
    dimension: int | None = None
    frequencies: list[Any] | None = None
    amplitudes: list[float] | None = None
    lower: Any = 0.0
    upper: Any = 1.0


@dataclass
class HeatConfig(ProblemConfig):
    """u_t = κΔu + f; ``diffusivity`` κ in length²/time, one number or one an axis."""

    _target_: str = "pinnderiv.problems.heat_case"
    case: str = "heat"
    diffusivity: Any = None
    final_time: float | None = None


@dataclass
class WaveConfig(ProblemConfig):
    """u_tt = c²Δu + f; ``speed`` c in length/time."""

    _target_: str = "pinnderiv.problems.wave_case"
    case: str = "wave"
    speed: float | None = None
    final_time: float | None = None


@dataclass
class PoissonConfig(ProblemConfig):
    """−Δu = f."""

    _target_: str = "pinnderiv.problems.poisson_case"
    case: str = "poisson"


@dataclass
class PDEConfig:
    """Any PDE: docs/problems.md says what each key can hold.

    ``folder`` is where the names of files begin; for a problem in a file of its own, that file's
    folder.
    """

    _target_: str = "pinnderiv.problems.pde_problem"
    name: str = "pde"
    title: str | None = None
    coordinates: list[str] = MISSING
    outputs: list[str] = field(default_factory=lambda: ["u"])
    time: Any = None
    domain: Any = None
    parameters: dict[str, Any] = field(default_factory=dict)
    equation: Any = MISSING
    source: Any = None
    conditions: dict[str, Any] = field(default_factory=dict)
    exact: Any = None
    reference: str | None = None
    folder: str | None = None


PROBLEMS: dict[str, type] = {
    "schema/problem/heat": HeatConfig,
    "schema/problem/wave": WaveConfig,
    "schema/problem/poisson": PoissonConfig,
    "schema/problem/pde": PDEConfig,
}
