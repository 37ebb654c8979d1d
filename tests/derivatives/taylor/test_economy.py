"""Fewer directions behind the first layer: exact, differentiable twice, and really fewer."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from pinnderiv.derivatives import laplacian
from pinnderiv.derivatives.request import Collapsed
from pinnderiv.derivatives.taylor import TaylorEngine
from pinnderiv.derivatives.taylor import economy as economy_module
from pinnderiv.derivatives.taylor.run import Run
from tests.oracle import by_reverse_mode

COLUMNS, WIDTH = 30, 4
ENGINE = TaylorEngine()


class Skip(nn.Module):
    """The compressed carrier meets the points again, is shared, and is changed in place."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(COLUMNS, WIDTH)
        self.second = nn.Linear(COLUMNS, WIDTH)
        self.rest = nn.Sequential(
            nn.Tanh(), nn.Linear(WIDTH, WIDTH), nn.Tanh(), nn.Linear(WIDTH, 2)
        )

    def forward(self, x: Tensor) -> Tensor:
        a = self.first(x)
        b = torch.tanh(self.second(x))
        changed = a * 1.0
        changed += x[..., :WIDTH]
        return self.rest(a) * x.sin().prod(-1, keepdim=True) + self.rest(a * b) + self.rest(changed)


def plain() -> nn.Module:
    return nn.Sequential(
        nn.Linear(COLUMNS, WIDTH),
        nn.Tanh(),
        nn.Linear(WIDTH, WIDTH),
        nn.Tanh(),
        nn.Linear(WIDTH, 2),
    )


def features() -> nn.Module:
    class Features(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("frequencies", torch.randn(COLUMNS, WIDTH))
            self.rest = nn.Linear(2 * WIDTH, 2)

        def forward(self, x: Tensor) -> Tensor:
            phase = x @ self.frequencies
            return self.rest(torch.cat([phase.sin(), phase.cos()], -1))

    return Features()


def make(build: object) -> nn.Module:
    torch.manual_seed(8)
    return build().double()


def points() -> Tensor:
    return torch.randn(40, COLUMNS, dtype=torch.float64, generator=torch.Generator().manual_seed(9))


WEIGHTS = {
    "ones": torch.ones(COLUMNS),
    "signed": torch.linspace(-1.0, 1.7, COLUMNS),
    "one_against_many": torch.tensor([1.0] + [-0.5] * (COLUMNS - 1)),
}


@pytest.mark.parametrize("weights", WEIGHTS)
@pytest.mark.parametrize("build", [plain, Skip, features])
def test_results_and_two_orders_of_gradients(
    build: object, weights: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    f, x = make(build), points()
    w = WEIGHTS[weights].double()
    b = torch.linspace(-1.0, 1.0, COLUMNS).double()
    request = Collapsed(tuple(range(COLUMNS)), None, w, b)
    parameters = list(f.parameters())
    found = []
    for off in (False, True):
        if off:
            monkeypatch.setattr(economy_module, "_pays", lambda run, jet: False)
        _, result = ENGINE.collapsed(f, x, request)
        first = torch.autograd.grad(
            (result**2).mean(), parameters, create_graph=True, allow_unused=True
        )
        mixed = sum(
            (g * p.detach().cos()).sum()
            for g, p in zip(first, parameters, strict=True)
            if g is not None
        )
        second = torch.autograd.grad(mixed, parameters, allow_unused=True)
        found.append([result, *first, *second])
    for a, c in zip(*found, strict=True):
        if a is not None:
            torch.testing.assert_close(a, c, rtol=1e-9, atol=1e-10)
    hessian = by_reverse_mode(f, x[:2], "hessian")
    jacobian = by_reverse_mode(f, x[:2], "jacobian")
    wanted = torch.einsum("k,nmkk->nm", w, hessian) + jacobian @ b
    torch.testing.assert_close(found[0][0][:2], wanted)


def test_the_hidden_layers_carry_as_many_tangents_as_they_are_wide(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: list[int] = []
    initialise = Run.__init__

    def noted(self: Run, level: int, channels: int, *args: object, **kwargs: object) -> None:
        seen.append(channels)
        initialise(self, level, channels, *args, **kwargs)

    monkeypatch.setattr(Run, "__init__", noted)
    request = Collapsed(tuple(range(COLUMNS)), None, torch.ones(COLUMNS).double())
    ENGINE.collapsed(make(plain), points(), request)
    assert seen == [COLUMNS, WIDTH]


def test_directions_are_kept_where_each_has_a_channel_of_its_own() -> None:
    f, x = make(plain), points()
    _, second = ENGINE.second_derivatives(f, x)
    hessian = by_reverse_mode(f, x[:2], "hessian")
    torch.testing.assert_close(second[:2], hessian.diagonal(dim1=-2, dim2=-1))


def test_a_layer_of_deficient_rank() -> None:
    """Two equal rows of the weight matrix: the factorisation is singular, the result is not."""
    f, x = make(plain), points()
    with torch.no_grad():
        f[0].weight[1] = f[0].weight[0]
        f[0].weight[2] = 0.0
    request = Collapsed(tuple(range(COLUMNS)), None, torch.ones(COLUMNS).double())
    _, result = ENGINE.collapsed(f, x, request)
    gradient = torch.autograd.grad((result**2).mean(), f[0].weight)[0]
    assert bool(gradient.isfinite().all())
    wanted = torch.einsum("nmkk->nm", by_reverse_mode(f, x[:2], "hessian"))
    torch.testing.assert_close(result[:2], wanted)


def test_a_hundred_thousand_columns_need_no_square_matrix() -> None:
    columns = 100_000
    torch.manual_seed(10)
    f = nn.Sequential(nn.Linear(columns, 8), nn.Tanh(), nn.Linear(8, 1))
    x = torch.randn(4, columns)
    request = Collapsed(tuple(range(columns)), None, torch.ones(columns))
    _, result = ENGINE.collapsed(f, x, request)
    with torch.no_grad():
        y = torch.tanh(f[0](x))
        squares = (f[0].weight ** 2).sum(1)
        wanted = (-2 * y * (1 - y * y) * squares) @ f[2].weight.T
    torch.testing.assert_close(result.detach(), wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("weights", "economical"),
    [(None, True), ([1.0] * 30 + [-0.5] * 10, True), (torch.ones(40, dtype=torch.float64), False)],
)
def test_compiled_code_has_it_where_the_weights_are_known(weights: Any, economical: bool) -> None:
    """A tensor of weights has no numbers while it is being compiled."""
    net = nn.Sequential(nn.Linear(40, 6), nn.Tanh(), nn.Linear(6, 1)).double()
    x = torch.rand(64, 40, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    calls: list[str] = []

    def backend(graph: torch.fx.GraphModule, _: Any) -> Any:
        calls.extend(str(n.target) for n in graph.graph.nodes if n.op == "call_function")
        return graph.forward

    def operator(y: torch.Tensor) -> torch.Tensor:
        return laplacian(net, weights=weights, method="taylor")(y)

    torch._dynamo.reset()
    found = torch.compile(operator, fullgraph=True, backend=backend)(x)
    torch.testing.assert_close(found, operator(x))
    assert any("autograd_function_apply" in c for c in calls) == economical
