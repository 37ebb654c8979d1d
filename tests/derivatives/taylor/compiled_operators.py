"""Compares compiled public operators with the eager ones; run as a program by test_compile.py."""

from __future__ import annotations

import sys

import torch
from torch import Tensor, nn

import pinnderiv

torch.manual_seed(0)
NET = nn.Sequential(
    nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, 1)
).double()
X = torch.randn(5, 2, dtype=torch.float64)


def named(x: Tensor) -> Tensor:
    found = pinnderiv.derivatives(NET, ["u", "u_t", "u_xx"], ("x", "t"))(x)
    return found["u"] + found["u_t"] * found["u_xx"]


OPERATORS = {
    "partial": lambda x: pinnderiv.partial(NET, (0, 1))(x),
    "third": lambda x: pinnderiv.partial(NET, (0, 0, 1))(x),
    "derivatives": named,
    "biharmonic": lambda x: pinnderiv.biharmonic(NET)(x),
    "hessian": lambda x: pinnderiv.hessian(NET)(x),
    "laplacian": lambda x: pinnderiv.laplacian(NET)(x),
}


def compare(name: str, backend: str) -> None:
    torch._dynamo.reset()

    def step(x: Tensor) -> Tensor:
        return OPERATORS[name](x).square().mean()

    parameters = list(NET.parameters())
    eager = step(X)
    wanted = torch.autograd.grad(eager, parameters, allow_unused=True)
    loss = torch.compile(step, fullgraph=True, backend=backend)(X)
    found = torch.autograd.grad(loss, parameters, allow_unused=True)
    torch.testing.assert_close(loss, eager)
    for a, b in zip(found, wanted, strict=True):
        if a is not None or b is not None:
            torch.testing.assert_close(a, b)
    print(f"{name} {backend} equal, first call")


if __name__ == "__main__":
    for operator in sys.argv[2:]:
        compare(operator, sys.argv[1])
