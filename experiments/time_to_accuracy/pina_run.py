"""One PINA run on one case, in the peers' environment: a line of JSON for each measurement.

As its tutorials would have it: a tanh network, the conditions exact by construction of the model,
Adam and then L-BFGS with PyTorch's strong Wolfe line search, each by PINA's trainer.

    python pina_run.py CASE SECONDS SEED THREADS
"""

from __future__ import annotations

import json
import logging
import math
import os
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import lightning
import torch
from pina import Condition, LabelTensor, Trainer
from pina.equation import Equation
from pina.model import FeedForward
from pina.operator import fast_grad, fast_laplacian
from pina.optim import TorchOptimizer
from pina.problem import BaseProblem
from pina.solver import PhysicsInformedSingleModelSolver
from torch import Tensor, nn

PI = math.pi
WIDTH, DEPTH, POINTS = 32, 3, 1024
FOREVER = 10**9


@dataclass(frozen=True)
class Case:
    """A problem on the unit square: names, residual, exact solution, and the form of u."""

    names: tuple[str, str]
    residual: Callable[[Any, Any], Any]
    exact: Callable[[Tensor, Tensor], Tensor]
    form: Callable[[Tensor, Tensor, Tensor], Tensor]


def _second(points: Any, u: Any, name: str) -> Any:
    return fast_laplacian(u, points, ["u"], [name])


def _poisson(points: Any, u: Any) -> Any:
    x, y = points.extract(["x"]), points.extract(["y"])
    source = 2 * PI**2 * torch.sin(PI * x) * torch.sin(PI * y)
    return fast_laplacian(u, points, ["u"], ["x", "y"]).tensor + source.tensor


def _heat(points: Any, u: Any) -> Any:
    rate = fast_grad(u, points, ["u"], ["t"])
    return rate.tensor - 0.25 * _second(points, u, "x").tensor


def _wave(points: Any, u: Any) -> Any:
    return _second(points, u, "t").tensor - 4 * _second(points, u, "x").tensor


def _edges(x: Tensor) -> Tensor:
    return x * (1 - x)


CASES = {
    "poisson2d": Case(
        ("x", "y"),
        _poisson,
        lambda x, y: torch.sin(PI * x) * torch.sin(PI * y),
        lambda x, y, v: _edges(x) * _edges(y) * v,
    ),
    "heat1d": Case(
        ("x", "t"),
        _heat,
        lambda x, t: torch.sin(PI * x) * torch.exp(-(PI**2) * t / 4),
        lambda x, t, v: torch.sin(PI * x) + t * _edges(x) * v,
    ),
    "wave1d_c": Case(
        ("x", "t"),
        _wave,
        lambda x, t: (
            torch.sin(PI * x) * torch.cos(2 * PI * t)
            + 0.5 * torch.sin(4 * PI * x) * torch.cos(8 * PI * t)
        ),
        lambda x, t, v: torch.sin(PI * x) + 0.5 * torch.sin(4 * PI * x) + t**2 * _edges(x) * v,
    ),
}


class Model(nn.Module):
    """PINA's network in the form that meets the conditions."""

    def __init__(self, case: Case) -> None:
        super().__init__()
        self.case = case
        self.network = FeedForward(2, 1, inner_size=WIDTH, n_layers=DEPTH, func=nn.Tanh)
        for layer in self.network.layers:
            nn.init.xavier_normal_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(self, points: Any) -> Any:
        plain = points.as_subclass(Tensor)
        return self.case.form(plain[:, :1], plain[:, 1:], self.network(plain))


class Watch(lightning.pytorch.Callback):
    """Measures the error now and then, off the clock, and stops when the time is used."""

    def __init__(self, case: Case, model: Model, seconds: float) -> None:
        line = torch.linspace(0, 1, 100)
        self.grid = torch.cartesian_prod(line, line)
        self.exact = case.exact(self.grid[:, :1], self.grid[:, 1:])
        self.model = model
        self.every = seconds / 40
        self.spent = self.next = 0.0

    def enter(self, phase: str, until: float) -> None:
        self.phase, self.until = phase, until

    def on_train_start(self, trainer: Any, solver: Any) -> None:
        self.since = time.perf_counter()

    def on_train_epoch_end(self, trainer: Any, solver: Any) -> None:
        self.spent += time.perf_counter() - self.since
        if self.spent >= self.next or self.spent >= self.until:
            self.next = max(self.next + self.every, self.spent)
            with torch.no_grad():
                error = (self.model(self.grid) - self.exact).norm() / self.exact.norm()
            line = {"phase": self.phase, "seconds": self.spent, "relative_l2": float(error)}
            print(json.dumps(line), flush=True)
        trainer.should_stop = self.spent >= self.until
        self.since = time.perf_counter()


def main() -> None:
    name, seconds, seed, threads = sys.argv[1:]
    replies = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what the libraries print
    sys.stdout = replies
    warnings.simplefilter("ignore")
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    torch.set_num_threads(int(threads))
    torch.set_default_dtype(torch.float64)
    torch.manual_seed(int(seed))
    case, budget = CASES[name], float(seconds)
    points = torch.quasirandom.SobolEngine(2, scramble=True, seed=int(seed)).draw(POINTS)
    inside = LabelTensor(points.double(), list(case.names))

    class Problem(BaseProblem):
        input_variables: ClassVar = list(case.names)
        output_variables: ClassVar = ["u"]
        conditions: ClassVar = {"inside": Condition(input=inside, equation=Equation(case.residual))}

    model = Model(case)
    watch = Watch(case, model, budget)
    lbfgs = {
        "lr": 1.0,
        "history_size": 50,
        "max_iter": 20,  # a step, so that the error can be measured between them
        "tolerance_grad": 0.0,
        "tolerance_change": 0.0,
        "line_search_fn": "strong_wolfe",
    }
    for phase, until, optimiser in [
        # Adam for the first fifth of the time, like the others here
        ("adam", 0.2 * budget, TorchOptimizer(torch.optim.Adam, lr=1e-3)),
        ("lbfgs", budget, TorchOptimizer(torch.optim.LBFGS, **lbfgs)),
    ]:
        solver = PhysicsInformedSingleModelSolver(Problem(), model, optimizer=optimiser)
        with tempfile.TemporaryDirectory() as folder:
            trainer = Trainer(
                solver, max_epochs=FOREVER, accelerator="cpu", precision="64-true",
                callbacks=[watch], logger=False, enable_checkpointing=False,
                enable_progress_bar=False, enable_model_summary=False, default_root_dir=folder,
            )  # fmt: skip
            watch.enter(phase, until)
            trainer.train()


if __name__ == "__main__":
    main()
