"""One wide layer of sines with random frequencies, and a linear output layer."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from pinnderiv.errors import ArgumentError
from pinnderiv.networks.options import check_sizes
from pinnderiv.networks.periodic import PeriodicEmbedding


class RandomFeatureNetwork(nn.Module):
    """u(x) = C sin(W (s ∘ x) + b) + c, (*batch, inputs) -> (*batch, outputs).

    W is uniform in [-1, 1] and b in [0, 2π], so the features fill the band of
    frequencies up to ``scale`` evenly (Rahimi & Recht 2007; for PDEs the random
    feature method of Chen, Chi, E & Yang 2022). The band is one number s_i for
    each axis: a parameter that a search, or training, fits to the problem. C
    starts at zero. Everything can be trained; for a linear equation the best C
    is a linear least-squares problem, which is what makes this network accurate.

    In many dimensions features that look at all coordinates at once cannot fill
    the space. ``orders`` mixes in features of one or two coordinates each (sparse
    random features, Hashemi, Schaeffer, Shi et al. 2023), which suits solutions
    made of interactions of low order.

    Args:
        inputs: number of coordinates.
        outputs: number of unknowns.
        width: number of features.
        scale: highest angular frequency along each axis, in radians per unit of
            input scaled to [-1, 1]: k·π/2 for k half-waves.
        orders: how many coordinates a feature looks at, taken in turn by the
            features; ``None`` for all of them. A number above ``inputs`` means all.
        periodic_axes: as for :class:`~pinnderiv.networks.MLP`; the features are then of
            the embedded coordinates, with a scale for each.
        harmonics: as for :class:`~pinnderiv.networks.MLP`.

    Raises:
        ArgumentError: a size, ``scale`` or an order is not positive, or an axis is none.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        width: int = 600,
        scale: float = 4.0,
        orders: Sequence[int] | None = None,
        periodic_axes: Sequence[int] = (),
        harmonics: int = 1,
    ) -> None:
        super().__init__()
        check_sizes(inputs=inputs, outputs=outputs, width=width)
        if not (math.isfinite(scale) and scale > 0):
            raise ArgumentError(f"scale must be a positive number; got {scale!r}.")
        for order in orders or ():
            check_sizes(orders=order)
        self.embedding = PeriodicEmbedding(inputs, periodic_axes, harmonics)
        inputs = self.embedding.outputs
        self.scale = nn.Parameter(torch.full((inputs,), float(scale)))
        self.hidden = nn.Linear(inputs, width)
        self.output = nn.Linear(width, outputs)
        with torch.no_grad():
            self.hidden.weight.copy_(_frequencies(width, inputs, orders or (inputs,)))
            self.hidden.bias.uniform_(0.0, 2 * math.pi)
            self.output.weight.zero_()
            self.output.bias.zero_()

    def forward(self, x: Tensor) -> Tensor:
        return self.output(torch.sin(self.hidden(self.embedding(x) * self.scale)))


def _frequencies(width: int, inputs: int, orders: Sequence[int]) -> Tensor:
    """W (width, inputs), row j with orders[j mod len] entries that are not zero."""
    weight = torch.empty(width, inputs).uniform_(-1.0, 1.0)
    for row, order in enumerate(orders[j % len(orders)] for j in range(width)):
        if order < inputs:
            weight[row, torch.randperm(inputs)[order:]] = 0.0
        # the phase of a feature of many coordinates would vary over more than one band
        weight[row] *= min(1.0, math.sqrt(2 / min(order, inputs)))
    return weight
