"""Coordinates made periodic: whatever follows is periodic with all of its derivatives."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from pinnderiv.networks.constants import ConstantsModule
from pinnderiv.networks.options import check_axes, check_sizes


class PeriodicEmbedding(ConstantsModule):
    """z ↦ (the other coordinates, cos πkz, sin πkz), k = 1, …, K, along the axes chosen.

    A smooth function of these is periodic in z with period 2, with derivatives of
    every order (Dong & Ni 2021): with coordinates scaled to [-1, 1], over the width
    of the box. More harmonics K spare the network the making of short waves out of
    long ones. Without axes it passes its input on.

    Args:
        inputs: number of coordinates.
        axes: columns to make periodic.
        harmonics: K.

    Attributes:
        outputs: number of columns that come out, inputs + (2K − 1) · axes.

    Raises:
        ArgumentError: a size is not positive, or an axis is none or named twice.
    """

    matrix: Tensor

    def __init__(self, inputs: int, axes: Sequence[int] = (), harmonics: int = 1) -> None:
        super().__init__()
        check_sizes(inputs=inputs, harmonics=harmonics)
        self.axes = check_axes("periodic_axes", axes, inputs)
        kept = [axis for axis in range(inputs) if axis not in self.axes]
        self.kept = len(kept)
        self.outputs = self.kept + 2 * harmonics * len(self.axes)
        if self.axes:
            angles = [(axis, math.pi * k) for axis in self.axes for k in range(1, harmonics + 1)]
            rows = [(axis, 1.0) for axis in kept] + angles
            self.register_constant(
                "matrix",
                [[factor if axis == c else 0.0 for c in range(inputs)] for axis, factor in rows],
            )

    def forward(self, x: Tensor) -> Tensor:
        if not self.axes:
            return x
        # one product both picks the other coordinates and makes the angles
        mapped = nn.functional.linear(x, self.matrix)
        angle = mapped[..., self.kept :]
        waves = [torch.cos(angle), torch.sin(angle)]
        return torch.cat([mapped[..., : self.kept], *waves] if self.kept else waves, dim=-1)
