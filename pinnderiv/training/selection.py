"""From what the configuration says of the loss and of the points to the rules that it names."""

from __future__ import annotations

from collections.abc import Callable

from pinnderiv.errors import ConfigurationError
from pinnderiv.problems import Problem
from pinnderiv.schema.loss import BalanceKind, LossConfig
from pinnderiv.schema.points import AdaptiveKind, SamplerConfig
from pinnderiv.training.adaptive import R3, RAD, RAR, RARD, Adaptive
from pinnderiv.training.balancing import NTK, Balance, GradientNorm, ReLoBRaLo
from pinnderiv.training.causality import Causality
from pinnderiv.training.seeding import child_seed

_ADAPTIVE_OPTIONS = ("pool", "power", "floor", "add", "limit")
# Each rule, and those of the options that it has a use for.
_ADAPTIVE: dict[AdaptiveKind, tuple[Callable[..., Adaptive] | None, tuple[str, ...]]] = {
    AdaptiveKind.none: (None, ()),
    AdaptiveKind.rad: (RAD, ("pool", "power", "floor")),
    AdaptiveKind.rar: (RAR, ("pool", "add", "limit")),
    AdaptiveKind.rar_d: (RARD, _ADAPTIVE_OPTIONS),
    AdaptiveKind.r3: (R3, ()),
}


def balance_of(config: LossConfig, seed: int) -> Balance | None:
    """The rule of ``loss.balance``; ``seed`` is the run's."""
    every, momentum = config.balance_every, config.balance_momentum
    match config.balance:
        case BalanceKind.gradient_norm:
            return GradientNorm(every, momentum)
        case BalanceKind.ntk:
            return NTK(every, momentum)
        case BalanceKind.relobralo:
            return ReLoBRaLo(
                every,
                momentum,
                config.balance_temperature,
                config.balance_lookback,
                child_seed(seed, "balance"),
            )
        case BalanceKind.none:
            return None


def causality_of(config: LossConfig, problem: Problem) -> Causality | None:
    """The causal weights of ``loss.causal``."""
    if config.causal is None:
        return None
    return Causality(problem, config.causal, config.causal_chunks, config.causal_every)


def adaptive_of(config: SamplerConfig) -> Adaptive | None:
    """The rule of ``sampler.adaptive``.

    Raises:
        ConfigurationError: a number is out of range, or given to a rule that has no use for it.
    """
    rule, takes = _ADAPTIVE[config.adaptive]
    given = {name: getattr(config, f"adaptive_{name}") for name in _ADAPTIVE_OPTIONS}
    given = {name: value for name, value in given.items() if value is not None}
    for name in given:
        if name not in takes:
            raise ConfigurationError(
                f"sampler.adaptive={config.adaptive.value} has no use for "
                f"sampler.adaptive_{name}: leave it null, or take another rule"
            )
    return None if rule is None else rule(**given)
