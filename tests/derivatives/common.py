"""What the tests of the operators share: networks, points, and a reference by plain autograd."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import torch
from torch import Tensor, nn

from pinnderiv.derivatives.engines import ENGINES
from tests.oracle import by_reverse_mode

METHODS = ("auto", *sorted(ENGINES))
# Two exact engines differ by rounding only; second derivatives in float32 lose some digits.
TOLERANCE = {torch.float64: 1e-10, torch.float32: 2e-4}


@cache
def network(
    columns: int,
    outputs: int,
    dtype: torch.dtype = torch.float64,
    width: int = 6,
    activation: type[nn.Module] = nn.Tanh,
) -> nn.Sequential:
    """A small network; the same object at every call, so that the guard examines it once."""
    return fresh_network(columns, outputs, dtype, width, activation)


def fresh_network(
    columns: int,
    outputs: int,
    dtype: torch.dtype = torch.float64,
    width: int = 6,
    activation: type[nn.Module] = nn.Tanh,
    seed: int = 0,
) -> nn.Sequential:
    """A small network with three layers, the same numbers for the same arguments."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        layers = [
            nn.Linear(columns, width),
            activation(),
            nn.Linear(width, width),
            activation(),
            nn.Linear(width, outputs),
        ]
        net = nn.Sequential(*layers).double()
        for parameter in net.parameters():
            nn.init.normal_(parameter, std=0.7)
    return net.to(dtype)


def points(*shape: int, dtype: torch.dtype = torch.float64, seed: int = 0) -> Tensor:
    """Points in [-1, 1]."""
    generator = torch.Generator().manual_seed(seed + sum(shape))
    return (2 * torch.rand(*shape, generator=generator, dtype=torch.float64) - 1).to(dtype)


def reference(f: Callable[[Tensor], Tensor], x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Value, Jacobian and Hessian of f at ``x (*batch, D)``, float64, one row at a time."""
    rows = x.detach().reshape(-1, x.shape[-1])
    if len(rows) == 0:
        outputs, columns = f(x.detach()).shape[-1], x.shape[-1]
        found = [x.new_zeros(0, outputs, *(columns,) * n) for n in range(3)]
    else:
        found = [by_reverse_mode(f, rows, kind) for kind in ("value", "jacobian", "hessian")]
    value, jacobian, hessian = (t.reshape(*x.shape[:-1], *t.shape[1:]) for t in found)
    return value, jacobian, hessian


def distance(found: Tensor, expected: Tensor) -> float:
    """The largest difference relative to the largest entry; shapes must be equal."""
    assert found.shape == expected.shape, (found.shape, expected.shape)
    if not expected.numel():
        return 0.0
    gap = (found.detach().double() - expected.detach().double()).abs().max()
    return float(gap / expected.detach().double().abs().max().clamp_min(1e-3))


def assert_close(found: Tensor, expected: Tensor, tolerance: float | None = None) -> None:
    """Equal shapes, and equal numbers up to the rounding of the dtype of ``found``."""
    allowed = TOLERANCE[found.dtype] if tolerance is None else tolerance
    assert distance(found, expected) <= allowed
