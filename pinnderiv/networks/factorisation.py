"""Random weight factorisation: every neuron's weights as a trained scale times a direction."""

from __future__ import annotations

import torch
from torch import Tensor, nn

# Of s, as the authors take them for PDEs.
_MEAN, _DEVIATION = 1.0, 0.1


class FactorisedLinear(nn.Module):
    """x ↦ diag(eˢ) V x + b, (*batch, fan_in) -> (*batch, fan_out).

    Wang, Wang, Seidman & Perdikaris 2022: s, one number a neuron, starts normal with
    mean 1 and standard deviation 0.1, and V = diag(e⁻ˢ) W, so that the function starts
    as that of the layer that was factorised. Training then has a learning rate of its
    own for every neuron.

    Args:
        layer: W x + b; its bias is taken over.
    """

    def __init__(self, layer: nn.Linear) -> None:
        super().__init__()
        weight = layer.weight.detach()
        exponent = _MEAN + _DEVIATION * torch.randn_like(weight[:, 0])
        self.exponent = nn.Parameter(exponent)
        self.direction = nn.Parameter(weight / exponent.exp()[:, None])
        self.bias = layer.bias

    def forward(self, x: Tensor) -> Tensor:
        weight = self.exponent.exp()[:, None] * self.direction
        return nn.functional.linear(x, weight, self.bias)
