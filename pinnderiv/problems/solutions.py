"""Exact solutions as sums of modes: what to measure against, and where sources come from.

All are plain smooth functions of (*batch, D) with values (*batch, 1), so that
they can be differentiated like a network. Their numbers are Python's, and take
on the dtype and device of the points.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce

import torch
from torch import Tensor

Elementwise = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class SineProduct:
    """∏_i sin(k_i (x_i − o_i)) over the first columns.

    Attributes:
        wavenumbers: k, radians per unit of length, one a column of space.
        origin: o, one a column of space.
    """

    wavenumbers: tuple[float, ...]
    origin: tuple[float, ...]

    def __call__(self, x: Tensor) -> Tensor:
        columns = x[..., : len(self.wavenumbers)]
        sines = torch.sin((columns - _like(self.origin, x)) * _like(self.wavenumbers, x))
        # One factor at a time: torch.prod has wrong second derivatives beside a zero factor.
        return reduce(torch.mul, sines.split(1, dim=-1))


@dataclass(frozen=True)
class AxisSum:
    """Σ_i g(k_i x_i) over the first columns.

    Attributes:
        function: g, elementwise.
        wavenumbers: k, one a column of space.
    """

    function: Elementwise
    wavenumbers: tuple[float, ...]

    def __call__(self, x: Tensor) -> Tensor:
        columns = x[..., : len(self.wavenumbers)]
        return self.function(columns * _like(self.wavenumbers, x)).sum(dim=-1, keepdim=True)


@dataclass(frozen=True)
class PairProducts:
    """x_1 x_2 + x_3 x_4 + … over an even number of columns; harmonic."""

    def __call__(self, x: Tensor) -> Tensor:
        return (x[..., 0::2] * x[..., 1::2]).sum(dim=-1, keepdim=True)


@dataclass(frozen=True)
class PlaneWave:
    """sin(k·x − ω t), t the last column.

    Attributes:
        wavenumbers: k, one a column of space.
        frequency: ω, radians per unit of time.
    """

    wavenumbers: tuple[float, ...]
    frequency: float

    def __call__(self, x: Tensor) -> Tensor:
        phase = (x * _like((*self.wavenumbers, -self.frequency), x)).sum(dim=-1, keepdim=True)
        return torch.sin(phase)


@dataclass(frozen=True)
class Mode:
    """a · S(x) · T(r t), t the last column; without T, a · S(x).

    Attributes:
        amplitude: a.
        space: S, (*batch, D) -> (*batch, 1).
        time: T, elementwise, or ``None``.
        rate: r, per unit of time.
    """

    amplitude: float
    space: Callable[[Tensor], Tensor]
    time: Elementwise | None = None
    rate: float = 0.0

    def __call__(self, x: Tensor) -> Tensor:
        value = self.amplitude * self.space(x)
        return value if self.time is None else value * self.time(self.rate * x[..., -1:])


@dataclass(frozen=True)
class Superposition:
    """A sum of modes.

    Attributes:
        modes: at least one.
    """

    modes: tuple[Mode, ...]

    def __call__(self, x: Tensor) -> Tensor:
        return reduce(torch.add, (mode(x) for mode in self.modes))


def _like(numbers: tuple[float, ...], x: Tensor) -> Tensor:
    return torch.tensor(numbers, dtype=x.dtype, device=x.device)
