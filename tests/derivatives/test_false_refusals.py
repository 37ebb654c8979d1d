"""Functions that are right must not be refused, however steep, flat, large or small they are."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pinnderiv.derivatives import biharmonic, jacobian, laplacian
from tests.derivatives.common import METHODS, fresh_network, points

Function = Callable[[Tensor], Tensor]
Made = Callable[[torch.dtype], tuple[Function, Tensor]]


class Sine(nn.Module):
    def __init__(self, frequency: float) -> None:
        super().__init__()
        self.frequency = frequency

    def forward(self, x: Tensor) -> Tensor:
        return torch.sin(self.frequency * x)


def siren(dtype: torch.dtype, frequency: float = 30.0, depth: int = 3) -> nn.Module:
    """Sitzmann et al. 2020, with their initialisation."""
    layers: list[nn.Module] = []
    inputs = 2
    for k in range(depth):
        linear = nn.Linear(inputs, 32)
        bound = 1 / inputs if k == 0 else math.sqrt(6 / inputs) / frequency
        nn.init.uniform_(linear.weight, -bound, bound)
        layers += [linear, Sine(frequency)]
        inputs = 32
    return nn.Sequential(*layers, nn.Linear(inputs, 1)).to(dtype)


class FourierFeatures(nn.Module):
    def __init__(self, scale: float) -> None:
        super().__init__()
        self.frequencies = nn.Parameter(2 * math.pi * scale * torch.randn(2, 16))
        self.net = nn.Sequential(nn.Linear(32, 16), nn.Tanh(), nn.Linear(16, 1))

    def forward(self, x: Tensor) -> Tensor:
        z = x @ self.frequencies
        return self.net(torch.cat([z.sin(), z.cos()], -1))


def box_factor(net: nn.Module) -> Function:
    """x (1 − x) y (1 − y) N(x, y), as exact boundary conditions are written."""
    return lambda x: (x * (1 - x)).prod(-1, keepdim=True) * net(x)


class Learner:
    """Holds a network without being one."""

    def __init__(self, dtype: torch.dtype) -> None:
        self.net = fresh_network(2, 1, dtype)

    def __call__(self, x: Tensor) -> Tensor:
        return self.net(x)

    def u(self, x: Tensor) -> Tensor:
        return self.net(x) * x[..., :1]


def near(scale: float, offset: float = 0.0) -> Made:
    """A network of coordinates that are brought to the order of one."""

    def make(dtype: torch.dtype) -> tuple[Function, Tensor]:
        net = fresh_network(2, 1, dtype)
        return lambda x: net((x - offset) / scale), offset + scale * points(20, 2, dtype=dtype)

    return make


def on(shape: tuple[int, ...], make: Callable[[torch.dtype], Function], scale: float = 1.0) -> Made:
    return lambda dtype: (make(dtype), scale * points(*shape, dtype=dtype))


def formula(f: Function) -> Callable[[torch.dtype], Function]:
    return lambda dtype: f


def with_layers(*layers: Callable[[], nn.Module]) -> Callable[[torch.dtype], Function]:
    def make(dtype: torch.dtype) -> Function:
        hidden = [part for layer in layers for part in (nn.Linear(16, 16), layer())]
        return nn.Sequential(nn.Linear(2, 16), *hidden, nn.Linear(16, 1)).to(dtype)

    return make


def in_eval_mode(dtype: torch.dtype) -> nn.Module:
    return (
        nn.Sequential(nn.Linear(2, 8), nn.BatchNorm1d(8), nn.Tanh(), nn.Linear(8, 1))
        .to(dtype)
        .eval()
    )


CASES: dict[str, Made] = {
    "siren": on((40, 2), siren),
    "siren_100": on((40, 2), functools.partial(siren, frequency=100.0)),
    "siren_deep": on((40, 2), functools.partial(siren, depth=5)),
    "fourier_1": on((40, 2), lambda dtype: FourierFeatures(1).to(dtype)),
    "fourier_50": on((40, 2), lambda dtype: FourierFeatures(50).to(dtype)),
    "fourier_200": on((40, 2), lambda dtype: FourierFeatures(200).to(dtype)),
    "coordinates_of_1e-6": near(1e-6),
    "coordinates_of_1e6": near(1e6),
    "coordinates_far_from_zero": near(1.0, 1000.0),
    "one_point_far_from_zero": lambda dtype: (torch.sin, torch.tensor([[1e4, 0.5]], dtype=dtype)),
    "single_point_far_from_zero": lambda dtype: (torch.sin, torch.tensor([1e4, 0.5], dtype=dtype)),
    "one_column_constant": lambda dtype: (
        fresh_network(2, 1, dtype),
        points(20, 2, dtype=dtype) * torch.tensor([0, 1], dtype=dtype),
    ),
    "all_points_the_same": lambda dtype: (
        fresh_network(2, 1, dtype),
        torch.zeros(5, 2, dtype=dtype),
    ),
    "constant": on((5, 2), formula(lambda x: torch.ones_like(x[..., :1]))),
    "constant_that_forgets_x": on((5, 2), formula(lambda x: x.new_full((len(x), 1), 2.0))),
    "linear": on((5, 2), lambda dtype: nn.Linear(2, 3).to(dtype)),
    "identity": on((5, 2), formula(lambda x: x)),
    "zero_somewhere": on((9, 2), formula(lambda x: F.relu(x) ** 3)),
    "large_offset": on((5, 2), formula(lambda x: 1e4 + (x**3).sum(-1, keepdim=True))),
    "outputs_of_all_sizes": on(
        (5, 2), formula(lambda x: torch.cat([1e6 * torch.sin(x), 1e-6 * torch.cos(3 * x)], -1))
    ),
    "one_column": on((9, 1), lambda dtype: fresh_network(1, 1, dtype)),
    "100_columns": on((3, 100), lambda dtype: fresh_network(100, 1, dtype)),
    "50_outputs": on((5, 2), lambda dtype: fresh_network(2, 50, dtype)),
    "deep": on((9, 2), with_layers(*[nn.Tanh] * 8)),
    "relu": on((9, 2), with_layers(nn.ReLU, nn.ReLU)),
    "gelu_silu_softplus": on((9, 2), with_layers(nn.GELU, nn.SiLU, lambda: nn.Softplus(100))),
    "layer_norm": on((9, 2), with_layers(lambda: nn.LayerNorm(16), nn.Tanh)),
    "peak": on((9, 2), formula(lambda x: torch.exp(-500 * (x**2).sum(-1, keepdim=True)))),
    "front": on((9, 2), formula(lambda x: torch.tanh(200 * (x.sum(-1, keepdim=True) - 0.1)))),
    "growth": on((9, 2), formula(lambda x: torch.exp(10 * x.sum(-1, keepdim=True))), 2.0),
    "valley": on(
        (9, 2),
        formula(lambda x: (1 - x[..., :1]) ** 2 + 100 * (x[..., 1:] - x[..., :1] ** 2) ** 2),
        5.0,
    ),
    "potential": on((9, 2), formula(lambda x: 1 / (x - 3).norm(dim=-1, keepdim=True))),
    "near_a_singularity": lambda dtype: (
        lambda x: torch.log(x).sum(-1, keepdim=True),
        1e-3 * points(20, 2, dtype=dtype).abs() + 1e-6,
    ),
    "box_factor": on((9, 2), lambda dtype: box_factor(fresh_network(2, 1, dtype))),
    "callable_object": on((9, 2), Learner),
    "method": on((9, 2), lambda dtype: Learner(dtype).u),
    "partial": on((9, 2), lambda dtype: functools.partial(F.gelu, approximate="tanh")),
    "builtin": on((9, 2), formula(torch.sin)),
    "rows_one_by_one": on((4, 2), formula(lambda x: torch.stack([row**3 for row in x]))),
    "branch_on_the_batch": on((4, 2), formula(lambda x: x**3 if x.sum() < 1e9 else x)),
    "batch_norm_in_eval_mode": on((9, 2), in_eval_mode),
    "traced": on((9, 2), lambda dtype: torch.fx.symbolic_trace(fresh_network(2, 1, dtype))),
}


# Single precision is the hard one for differences.
DTYPES = [(torch.float32, method) for method in METHODS] + [(torch.float64, "auto")]


@pytest.mark.parametrize(("dtype", "method"), DTYPES, ids=str)
@pytest.mark.parametrize("name", CASES)
def test_is_not_refused(name: str, dtype: torch.dtype, method: str) -> None:
    torch.manual_seed(0)
    f, x = CASES[name](dtype)
    for transform in (jacobian, laplacian):
        found = transform(f, method=method)(x)
        assert found.dtype == dtype and found.isfinite().all()


@pytest.mark.parametrize("method", ["auto", "nested", "reverse"])
@pytest.mark.parametrize("name", ["siren", "coordinates_of_1e-6", "linear", "box_factor"])
def test_the_fourth_order_is_not_refused(name: str, method: str) -> None:
    torch.manual_seed(0)
    f, x = CASES[name](torch.float64)
    assert biharmonic(f, method=method)(x[:3]).isfinite().all()


def test_spectral_norm_in_training_mode() -> None:
    """It refines a buffer at each call, which the guard puts back."""
    linear = nn.utils.parametrizations.spectral_norm(nn.Linear(2, 8).double())
    net = nn.Sequential(linear, nn.Tanh(), nn.Linear(8, 1).double())
    for _ in range(30):
        net(points(3, 2))
    before = linear.parametrizations.weight[0]._u.clone()
    laplacian(net, method="reverse")(points(3, 2))
    assert linear.parametrizations.weight[0]._u.allclose(before)


def test_modules_that_learn_their_shapes_at_the_first_call() -> None:
    net = nn.Sequential(nn.LazyLinear(8), nn.Tanh(), nn.LazyLinear(1))
    assert laplacian(net)(points(3, 2, dtype=torch.float32)).shape == (3, 1)


@pytest.mark.parametrize("method", ["auto", "nested", "reverse"])
def test_scripted_and_exported_networks(method: str) -> None:
    net, x = fresh_network(2, 1), points(4, 2)
    expected = laplacian(net)(x)
    for f in (torch.jit.trace(net, x), torch.export.export(net, (x,)).module()):
        assert torch.allclose(laplacian(f, method=method)(x), expected)
