"""Compares the carrier with the capture; prints the table of docs/decisions/0001-taylor-carrier.md.

python experiments/taylor_carrier/run.py
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from capture import CapturedLaplacian
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap

import pinnderiv
from pinnderiv.derivatives.request import Collapsed
from pinnderiv.derivatives.taylor import TaylorEngine

ENGINE = TaylorEngine()


class CarrierLaplacian:
    """The engine as it stands in the library."""

    def __init__(self, net: nn.Module) -> None:
        self.net = net

    def __call__(self, x: Tensor, parameters: dict[str, Tensor] | None = None) -> Tensor:
        def f(y: Tensor) -> Tensor:
            return functional_call(self.net, parameters, (y,)) if parameters else self.net(y)

        ones = torch.ones(x.shape[-1], dtype=x.dtype)
        return ENGINE.collapsed(f, x, Collapsed(tuple(range(x.shape[-1])), None, ones))[1]


class Attention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.lift, self.last = nn.Linear(1, 8), nn.Linear(8, 1)
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        tokens = torch.tanh(self.lift(x.unsqueeze(-1)))
        return self.last(self.attention(tokens, tokens, tokens, need_weights=False)[0].mean(1))


class Unknown(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(3, 1)

    def forward(self, x: Tensor) -> Tensor:
        return torch.special.airy_ai(self.first(x))


def mlp(width: int = 16, *norm: nn.Module) -> nn.Module:
    return nn.Sequential(
        nn.Linear(3, width),
        *norm,
        nn.Tanh(),
        nn.Linear(width, width),
        nn.Tanh(),
        nn.Linear(width, 1),
    )


NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "MLP": mlp,
    "LayerNorm": lambda: mlp(16, nn.LayerNorm(16)),
    "attention": Attention,
}


def tried(action: Callable[[], Any]) -> str:
    """What came of it, in a few words."""
    try:
        result = action()
    except Exception as error:
        text = str(error).strip().splitlines()
        return f"{type(error).__name__}: {text[0][:160] if text else ''}"
    return result if isinstance(result, str) else "works"


def first_call(laplacian: Any, x: Tensor) -> str:
    start = time.perf_counter()
    result = laplacian(x)
    seconds = time.perf_counter() - start
    wanted = pinnderiv.laplacian(laplacian.net, method="reverse")(x)
    torch.testing.assert_close(result, wanted)
    return f"right, {seconds * 1e3:.0f} ms"


def per_point_gradients(laplacian: Any, x: Tensor) -> str:
    parameters = {k: p.detach() for k, p in laplacian.net.named_parameters()}
    vmap(grad(lambda p, row: laplacian(row[None], p)[0, 0]), (None, 0))(parameters, x)
    return "works"


def compiled(laplacian: Any, x: Tensor) -> str:
    torch._dynamo.reset()
    step = torch.compile(lambda y: (laplacian(y) ** 2).mean(), fullgraph=True, backend="aot_eager")
    step(x).backward()
    return "works"


def nested(kind: type, net: nn.Module, x: Tensor) -> str:
    inner = kind(net)

    class Inner(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = net

        def forward(self, y: Tensor) -> Tensor:
            return inner(y)

    kind(Inner())(x)
    return "works"


def overhead(laplacian: Any, x: Tensor) -> str:
    laplacian(x)
    times = []
    for _ in range(200):
        start = time.perf_counter()
        laplacian(x)
        times.append(time.perf_counter() - start)
    return f"{statistics.median(times) * 1e6:.0f} µs"


KINDS = (CarrierLaplacian, CapturedLaplacian)
QUESTIONS: dict[str, Callable[[type, nn.Module, Tensor], str]] = {
    "value, time of the first call": lambda kind, net, x: first_call(kind(net), x),
    "laplacian of laplacian": nested,
    "vmap(grad) over parameters": lambda kind, net, x: per_point_gradients(kind(net), x),
    "torch.compile(fullgraph=True), with backward": lambda kind, net, x: compiled(kind(net), x),
}


def main() -> None:
    torch.manual_seed(0)
    torch.set_num_threads(1)
    x = torch.randn(5, 3, dtype=torch.float64)
    rows: list[tuple[str, ...]] = []

    def ask(what: str, question: Callable[[type, nn.Module, Tensor], str], net: nn.Module) -> None:
        cells = [tried(lambda kind=kind: question(kind, net, x)) for kind in KINDS]
        rows.append((what, *cells))

    with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):
        for name, build in NETWORKS.items():
            net = build().double()
            for what, question in QUESTIONS.items():
                ask(f"{name}: {what}", question, net)
    ask(
        "MLP, 5 points: time of a later call",
        lambda kind, net, y: overhead(kind(net), y),
        mlp().double(),
    )
    ask(
        "message for an operation without a rule",
        lambda kind, net, y: str(kind(net)(y)),
        Unknown().double(),
    )
    print("| | carrier | capture |\n|---|---|---|")
    for row in rows:
        print("| " + " | ".join(cell.replace("|", "/") for cell in row) + " |")


if __name__ == "__main__":
    main()
