"""Compares a compiled training step with the eager one; run as a program by test_compile.py."""

from __future__ import annotations

import math
import sys
import time

import torch
from torch import Tensor, nn

from pinnderiv.derivatives.request import Collapsed
from pinnderiv.derivatives.taylor import TaylorEngine

ENGINE = TaylorEngine()


class Sine(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.sin(3 * x)


class Fourier(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("frequencies", torch.randn(3, 8))
        self.rest = nn.Sequential(nn.Linear(16, 8), nn.SiLU(), nn.Linear(8, 1))

    def forward(self, x: Tensor) -> Tensor:
        phase = 2 * math.pi * (x @ self.frequencies) / 3
        return self.rest(torch.cat([phase.sin(), phase.cos()], -1))


class Modified(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.u, self.v, self.h = (nn.Linear(3, 8) for _ in range(3))
        self.hidden, self.last = nn.Linear(8, 8), nn.Linear(8, 1)

    def forward(self, x: Tensor) -> Tensor:
        u, v, h = torch.tanh(self.u(x)), torch.tanh(self.v(x)), torch.tanh(self.h(x))
        for layer in (self.hidden, self.hidden):
            gate = torch.tanh(layer(h))
            h = (1 - gate) * u + gate * v
        return self.last(h) * x[:, :1] * (1 - x[:, :1]) - x[:, 1:2] ** 2 / 2


class Attention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.lift = nn.Linear(1, 8)
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
        self.norm = nn.LayerNorm(8)
        self.last = nn.Linear(8, 1)

    def forward(self, x: Tensor) -> Tensor:
        tokens = torch.tanh(self.lift(x.unsqueeze(-1)))
        tokens = self.norm(tokens + self.attention(tokens, tokens, tokens, need_weights=False)[0])
        return self.last(tokens.mean(1))


class Operators(nn.Module):
    """Every operator between carriers, tensors and numbers, in both orders."""

    def __init__(self) -> None:
        super().__init__()
        self.c = nn.Parameter(torch.rand(3) + 1)
        self.matrix = nn.Parameter(torch.randn(3, 4))

    def forward(self, x: Tensor) -> Tensor:
        c, z = self.c, x * x
        parts = [1 - z, z - 1, z - c, c - z, z / 2, 1 / (z + 3), z / c, c / (z + 3), z**3, 2**z]
        parts += [(z + 1) ** c, c**z, torch.where(x < c, z, x), torch.where(c < x, z, x), -z]
        parts += [abs(x) ** 3, c * z, c + z, z % 0.3, z[:, [2, 0, 1]]]
        total = sum(p.sum(-1, keepdim=True) * (i + 1) for i, p in enumerate(parts))
        filled = torch.zeros_like(x)
        filled[:, 0] = z[:, 1]
        filled += 1
        filled *= c
        return total + (z @ self.matrix).sum(-1, keepdim=True) + (filled**2).sum(-1, keepdim=True)


def mlp(activation: type[nn.Module], normalised: bool = False) -> nn.Module:
    hidden = [nn.Linear(8, 8), nn.LayerNorm(8)] if normalised else [nn.Linear(8, 8)]
    return nn.Sequential(nn.Linear(3, 8), activation(), *hidden, activation(), nn.Linear(8, 1))


NETWORKS = {
    "mlp": lambda: mlp(nn.Tanh),
    "siren": lambda: mlp(Sine),
    "layer_norm": lambda: mlp(nn.Tanh, normalised=True),
    "fourier": Fourier,
    "modified": Modified,
    "attention": Attention,
    "operators": Operators,
    "wide_input": lambda: nn.Sequential(nn.Linear(40, 6), nn.Tanh(), nn.Linear(6, 1)),
}


def compare(name: str, backend: str) -> None:
    torch._dynamo.reset()
    torch.manual_seed(0)
    net = NETWORKS[name]().double()
    columns = 40 if name == "wide_input" else 3
    x = torch.randn(5 if columns == 3 else 20, columns, dtype=torch.float64)
    weights = torch.linspace(1.0, -0.5, columns, dtype=torch.float64)
    # Numbers that are known while compiling let the first-layer economy act in what is compiled.
    numbers = tuple(weights.tolist()) if name == "wide_input" else None
    request = Collapsed(tuple(range(columns)), None, weights, weights.flip(0), numbers)

    def step(points: Tensor) -> Tensor:
        value, result = ENGINE.collapsed(net, points, request)
        return ((result + value) ** 2).mean()

    parameters = list(net.parameters())
    eager = step(x)
    wanted = torch.autograd.grad(eager, parameters, allow_unused=True)
    start = time.perf_counter()
    compiled = torch.compile(step, fullgraph=True, backend=backend)
    loss = compiled(x)
    found = torch.autograd.grad(loss, parameters, allow_unused=True)
    seconds = time.perf_counter() - start
    torch.testing.assert_close(loss, eager)
    for a, b in zip(found, wanted, strict=True):
        if b is not None:
            torch.testing.assert_close(a, b)
    print(f"{name} {backend} equal, first call {seconds:.1f} s")


if __name__ == "__main__":
    for network_name in sys.argv[2:]:
        compare(network_name, sys.argv[1])
