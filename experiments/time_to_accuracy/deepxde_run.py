"""One DeepXDE run on one case, in the peers' environment: a line of JSON for each measurement.

As its documentation would have it: a tanh network with Glorot weights, the conditions exact by an
output transform, Adam and then L-BFGS, or Adam, L-BFGS and NysNewton-CG.

    python deepxde_run.py CASE METHOD SECONDS SEED THREADS
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

os.environ["DDE_BACKEND"] = "pytorch"
import deepxde as dde
import numpy as np
import torch

PI = np.pi
WIDTH, DEPTH, POINTS = 32, 3, 1024


@dataclass(frozen=True)
class Case:
    """A problem on the unit square: residual, exact solution, and the form of u."""

    residual: Callable[[Any, Any], Any]
    exact: Callable[[np.ndarray], np.ndarray]
    transform: Callable[[Any, Any], Any]


def _second(u: Any, x: Any, d: int) -> Any:
    return dde.grad.hessian(u, x, i=d, j=d)


def _edges(x: Any) -> Any:
    return x[:, :1] * (1 - x[:, :1])


CASES = {
    "poisson2d": Case(
        lambda x, u: (
            _second(u, x, 0)
            + _second(u, x, 1)
            + 2 * PI**2 * torch.sin(PI * x[:, :1]) * torch.sin(PI * x[:, 1:])
        ),
        lambda x: np.sin(PI * x[:, :1]) * np.sin(PI * x[:, 1:]),
        lambda x, u: _edges(x) * x[:, 1:] * (1 - x[:, 1:]) * u,
    ),
    "heat1d": Case(
        lambda x, u: dde.grad.jacobian(u, x, j=1) - 0.25 * _second(u, x, 0),
        lambda x: np.sin(PI * x[:, :1]) * np.exp(-(PI**2) * x[:, 1:] / 4),
        lambda x, u: torch.sin(PI * x[:, :1]) + x[:, 1:] * _edges(x) * u,
    ),
    "wave1d_c": Case(
        lambda x, u: _second(u, x, 1) - 4 * _second(u, x, 0),
        lambda x: (
            np.sin(PI * x[:, :1]) * np.cos(2 * PI * x[:, 1:])
            + 0.5 * np.sin(4 * PI * x[:, :1]) * np.cos(8 * PI * x[:, 1:])
        ),
        lambda x, u: (
            torch.sin(PI * x[:, :1])
            + 0.5 * torch.sin(4 * PI * x[:, :1])
            + x[:, 1:] ** 2 * _edges(x) * u
        ),
    ),
}


class Watch(dde.callbacks.Callback):
    """Measures the error now and then, off the clock, and stops when the time is used."""

    def __init__(self, case: Case, seconds: float) -> None:
        super().__init__()
        line = np.linspace(0, 1, 100)
        self.grid = np.stack(np.meshgrid(line, line), -1).reshape(-1, 2)
        self.exact = case.exact(self.grid)
        self.seconds = seconds
        self.spent = 0.0
        self.next = 0.0
        self.phase = "adam"
        self.since = time.perf_counter()

    def on_batch_end(self) -> None:
        now = time.perf_counter()
        self.spent += now - self.since
        if self.spent >= self.next or self.spent >= self.seconds:
            self.next = max(self.next + self.seconds / 40, self.spent)
            found = self.model.predict(self.grid)
            error = np.linalg.norm(found - self.exact) / np.linalg.norm(self.exact)
            line = {"phase": self.phase, "seconds": self.spent, "relative_l2": float(error)}
            print(json.dumps(line), flush=True)
        if self.spent >= self.seconds:
            self.model.stop_training = True
        self.since = time.perf_counter()


def main() -> None:
    name, method, seconds, seed, threads = sys.argv[1:]
    replies = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what the library prints
    sys.stdout = replies
    torch.set_num_threads(int(threads))
    dde.config.set_default_float("float64")
    dde.config.set_random_seed(int(seed))
    case, budget = CASES[name], float(seconds)
    geometry = dde.geometry.Rectangle([0, 0], [1, 1])
    data = dde.data.PDE(geometry, case.residual, [], num_domain=POINTS, train_distribution="Sobol")
    network = dde.nn.FNN([2] + [WIDTH] * DEPTH + [1], "tanh", "Glorot normal")
    network.apply_output_transform(case.transform)
    model = dde.Model(data, network)
    watch = Watch(case, budget)
    # Adam for the first fifth of the time, a step at a time for what it takes.
    model.compile("adam", lr=1e-3)
    watch.seconds, watch.since = 0.2 * budget, time.perf_counter()
    model.train(iterations=10**9, display_every=10**9, callbacks=[watch], verbose=0)
    watch.seconds = 0.6 * budget if method == "nncg" else budget
    watch.phase, watch.since = "lbfgs", time.perf_counter()
    model.stop_training = False
    # Twenty iterations a call, so that the error can be measured between them.
    dde.optimizers.set_LBFGS_options(maxcor=50, ftol=0, gtol=0, maxiter=10**9)
    dde.optimizers.config.LBFGS_options.update(iter_per_step=20, fun_per_step=30)
    model.compile("L-BFGS")
    model.train(display_every=10**9, callbacks=[watch], verbose=0)
    if method == "nncg":
        watch.seconds, watch.phase, watch.since = budget, "nncg", time.perf_counter()
        model.stop_training = False
        dde.optimizers.set_NNCG_options(rank=60, mu=1e-2, updatefreq=20, cgmaxiter=1000)
        model.compile("NNCG")
        model.train(iterations=10**9, display_every=10**9, callbacks=[watch], verbose=0)


if __name__ == "__main__":
    main()
