"""Scaling of the coordinates to [-1, 1], where initialisations expect them."""

from __future__ import annotations

import math
from collections.abc import Sequence

from torch import Tensor, nn

from pinnderiv.errors import ArgumentError
from pinnderiv.networks.constants import ConstantsModule


def check_bounds(lower: Sequence[float], upper: Sequence[float]) -> tuple[list[float], list[float]]:
    """Requires two corners of a box, one number a coordinate, lower below upper.

    Raises:
        ArgumentError: they are no lists of numbers, differ in length, are empty, or are
            not in order.
    """
    try:
        low, high = [float(value) for value in lower], [float(value) for value in upper]
    except (TypeError, ValueError) as error:
        raise ArgumentError(
            "lower and upper must be lists with one number a coordinate, such as [0.0, 0.0]; got "
            f"{lower!r} and {upper!r}."
        ) from error
    if len(low) != len(high) or not low:
        raise ArgumentError(
            "lower and upper must have one number a coordinate each; got "
            f"{len(low)} in lower and {len(high)} in upper."
        )
    for axis, (a, b) in enumerate(zip(low, high, strict=True)):
        if not (math.isfinite(a) and math.isfinite(b) and a < b):
            raise ArgumentError(
                f"lower must be below upper on every axis, both finite; on axis {axis} lower is "
                f"{a:g} and upper is {b:g}."
            )
    return low, high


class Normalise(ConstantsModule):
    """x ↦ 2 (x − lower) / (upper − lower) − 1, (*batch, D) -> (*batch, D).

    Args:
        lower: what becomes -1, one number a coordinate.
        upper: what becomes +1.

    Raises:
        ArgumentError: the two differ in length, or ``lower`` is not below ``upper``.
    """

    lower: Tensor
    scale: Tensor

    def __init__(self, lower: Sequence[float], upper: Sequence[float]) -> None:
        super().__init__()
        low, high = check_bounds(lower, upper)
        self.register_constant("lower", low)
        self.register_constant("scale", [2 / (b - a) for a, b in zip(low, high, strict=True)])

    def forward(self, x: Tensor) -> Tensor:
        return (x - self.lower) * self.scale - 1


class Scaled(nn.Module):
    """A network behind :class:`Normalise`: it sees every coordinate in [-1, 1].

    Args:
        network: (*batch, D) -> (*batch, M).
        lower: lower corner of the domain's bounding box.
        upper: upper corner of the domain's bounding box.

    Raises:
        ArgumentError: the corners differ in length, or ``lower`` is not below ``upper``.
    """

    def __init__(self, network: nn.Module, lower: Sequence[float], upper: Sequence[float]) -> None:
        super().__init__()
        self.normalise = Normalise(lower, upper)
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        return self.network(self.normalise(x))
