"""Compares compiled public operators with the eager ones; run as a program by test_compile.py."""

from __future__ import annotations

import functools
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


class Loss(nn.Module):
    """Transforms made inside of what is compiled, of functions that close over what is there."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.net, self.kind = NET, kind
        self.scale = nn.Parameter(torch.tensor([0.7], dtype=torch.float64))

    def forward(self, x: Tensor) -> Tensor:
        factor, offset = self.scale.exp(), torch.ones(1, dtype=x.dtype)
        held = {"net": self.net, "factors": [factor, offset]}
        f = {
            "tensors": lambda y: held["net"](y) * held["factors"][0] + y * held["factors"][1],
            "partial": functools.partial(self.scaled, factor=factor),
            "operator": lambda y: lap(y) + self.net(y) * factor,
        }[self.kind]
        lap = pinnderiv.laplacian(self.net)
        return pinnderiv.laplacian(f)(x)

    def scaled(self, y: Tensor, factor: Tensor) -> Tensor:
        return self.net(y) * factor


def gradient(y: Tensor) -> Tensor:
    return pinnderiv.jacobian(NET)(y)[..., 0, :]


def twice(y: Tensor) -> Tensor:
    weights = torch.tensor([1.0, -0.5], dtype=y.dtype)
    return pinnderiv.linear_operator(
        pinnderiv.laplacian(NET, weights=weights), second=(1.0, 2.0), first=weights, zeroth=0.3
    )(y)


def under_grad(x: Tensor) -> Tensor:
    factor = NET[0].bias.sum()

    def energy(y: Tensor) -> Tensor:
        return pinnderiv.laplacian(lambda z: NET(z) * factor)(y).sum()

    return torch.func.grad(energy)(x)


OPERATORS = {
    "jacobian": lambda x: pinnderiv.jacobian(NET)(x),
    "laplacian of laplacian": lambda x: pinnderiv.laplacian(pinnderiv.laplacian(NET))(x),
    "jacobian of laplacian": lambda x: pinnderiv.jacobian(pinnderiv.laplacian(NET))(x),
    "divergence of gradient": lambda x: pinnderiv.divergence(gradient)(x),
    "partial of partial": lambda x: pinnderiv.partial(pinnderiv.partial(NET, 0), (1, 1))(x),
    "linear of laplacian": twice,
    "laplacian under grad": under_grad,
    **{f"of {k}": Loss(k) for k in ("tensors", "partial", "operator")},
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

    operator = OPERATORS[name]
    parameters = list((operator if isinstance(operator, Loss) else NET).parameters())
    eager = step(X)
    wanted = torch.autograd.grad(eager, parameters, allow_unused=True)
    loss = torch.compile(step, fullgraph=True, backend=backend)(X)
    found = torch.autograd.grad(loss, parameters, allow_unused=True)
    torch.testing.assert_close(loss, eager)
    for a, b in zip(found, wanted, strict=True):
        if a is not None or b is not None:
            torch.testing.assert_close(a, b)
    print(f"{name} {backend} equal, first call")


def refuse(backend: str) -> None:
    """What is wrong eagerly is refused while compiling as well, and by name."""
    mixing = nn.Sequential(nn.Linear(2, 4), nn.BatchNorm1d(4), nn.Tanh()).double()

    def step(x: Tensor, net: nn.Module) -> Tensor:
        return pinnderiv.laplacian(pinnderiv.laplacian(lambda y: net(y) + y[:, :1]))(x).sum()

    try:
        torch.compile(step, fullgraph=True, backend=backend)(X, mixing)
    except Exception as error:
        assert "BatchMixingError" in str(error), error
        assert "BatchNorm1d '1' is in training mode" in str(error), error
        print(f"refused {backend} equal, first call")
    torch.compile(step, fullgraph=True, backend=backend)(X, mixing.eval())


if __name__ == "__main__":
    for operator in sys.argv[2:]:
        if operator == "refused":
            refuse(sys.argv[1])
        else:
            compare(operator, sys.argv[1])
