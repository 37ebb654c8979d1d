"""What a run can be told: one dataclass for each part of the configuration.

Hydra checks every override against these, so that a wrong name or a wrong type is refused before
anything runs. The values that users get by default stand in ``conf/``; a default here is what a
file in ``conf/`` need not repeat. Nothing here imports more than the standard library, so that it
can be read anywhere.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from pinnderiv.schema.loss import LossConfig
from pinnderiv.schema.missing import MISSING
from pinnderiv.schema.networks import NETWORKS
from pinnderiv.schema.optimisers import PHASES
from pinnderiv.schema.points import SamplerConfig
from pinnderiv.schema.problems import PROBLEMS


class Mode(Enum):
    """What the command does."""

    train = "train"
    evaluate = "evaluate"


class Device(Enum):
    """Where tensors live; ``auto`` takes CUDA if PyTorch sees it."""

    auto = "auto"
    cpu = "cpu"
    cuda = "cuda"


class Precision(Enum):
    """Floating-point type of everything."""

    float32 = "float32"
    float64 = "float64"


class Constraint(Enum):
    """How the boundary and initial conditions are met.

    ``hard``: exactly, by construction of the network. ``soft``: as terms of the loss. ``auto``:
    hard where the problem allows it, else soft.
    """

    auto = "auto"
    hard = "hard"
    soft = "soft"


class ProgressStyle(Enum):
    """What a run shows while it trains; ``auto`` is a bar on a terminal and lines elsewhere."""

    auto = "auto"
    bar = "bar"
    lines = "lines"
    none = "none"


# -- derivatives ---------------------------------------------------------------------------


class Method(Enum):
    """How derivatives are computed; ``auto`` takes what is right and fastest for the network."""

    auto = "auto"
    nested = "nested"
    taylor = "taylor"
    reverse = "reverse"


@dataclass
class DerivativesConfig:
    """Options of :mod:`pinnderiv.derivatives` in the loss.

    ``chunk_size`` is the number of points at a time, null for all; ``check`` is the guard
    against formulas that are silently wrong for the network.
    """

    method: Method = Method.auto
    chunk_size: int | None = None
    check: bool = True


# -- the run -------------------------------------------------------------------------------


@dataclass
class TrainingConfig:
    """The budget, and how often to look and to save.

    ``max_seconds`` counts the time in steps only, not the time in evaluation or saving. The
    budget ends with whichever limit comes first; one of the two can be null. ``time_slabs`` cuts
    time into as many equal parts, each with a network of its own; they share the budget.
    """

    max_steps: int | None = None
    max_seconds: float | None = 60.0
    evaluate_every: int = 100
    checkpoint_every: int = 500
    keep_checkpoints: int = 2
    time_slabs: int = 1


@dataclass
class MonitorConfig:
    """What is recorded, every how many steps, and what is shown."""

    tensorboard: bool = True
    every: int = 10
    figures: bool = True
    progress: ProgressStyle = ProgressStyle.auto


@dataclass
class EvaluateConfig:
    """``mode=evaluate``: which quantities, where, and to which file.

    ``points`` is a ``.csv`` or ``.npz`` file with a column for each coordinate; without it the
    quantities are given on a grid of ``grid`` points along each axis (one number, or one an
    axis; null takes some 10,000 points in all). ``output`` is ``evaluation.npz`` in the run
    directory unless given.
    """

    quantities: list[str] = field(default_factory=lambda: ["u"])
    points: str | None = None
    grid: Any = None
    output: str | None = None


@dataclass
class RunConfig:
    """Everything.

    ``resume`` names the run directory of a training run to go on with, ``run`` the one to
    evaluate. ``threads`` is the number of CPU threads; if null, one for a small network (more
    gain nothing there, and on a busy machine cost dearly), else PyTorch's choice.
    """

    mode: Mode = Mode.train
    resume: str | None = None
    run: str | None = None
    seed: int = 0
    device: Device = Device.auto
    dtype: Precision = Precision.float64
    threads: int | None = None
    constraint: Constraint = Constraint.auto
    problem: Any = MISSING
    network: Any = MISSING
    sampler: SamplerConfig = field(default_factory=SamplerConfig)
    loss: LossConfig = field(default_factory=LossConfig)
    derivatives: DerivativesConfig = field(default_factory=DerivativesConfig)
    optimiser: dict[str, Any] = field(default_factory=dict)
    training: TrainingConfig = field(default_factory=TrainingConfig)
    monitor: MonitorConfig = field(default_factory=MonitorConfig)
    evaluate: EvaluateConfig = field(default_factory=EvaluateConfig)


# Where each schema is found in the defaults lists of conf/. They stand in a group of their own,
# so that a sweep over glob(*) in another group sees options only.
SCHEMAS: dict[str, type] = {
    "schema/run": RunConfig,
    **PROBLEMS,
    **NETWORKS,
    **PHASES,
}
