"""The unit ball and the unit sphere, as deterministic images of the unit cube."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def directions(unit: Tensor) -> tuple[Tensor, Tensor]:
    """Maps unit points to uniform directions, and to a uniform number besides.

    In two and three dimensions by angle and height (Archimedes), which have no
    singular point but the poles. Beyond, a vector of normal quantiles has a uniform
    direction, and its square length, which is independent of that, a χ² distribution
    (Muller 1959).

    Args:
        unit: (N, d) in [0, 1].

    Returns:
        Unit vectors (N, d), and numbers (N,) in [0, 1], both uniform and independent.
    """
    dim = unit.shape[1]
    if dim == 1:
        doubled = 2 * unit[:, 0]
        upper = doubled >= 1
        sign = torch.where(upper, 1.0, -1.0).to(unit.dtype)
        return sign[:, None], torch.where(upper, doubled - 1, 1 - doubled)
    if dim == 2:
        return _circle(unit[:, 1]), unit[:, 0]
    if dim == 3:
        height = 2 * unit[:, 1] - 1
        across = (1 - height * height).clamp(min=0).sqrt()
        circle = across[:, None] * _circle(unit[:, 2])
        return torch.cat([circle, height[:, None]], dim=1), unit[:, 0]
    eps = torch.finfo(unit.dtype).eps / 4
    normal = torch.special.ndtri(unit.clamp(eps, 1 - 2 * eps))
    square = normal.square().sum(dim=1)
    half = torch.full_like(square, dim / 2)
    free = torch.special.gammainc(half, square / 2)
    # The centre of the cube has no direction: any will do, it is one point.
    normal[square == 0, 0] = 1.0
    return normal / normal.norm(dim=1, keepdim=True), free


def in_ball(unit: Tensor) -> Tensor:
    """Maps unit points (N, d) into the unit ball, uniformly in volume: radius u^(1/d)."""
    direction, free = directions(unit)
    return free[:, None] ** (1 / unit.shape[1]) * direction


def ball_measure(dim: int) -> float:
    """Volume of the unit ball, π^(d/2)/Γ(d/2 + 1)."""
    return math.pi ** (dim / 2) / math.gamma(dim / 2 + 1)


def sphere_measure(dim: int) -> float:
    """Area of the unit sphere in d coordinates, d times the volume of the ball."""
    return dim * ball_measure(dim)


def _circle(turns: Tensor) -> Tensor:
    angle = 2 * math.pi * turns
    return torch.stack([angle.cos(), angle.sin()], dim=1)
