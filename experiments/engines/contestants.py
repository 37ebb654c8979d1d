"""The training steps that are compared, each behind the same function signature.

Runs in the project's environment and in that of the peers: nothing here may import more than
torch before a contestant has been named.
"""

from __future__ import annotations

import os
from collections.abc import Callable

import torch
from torch import Tensor, nn

Residual = Callable[[nn.Module, Tensor], Tensor]
"""Network and points (N, D) to the Laplacian of every output, (N, M)."""


def pinnderiv_engines() -> list[str]:
    """The engines that the library has; a later one is measured without a change here."""
    from pinnderiv.derivatives.engines import ENGINES

    return list(ENGINES)


def pinnderiv_laplacian(engine: str) -> Residual:
    """The library as a user calls it, its guard included (paid at the first step)."""
    from pinnderiv import laplacian

    return lambda network, points: laplacian(network, method=engine)(points)


def deepxde_laplacian() -> Residual:
    """DeepXDE's own second derivatives, summed, as its documentation writes a Laplacian."""
    os.environ["DDE_BACKEND"] = "pytorch"
    import deepxde

    def residual(network: nn.Module, points: Tensor) -> Tensor:
        points = points.detach().requires_grad_()
        u = network(points)
        columns = []
        for output in range(u.shape[1]):
            terms = [
                deepxde.grad.hessian(u, points, component=output, i=d, j=d)
                for d in range(points.shape[1])
            ]
            columns.append(sum(terms[1:], terms[0]))
        # DeepXDE's model does the same after each step: its cache is keyed by tensor.
        deepxde.grad.clear()
        return torch.cat(columns, dim=1)

    return residual


def residual_of(contestant: str) -> Residual:
    """The residual of a contestant: 'deepxde', or 'pinnderiv:<engine>'."""
    if contestant == "deepxde":
        return deepxde_laplacian()
    library, _, engine = contestant.partition(":")
    if library != "pinnderiv" or not engine:
        raise SystemExit(f"unknown contestant '{contestant}'")
    return pinnderiv_laplacian(engine)


def network_of(inputs: int, width: int, hidden: int, outputs: int) -> nn.Sequential:
    """The same tanh network, with the same parameters, in every process."""
    torch.manual_seed(0)
    layers: list[nn.Module] = [nn.Linear(inputs, width), nn.Tanh()]
    for _ in range(hidden - 1):
        layers += [nn.Linear(width, width), nn.Tanh()]
    return nn.Sequential(*layers, nn.Linear(width, outputs))
