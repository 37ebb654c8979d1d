"""Networks that nobody wrote by hand, and the order at which differences approach the engine."""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from pinnderiv.derivatives.request import Collapsed
from pinnderiv.derivatives.taylor import TaylorEngine
from tests.oracle import by_reverse_mode

ENGINE = TaylorEngine()
WIDTH = 4


class Residual(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(WIDTH, WIDTH)

    def forward(self, z: Tensor) -> Tensor:
        return z + torch.tanh(self.inner(z)) * z.flip(-1)


class Reshaping(nn.Module):
    def forward(self, z: Tensor) -> Tensor:
        pairs = z.unflatten(-1, (2, 2))
        return torch.cat([(pairs @ pairs.mT).flatten(-2)[..., :2], z.narrow(-1, 1, 2).sin()], -1)


class Softmax(nn.Module):
    def forward(self, z: Tensor) -> Tensor:
        return z * z.softmax(-1) + F.normalize(z + 2, dim=-1)


class Columns(nn.Module):
    def forward(self, z: Tensor) -> Tensor:
        a, b, c, d = z.unbind(-1)
        return torch.stack([a * b, b / (2 + c**2), torch.exp(-(c**2)) * d, a.atan2(d + 4)], -1)


class InPlace(nn.Module):
    def forward(self, z: Tensor) -> Tensor:
        out = torch.zeros_like(z)
        out[..., 1:] = z[..., :3] ** 2
        out[..., 0].add_(z[..., 3].cos())
        return out


class Normalised(nn.Module):
    """LayerNorm in elementary operations: reverse mode through torch's own is not to be trusted."""

    def forward(self, z: Tensor) -> Tensor:
        off = z - z.mean(-1, keepdim=True)
        return off / (off.square().mean(-1, keepdim=True) + 0.1).sqrt()


LAYERS = {
    "linear": lambda: nn.Linear(WIDTH, WIDTH),
    "tanh": nn.Tanh,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "softplus": nn.Softplus,
    "mish": nn.Mish,
    "residual": Residual,
    "reshaping": Reshaping,
    "softmax": Softmax,
    "columns": Columns,
    "in_place": InPlace,
    "normalised": Normalised,
}


@settings(max_examples=30, deadline=None, derandomize=True)
@given(
    names=st.lists(st.sampled_from(sorted(LAYERS)), min_size=1, max_size=5),
    columns=st.integers(1, 3),
    outputs=st.integers(1, 2),
    seed=st.integers(0, 1000),
)
def test_random_networks(names: list[str], columns: int, outputs: int, seed: int) -> None:
    torch.manual_seed(seed)
    layers = [LAYERS[name]() for name in names]
    net = nn.Sequential(nn.Linear(columns, WIDTH), *layers, nn.Linear(WIDTH, outputs)).double()
    x = torch.randn(2, columns, dtype=torch.float64)
    hessian = by_reverse_mode(net, x, "hessian")
    jacobian = by_reverse_mode(net, x, "jacobian")
    tolerance = {"rtol": 1e-9, "atol": 1e-9 * max(1.0, float(hessian.abs().max()))}
    torch.testing.assert_close(ENGINE.hessian(net, x)[1], hessian, **tolerance)
    weights = torch.randn(columns, dtype=torch.float64)
    drift = torch.randn(2, columns, dtype=torch.float64)
    request = Collapsed(tuple(range(columns)), None, weights, drift)
    wanted = torch.einsum("nmii,i->nm", hessian, weights)
    wanted = wanted + torch.einsum("nmi,ni->nm", jacobian, drift)
    torch.testing.assert_close(ENGINE.collapsed(net, x, request)[1], wanted, **tolerance)


def test_central_differences_converge_to_it_with_second_order() -> None:
    torch.manual_seed(3)
    net = nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, 8), nn.SiLU(), nn.Linear(8, 1))
    net = net.double()
    x = torch.randn(20, 2, dtype=torch.float64)
    request = Collapsed((0, 1), None, torch.ones(2, dtype=torch.float64))
    exact = ENGINE.collapsed(net, x, request)[1]
    errors = []
    for h in (0.1, 0.05, 0.025, 0.0125):
        shifted = [net(x + s * h * e) for e in torch.eye(2, dtype=torch.float64) for s in (1, -1)]
        errors.append(float((sum(shifted) / h**2 - 4 * net(x) / h**2 - exact).abs().max()))
    rates = [torch.log2(torch.tensor(a / b)) for a, b in pairwise(errors)]
    assert all(1.97 < rate < 2.03 for rate in rates)
