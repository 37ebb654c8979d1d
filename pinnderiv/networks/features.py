"""Random Fourier features, against the spectral bias of plain networks."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from pinnderiv.errors import ArgumentError
from pinnderiv.networks.activations import Activation
from pinnderiv.networks.mlp import MLP
from pinnderiv.networks.options import check_sizes
from pinnderiv.networks.periodic import PeriodicEmbedding


class FourierFeatures(nn.Module):
    """γ(x) = (cos Bx, sin Bx), (*batch, inputs) -> (*batch, 2·features), B Gaussian and fixed.

    Tancik et al. 2020, with the angular frequencies of Wang, Wang & Perdikaris
    2021 (no factor 2π). Several standard deviations give several scales, with
    an equal share of the features each.

    Args:
        inputs: number of coordinates.
        features: number of frequencies; at least one for each ``sigma``.
        sigma: standard deviation of B in radians per unit of input, one number
            or several. With inputs scaled to [-1, 1], ``sigma`` near k·π/2
            suits a solution with k half-waves along an axis.

    Raises:
        ArgumentError: a size or a ``sigma`` is not positive, or there are fewer
            features than scales.
    """

    frequencies: Tensor

    def __init__(
        self, inputs: int, features: int = 64, sigma: float | Sequence[float] = 1.0
    ) -> None:
        super().__init__()
        check_sizes(inputs=inputs, features=features)
        scales = _scales(sigma)
        if features < len(scales):
            raise ArgumentError(
                f"features must be at least the number of scales in sigma, {len(scales)}; got "
                f"{features}."
            )
        # Row i belongs to scale i mod S: shares are equal, give or take one.
        rows = torch.tensor([scales[row % len(scales)] for row in range(features)])
        # A buffer: it moves and is saved with the network, and is not trained.
        self.register_buffer("frequencies", rows[:, None] * torch.randn(features, inputs))

    def forward(self, x: Tensor) -> Tensor:
        angle = nn.functional.linear(x, self.frequencies)
        return torch.cat([torch.cos(angle), torch.sin(angle)], dim=-1)


class FourierFeatureMLP(nn.Module):
    """An MLP on random Fourier features, (*batch, inputs) -> (*batch, outputs).

    Args:
        inputs: number of coordinates.
        outputs: number of unknowns.
        width: neurons in a hidden layer.
        depth: number of hidden layers after the features.
        activation: as for :class:`~pinnderiv.networks.MLP`.
        initialisation: as for :class:`~pinnderiv.networks.MLP`.
        features: number of frequencies.
        sigma: one standard deviation of the frequencies, or one a scale; see
            :class:`FourierFeatures`.
        adaptive: as for :class:`~pinnderiv.networks.MLP`.
        adaptive_scale: as for :class:`~pinnderiv.networks.MLP`.
        factorised: as for :class:`~pinnderiv.networks.MLP`.
        periodic_axes: as for :class:`~pinnderiv.networks.MLP`; the features are then of
            the embedded coordinates.
        harmonics: as for :class:`~pinnderiv.networks.MLP`.

    Raises:
        ArgumentError: a size or a ``sigma`` is not positive, an axis is none, or a name
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
        features: int = 64,
        sigma: float | Sequence[float] = 1.0,
        adaptive: str = "none",
        adaptive_scale: float = 10.0,
        factorised: bool = False,
        periodic_axes: Sequence[int] = (),
        harmonics: int = 1,
    ) -> None:
        super().__init__()
        self.embedding = PeriodicEmbedding(inputs, periodic_axes, harmonics)
        self.features = FourierFeatures(self.embedding.outputs, features, sigma)
        layers = (width, depth, activation, initialisation, adaptive, adaptive_scale, factorised)
        self.mlp = MLP(2 * features, outputs, *layers)

    def forward(self, x: Tensor) -> Tensor:
        return self.mlp(self.features(self.embedding(x)))


def _scales(sigma: float | Sequence[float]) -> tuple[float, ...]:
    values = (sigma,) if isinstance(sigma, int | float) else tuple(sigma)
    if not values or not all(math.isfinite(value) and value > 0 for value in values):
        raise ArgumentError(
            f"sigma must be a positive number, or a list of them (one a scale); got {sigma!r}."
        )
    return tuple(float(value) for value in values)
