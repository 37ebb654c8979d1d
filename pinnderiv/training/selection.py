"""From what the configuration says of the loss and of the points to the rules that it names."""

from __future__ import annotations

from pinnderiv.problems import Problem
from pinnderiv.schema.loss import BalanceKind, LossConfig
from pinnderiv.schema.points import AdaptiveKind, SamplerConfig
from pinnderiv.training.adaptive import R3, RAD, RAR, RARD, Adaptive
from pinnderiv.training.balancing import NTK, Balance, GradientNorm, ReLoBRaLo
from pinnderiv.training.causality import Causality
from pinnderiv.training.seeding import child_seed


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
    """The rule of ``sampler.adaptive``."""
    density = config.adaptive_pool, config.adaptive_power, config.adaptive_floor
    match config.adaptive:
        case AdaptiveKind.rad:
            return RAD(*density)
        case AdaptiveKind.rar:
            return RAR(config.adaptive_add, config.adaptive_limit, *density)
        case AdaptiveKind.rar_d:
            return RARD(config.adaptive_add, config.adaptive_limit, *density)
        case AdaptiveKind.r3:
            return R3()
        case AdaptiveKind.none:
            return None
