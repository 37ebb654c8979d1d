"""PirateNet: gated residual blocks that are the identity until training opens them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from pinnderiv.errors import ArgumentError
from pinnderiv.networks.activations import Activation, activation_function
from pinnderiv.networks.features import FourierFeatures
from pinnderiv.networks.initialisations import linear
from pinnderiv.networks.layers import hidden_layer
from pinnderiv.networks.options import check_sizes
from pinnderiv.networks.periodic import PeriodicEmbedding


class PirateNet(nn.Module):
    """Wang, Li, Chen & Perdikaris 2024, (*batch, inputs) -> (*batch, outputs).

    With Φ(x) random Fourier features, U = σ(W_U Φ + b_U) and V = σ(W_V Φ + b_V), each block
    maps x ↦ α h + (1 − α) x through three dense layers (:class:`PirateBlock`). Its α is
    trained and starts at zero, so the network starts as a linear function of Φ, however
    deep, and deepens as it is trained. A linear layer, here with a bias, ends it.

    Args:
        inputs: number of coordinates.
        outputs: number of unknowns.
        width: neurons in every layer, even: the features are width/2 cosines and as many sines.
        depth: number of residual blocks, of three layers each.
        activation: as for :class:`~pinnderiv.networks.MLP`.
        initialisation: as for :class:`~pinnderiv.networks.MLP`.
        sigma: standard deviation of the features' frequencies; see
            :class:`~pinnderiv.networks.FourierFeatures`.
        adaptive: as for :class:`~pinnderiv.networks.MLP`.
        adaptive_scale: as for :class:`~pinnderiv.networks.MLP`.
        factorised: as for :class:`~pinnderiv.networks.MLP`.
        periodic_axes: as for :class:`~pinnderiv.networks.MLP`.
        harmonics: as for :class:`~pinnderiv.networks.MLP`.

    Raises:
        ArgumentError: a size or a ``sigma`` is not positive, ``width`` is odd, an axis is
            none, or a name is unknown.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        width: int = 64,
        depth: int = 3,
        activation: str | Activation = "tanh",
        initialisation: str = "xavier",
        sigma: float | Sequence[float] = 1.0,
        adaptive: str = "none",
        adaptive_scale: float = 10.0,
        factorised: bool = False,
        periodic_axes: Sequence[int] = (),
        harmonics: int = 1,
    ) -> None:
        super().__init__()
        check_sizes(inputs=inputs, outputs=outputs, width=width, depth=depth)
        if width % 2:
            raise ArgumentError(
                "width must be even in a PirateNet, whose features are as many cosines as sines; "
                f"got {width}."
            )
        options = (initialisation, adaptive, adaptive_scale, factorised)
        self.activation = activation_function(activation)
        self.embedding = PeriodicEmbedding(inputs, periodic_axes, harmonics)
        self.features = FourierFeatures(self.embedding.outputs, width // 2, sigma)
        self.encoder_u = hidden_layer(width, width, *options)
        self.encoder_v = hidden_layer(width, width, *options)
        self.blocks = nn.ModuleList(
            PirateBlock(width, self.activation, *options) for _ in range(depth)
        )
        self.output = linear(width, outputs, initialisation)

    def forward(self, x: Tensor) -> Tensor:
        h = self.features(self.embedding(x))
        v = self.activation(self.encoder_v(h))
        difference = self.activation(self.encoder_u(h)) - v
        for block in self.blocks:
            h = block(h, v, difference)
        return self.output(h)


class PirateBlock(nn.Module):
    """x ↦ α h + (1 − α) x, all (*batch, width).

    f = σ(W₁ x + b₁), z = f U + (1 − f) V; g = σ(W₂ z + b₂), w = g U + (1 − g) V;
    h = σ(W₃ w + b₃).
    """

    def __init__(
        self,
        width: int,
        activation: Activation,
        initialisation: str,
        adaptive: str,
        adaptive_scale: float,
        factorised: bool,
    ) -> None:
        super().__init__()
        self.activation = activation
        self.layers = nn.ModuleList(
            hidden_layer(width, width, initialisation, adaptive, adaptive_scale, factorised)
            for _ in range(3)
        )
        self.alpha = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor, v: Tensor, difference: Tensor) -> Tensor:
        """Takes V and U − V: f U + (1 − f) V is then one product instead of two."""
        first, second, third = self.layers
        h = v + self.activation(first(x)) * difference
        h = v + self.activation(second(h)) * difference
        h = self.activation(third(h))
        return x + self.alpha * (h - x)
