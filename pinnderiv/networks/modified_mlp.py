"""The modified MLP: every hidden layer gated by two encodings of the input."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from pinnderiv.errors import ArgumentError
from pinnderiv.networks.activations import Activation, activation_function
from pinnderiv.networks.initialisations import linear
from pinnderiv.networks.layers import hidden_layer
from pinnderiv.networks.options import check_sizes
from pinnderiv.networks.periodic import PeriodicEmbedding


class ModifiedMLP(nn.Module):
    """Wang, Teng & Perdikaris 2021, (*batch, inputs) -> (*batch, outputs).

    With U = φ(W_U x + b_U), V = φ(W_V x + b_V) and H₁ = φ(W₁ x + b₁), each
    further hidden layer mixes the two encodings: Z = φ(W H + b),
    H ← (1 − Z) U + Z V.

    Args:
        inputs: number of coordinates.
        outputs: number of unknowns.
        width: neurons in a hidden layer.
        depth: number of hidden layers, at least 2: the first is not gated.
        activation: as for :class:`~pinnderiv.networks.MLP`.
        initialisation: as for :class:`~pinnderiv.networks.MLP`.
        adaptive: as for :class:`~pinnderiv.networks.MLP`.
        adaptive_scale: as for :class:`~pinnderiv.networks.MLP`.
        factorised: as for :class:`~pinnderiv.networks.MLP`.
        periodic_axes: as for :class:`~pinnderiv.networks.MLP`.
        harmonics: as for :class:`~pinnderiv.networks.MLP`.

    Raises:
        ArgumentError: a size is not a positive integer, ``depth`` is 1, an axis is
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
        adaptive: str = "none",
        adaptive_scale: float = 10.0,
        factorised: bool = False,
        periodic_axes: Sequence[int] = (),
        harmonics: int = 1,
    ) -> None:
        super().__init__()
        check_sizes(inputs=inputs, outputs=outputs, width=width, depth=depth)
        if depth < 2:
            raise ArgumentError(
                "depth must be at least 2 in a ModifiedMLP, whose first hidden layer is not "
                "gated; got 1. Use MLP for a single hidden layer."
            )
        self.activation = activation_function(activation)
        self.embedding = PeriodicEmbedding(inputs, periodic_axes, harmonics)
        embedded = self.embedding.outputs
        options = (initialisation, adaptive, adaptive_scale, factorised)
        self.encoder_u = hidden_layer(embedded, width, *options)
        self.encoder_v = hidden_layer(embedded, width, *options)
        self.first = hidden_layer(embedded, width, *options)
        self.gates = nn.ModuleList(hidden_layer(width, width, *options) for _ in range(depth - 1))
        self.output = linear(width, outputs, initialisation)

    def forward(self, x: Tensor) -> Tensor:
        x = self.embedding(x)
        u = self.activation(self.encoder_u(x))
        difference = self.activation(self.encoder_v(x)) - u
        h = self.activation(self.first(x))
        for layer in self.gates:
            # (1 − Z) U + Z V with one product instead of two.
            h = u + self.activation(layer(h)) * difference
        return self.output(h)
