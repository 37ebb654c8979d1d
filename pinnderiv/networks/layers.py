"""Hidden layers: a linear map, with the options that change how it is trained."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from pinnderiv.errors import ArgumentError
from pinnderiv.networks.factorisation import FactorisedLinear
from pinnderiv.networks.initialisations import linear
from pinnderiv.networks.options import unknown_option

ADAPTIVE = ("none", "layer", "neuron")


class AdaptiveSlope(nn.Module):
    """x ↦ n a (W x + b), what an adaptive activation σ(n a z) is applied to.

    Jagtap, Kawaguchi & Karniadakis 2020: the slope a is trained, n is fixed, and
    n a = 1 at the start. The larger n, the faster the slope follows its gradient.

    Args:
        layer: W x + b.
        size: number of slopes: 1 for one a layer, or one for each of its neurons.
        scale: n.
    """

    def __init__(self, layer: nn.Module, size: int, scale: float) -> None:
        super().__init__()
        self.layer = layer
        self.scale = scale
        self.slope = nn.Parameter(torch.full((size,), 1 / scale))

    def forward(self, x: Tensor) -> Tensor:
        return self.scale * self.slope * self.layer(x)


def hidden_layer(
    fan_in: int,
    fan_out: int,
    initialisation: str,
    adaptive: str = "none",
    adaptive_scale: float = 10.0,
    factorised: bool = False,
) -> nn.Module:
    """What comes before an activation.

    A slope draws no random numbers, so a seed gives the same weights with it and without.

    Args:
        fan_in: inputs.
        fan_out: outputs.
        initialisation: a name of ``INITIALISATIONS``.
        adaptive: ``none``; ``layer``, one slope for the whole layer; or ``neuron``, one a neuron.
        adaptive_scale: n of :class:`AdaptiveSlope`, at least 1.
        factorised: whether the weights are a :class:`FactorisedLinear`.

    Returns:
        (*batch, fan_in) -> (*batch, fan_out).

    Raises:
        ArgumentError: a name is unknown, or ``adaptive_scale`` is below 1.
    """
    if adaptive not in ADAPTIVE:
        raise unknown_option("adaptive activation", adaptive, ADAPTIVE)
    if not (math.isfinite(adaptive_scale) and adaptive_scale >= 1):
        raise ArgumentError(
            f"adaptive_scale must be a number of at least 1; got {adaptive_scale!r}."
        )
    plain = linear(fan_in, fan_out, initialisation)
    layer = FactorisedLinear(plain) if factorised else plain
    if adaptive == "none":
        return layer
    return AdaptiveSlope(layer, 1 if adaptive == "layer" else fan_out, float(adaptive_scale))
