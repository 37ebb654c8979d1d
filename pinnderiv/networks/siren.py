"""SIREN: a network of sines, with the initialisation that makes it trainable."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import init

from pinnderiv.errors import ArgumentError
from pinnderiv.networks.options import check_sizes
from pinnderiv.networks.periodic import PeriodicEmbedding


class Siren(nn.Module):
    """Sitzmann et al. 2020, (*batch, inputs) -> (*batch, outputs).

    Hidden layers are sin(ω₀ (W x + b)). Weights are uniform: in ±1/fan_in in the
    first layer, in ±√(6/fan_in)/ω₀ elsewhere, which keeps the distribution of
    the activations the same through any depth. Biases are uniform in
    ±1/√fan_in, as in the authors' code.

    Args:
        inputs: number of coordinates.
        outputs: number of unknowns.
        width: neurons in a hidden layer.
        depth: number of hidden layers.
        omega_0: ω₀ in radians per unit of input scaled to [-1, 1]. The authors
            take 30, for images and sound; second derivatives grow with ω₀², and
            solutions with a few waves train better with 3 to 10.
        periodic_axes: as for :class:`~pinnderiv.networks.MLP`.
        harmonics: as for :class:`~pinnderiv.networks.MLP`.

    Raises:
        ArgumentError: a size is not a positive integer, ``omega_0`` is not positive, or
            an axis is none.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        width: int = 64,
        depth: int = 3,
        omega_0: float = 30.0,
        periodic_axes: Sequence[int] = (),
        harmonics: int = 1,
    ) -> None:
        super().__init__()
        check_sizes(inputs=inputs, outputs=outputs, width=width, depth=depth)
        if not (math.isfinite(omega_0) and omega_0 > 0):
            raise ArgumentError(f"omega_0 must be a positive number; got {omega_0!r}.")
        self.omega_0 = float(omega_0)
        self.embedding = PeriodicEmbedding(inputs, periodic_axes, harmonics)
        first = self.embedding.outputs
        self.hidden = nn.ModuleList(
            nn.Linear(first if layer == 0 else width, width) for layer in range(depth)
        )
        self.output = nn.Linear(width, outputs)
        self._initialise()

    def forward(self, x: Tensor) -> Tensor:
        x = self.embedding(x)
        for layer in self.hidden:
            x = torch.sin(self.omega_0 * layer(x))
        return self.output(x)

    def _initialise(self) -> None:
        for index, layer in enumerate([*self.hidden, self.output]):
            fan_in = layer.in_features
            bound = 1 / fan_in if index == 0 else math.sqrt(6 / fan_in) / self.omega_0
            init.uniform_(layer.weight, -bound, bound)
            init.uniform_(layer.bias, -1 / math.sqrt(fan_in), 1 / math.sqrt(fan_in))
