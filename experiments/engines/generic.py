"""Measures what Taylor mode pays where an operation has no rule, and fits the model's GENERIC.

The tanh of the network of `cases.py` is measured twice, with its rule and with the rule taken
away, so that only the generic treatment differs. Per channel and share of calls, the
difference in plain training steps is modelled as (P + ρ Q) / (1 + ρ), as in `fit.py`.

    python experiments/engines/generic.py        # half a minute
"""

from __future__ import annotations

import itertools
import statistics
import time
from collections.abc import Callable

import numpy as np
import torch
from cases import HIDDEN_LAYERS
from scipy.optimize import nnls
from torch import nn

from pinnderiv.derivatives import laplacian, safety
from pinnderiv.derivatives.taylor import unregister
from pinnderiv.derivatives.taylor.registry import METHODS, RULES
from pinnderiv.derivatives.work import GENERIC, MODELS

CASES = ((2, 64, 32), (2, 64, 1024), (2, 128, 2048), (5, 64, 256), (10, 64, 32), (10, 64, 512))


def median(step: Callable[[], object], count: int = 7) -> float:
    step()
    found = []
    for _ in range(count):
        start = time.perf_counter()
        step()
        found.append(time.perf_counter() - start)
    return statistics.median(found)


def main() -> None:
    rows, extras = [], []
    for columns, width, points in CASES:
        torch.manual_seed(0)
        sizes = [columns, *[width] * HIDDEN_LAYERS]
        layers: list[nn.Module] = []
        for a, b in itertools.pairwise(sizes):
            layers += [nn.Linear(a, b), nn.Tanh()]
        net, x = nn.Sequential(*layers, nn.Linear(width, 1)), torch.rand(points, columns)
        parameters = list(net.parameters())

        def step(f: Callable[..., torch.Tensor]) -> object:
            loss = f(x).square().mean()  # noqa: B023 - called in this turn of the loop
            return torch.autograd.grad(loss, parameters, allow_unused=True)  # noqa: B023

        apply = laplacian(net, method="taylor")
        known = safety.profile(net, x)
        plain, ruled = median(lambda: step(net)), median(lambda: step(apply))  # noqa: B023
        reverse = median(lambda: step(laplacian(net, method="reverse")))  # noqa: B023
        rules, methods = dict(RULES), dict(METHODS)
        unregister("tanh")
        try:
            generic = median(lambda: step(apply))  # noqa: B023
        finally:
            RULES.update(rules)
            METHODS.update(methods)
        share, rho = HIDDEN_LAYERS / known.calls, known.width * points / MODELS["cpu"].load
        extra = (generic - ruled) / plain / (columns + 1)
        modelled = share * (GENERIC[0] + rho * GENERIC[1]) / (1 + rho)
        rows.append([share / (1 + rho) / extra, share * rho / (1 + rho) / extra])
        extras.append(extra)
        print(
            f"D={columns} width={width} N={points}: {ruled / plain:.1f} plain steps with the rule, "
            f"{generic / plain:.1f} without, {reverse / plain:.1f} by reverse mode; "
            f"{extra:.2f} a channel, {modelled:.2f} by the model"
        )
    p, q = nnls(np.array(rows), np.ones(len(rows)))[0]
    print(f"fitted: GENERIC = ({p:.3g}, {q:.3g}); in use: {GENERIC}")


if __name__ == "__main__":
    main()
