"""Initialisations of a linear layer by name."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from torch import Tensor, nn
from torch.nn import init

from pinnderiv.networks.options import unknown_option

# Variance of a weight: xavier 2/(in + out) (Glorot & Bengio 2010), he 2/in (He et al. 2015),
# lecun 1/in (LeCun et al. 1998); orthogonal has orthonormal rows or columns (Saxe et al. 2014).
_WEIGHTS: dict[str, Callable[[Tensor], Tensor]] = {
    "xavier_uniform": init.xavier_uniform_,
    "xavier_normal": init.xavier_normal_,
    "he_uniform": partial(init.kaiming_uniform_, nonlinearity="relu"),
    "he_normal": partial(init.kaiming_normal_, nonlinearity="relu"),
    "lecun_uniform": partial(init.kaiming_uniform_, nonlinearity="linear"),
    "lecun_normal": partial(init.kaiming_normal_, nonlinearity="linear"),
    "orthogonal": init.orthogonal_,
}

# Every family goes by the name of its method or of its author; the short name is the uniform one.
_ALIASES = {
    "xavier": "xavier_uniform",
    "glorot": "xavier_uniform",
    "glorot_uniform": "xavier_uniform",
    "glorot_normal": "xavier_normal",
    "he": "he_uniform",
    "kaiming": "he_uniform",
    "kaiming_uniform": "he_uniform",
    "kaiming_normal": "he_normal",
    "lecun": "lecun_uniform",
}

INITIALISATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    **_WEIGHTS,
    **{alias: _WEIGHTS[name] for alias, name in _ALIASES.items()},
}


def linear(fan_in: int, fan_out: int, initialisation: str) -> nn.Linear:
    """A linear layer with initialised weights and zero bias.

    Random numbers come from torch's global generator, so that one
    ``torch.manual_seed`` covers them.

    Args:
        fan_in: inputs.
        fan_out: outputs.
        initialisation: a name of ``INITIALISATIONS``.

    Returns:
        The layer.

    Raises:
        ArgumentError: no initialisation has that name.
    """
    if initialisation not in INITIALISATIONS:
        raise unknown_option("initialisation", initialisation, INITIALISATIONS)
    layer = nn.Linear(fan_in, fan_out)
    INITIALISATIONS[initialisation](layer.weight)
    init.zeros_(layer.bias)
    return layer
