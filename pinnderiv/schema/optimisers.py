"""The optimisers of a run: one dataclass for each kind of phase."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from pinnderiv.schema.missing import MISSING


class ScheduleKind(Enum):
    """How a learning rate changes over its phase."""

    constant = "constant"
    exponential = "exponential"
    step = "step"
    cosine = "cosine"
    linear = "linear"


@dataclass
class ScheduleConfig:
    """Learning-rate schedule; see :class:`pinnderiv.training.optimisers.Schedule`."""

    _target_: str = "pinnderiv.training.optimisers.Schedule"
    kind: ScheduleKind = ScheduleKind.constant
    factor: float = 0.9
    every: int = 1000
    final: float = 0.0
    warmup: int = 0


@dataclass
class PhaseConfig:
    """Length of a phase: steps, or a share of ``training.max_seconds``, whichever ends first.

    The last phase may leave both null: it then uses what is left of the budget.
    """

    _target_: str = MISSING
    steps: int | None = None
    time_share: float | None = None


@dataclass
class AdamConfig(PhaseConfig):
    """Adam."""

    _target_: str = "pinnderiv.training.optimisers.Adam"
    lr: float = 1e-3
    beta1: float = 0.9
    beta2: float = 0.999
    eps: float = 1e-8
    schedule: ScheduleConfig = field(default_factory=ScheduleConfig)
    patience: int | None = None
    least_fall: float = 0.05


@dataclass
class SOAPConfig(PhaseConfig):
    """SOAP: Adam in the eigenbases of Shampoo's matrices."""

    _target_: str = "pinnderiv.training.optimisers.SOAP"
    lr: float = 3e-3
    beta1: float = 0.95
    beta2: float = 0.95
    shampoo_beta: float | None = None
    eps: float = 1e-8
    precondition_frequency: int = 10
    max_dimension: int = 2000
    schedule: ScheduleConfig = field(default_factory=ScheduleConfig)
    patience: int | None = None
    least_fall: float = 0.05


@dataclass
class LBFGSConfig(PhaseConfig):
    """L-BFGS with a strong Wolfe line search."""

    _target_: str = "pinnderiv.training.optimisers.LBFGS"
    history: int = 50
    max_evaluations: int = 25


@dataclass
class LevenbergMarquardtConfig(PhaseConfig):
    """Levenberg–Marquardt on the residual vector."""

    _target_: str = "pinnderiv.training.optimisers.LevenbergMarquardt"
    damping: float = 1e-3
    lowest: float = 1e-18
    max_trials: int = 20
    sketch: float | None = None


@dataclass
class GaussNewtonKrylovConfig(PhaseConfig):
    """Levenberg–Marquardt steps through products with the Jacobian, which is never formed."""

    _target_: str = "pinnderiv.training.optimisers.GaussNewtonKrylov"
    iterations: int = 100
    forcing: float = 1e-4
    damping: float = 1e-3
    lowest: float = 1e-18
    max_trials: int = 20


@dataclass
class FeatureSearchConfig(PhaseConfig):
    """Search of the frequencies of ``network=random_features``."""

    _target_: str = "pinnderiv.training.optimisers.FeatureSearch"
    features: int = 400
    rungs: int = 11
    first: float = 0.125
    max_axes: int = 6


@dataclass
class VariableProjectionConfig(PhaseConfig):
    """The output layer by linear least squares, the rest by Gauss–Newton if wanted."""

    _target_: str = "pinnderiv.training.optimisers.VariableProjection"
    train_hidden: bool = False
    cutoff: float | None = None
    damping: float = 1e-2
    max_trials: int = 12


@dataclass
class SelfScaledConfig(PhaseConfig):
    """Self-scaled Broyden or BFGS steps, with a dense matrix."""

    _target_: str = "pinnderiv.training.optimisers.SelfScaled"
    kind: str = "broyden"
    max_evaluations: int = 25


@dataclass
class NaturalGradientConfig(PhaseConfig):
    """Energy natural gradients with a line search; with momentum, SPRING."""

    _target_: str = "pinnderiv.training.optimisers.NaturalGradient"
    damping: float = 1e-10
    momentum: float = 0.0


PHASES: dict[str, type] = {
    "schema/phase/adam": AdamConfig,
    "schema/phase/soap": SOAPConfig,
    "schema/phase/lbfgs": LBFGSConfig,
    "schema/phase/levenberg_marquardt": LevenbergMarquardtConfig,
    "schema/phase/gauss_newton_krylov": GaussNewtonKrylovConfig,
    "schema/phase/self_scaled": SelfScaledConfig,
    "schema/phase/natural_gradient": NaturalGradientConfig,
    "schema/phase/feature_search": FeatureSearchConfig,
    "schema/phase/variable_projection": VariableProjectionConfig,
}
