"""The multilayer perceptron."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn

from pinnderiv.networks.activations import Activation, activation_function
from pinnderiv.networks.initialisations import linear
from pinnderiv.networks.layers import hidden_layer
from pinnderiv.networks.options import check_sizes
from pinnderiv.networks.periodic import PeriodicEmbedding


class MLP(nn.Module):
    """Fully connected network, (*batch, inputs) -> (*batch, outputs).

    Args:
        inputs: number of coordinates.
        outputs: number of unknowns.
        width: neurons in a hidden layer.
        depth: number of hidden layers.
        activation: a name (tanh, sin, gelu, silu or swish, softplus, mish,
            sigmoid, relu), or an elementwise function.
        initialisation: xavier or glorot, he or kaiming, lecun, each also with
            ``_uniform`` or ``_normal``, or orthogonal. Biases start at zero.
        adaptive: activations σ(n a z) with a trained slope a (Jagtap, Kawaguchi &
            Karniadakis 2020): ``none``, or one slope a ``layer`` or a ``neuron``.
        adaptive_scale: their n, fixed; n a = 1 at the start.
        factorised: hidden weights diag(eˢ) V with s and V trained (Wang, Wang, Seidman &
            Perdikaris 2022).
        periodic_axes: columns along which the network has period 2, the width of
            the box if inputs are scaled to [-1, 1]; see
            :class:`~pinnderiv.networks.PeriodicEmbedding`.
        harmonics: waves along each of them.

    Raises:
        ArgumentError: a size is not a positive integer, an axis is none, or a name
            is unknown.
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
        self.activation = activation_function(activation)
        self.embedding = PeriodicEmbedding(inputs, periodic_axes, harmonics)
        sizes = [self.embedding.outputs] + [width] * depth
        self.hidden = nn.ModuleList(
            hidden_layer(fan_in, fan_out, initialisation, adaptive, adaptive_scale, factorised)
            for fan_in, fan_out in pairwise(sizes)
        )
        self.output = linear(width, outputs, initialisation)

    def forward(self, x: Tensor) -> Tensor:
        x = self.embedding(x)
        for layer in self.hidden:
            x = self.activation(layer(x))
        return self.output(x)
