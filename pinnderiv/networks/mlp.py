"""The multilayer perceptron."""

from __future__ import annotations

from torch import Tensor, nn

from pinnderiv.networks.activations import Activation, activation_function
from pinnderiv.networks.initialisations import linear
from pinnderiv.networks.options import check_sizes


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

    Raises:
        ArgumentError: a size is not a positive integer, or a name is unknown.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        width: int = 64,
        depth: int = 3,
        activation: str | Activation = "tanh",
        initialisation: str = "xavier",
    ) -> None:
        super().__init__()
        check_sizes(inputs=inputs, outputs=outputs, width=width, depth=depth)
        self.activation = activation_function(activation)
        self.hidden = nn.ModuleList(
            linear(inputs if layer == 0 else width, width, initialisation) for layer in range(depth)
        )
        self.output = linear(width, outputs, initialisation)

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.hidden:
            x = self.activation(layer(x))
        return self.output(x)
