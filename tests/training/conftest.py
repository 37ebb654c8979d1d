"""Small runs, built without Hydra."""

import io
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console
from torch import nn

from pinnderiv.domains import SobolSampler
from pinnderiv.networks import MLP
from pinnderiv.problems import CASES
from pinnderiv.schema import (
    Constraint,
    Precision,
    ProgressStyle,
    RunConfig,
    SamplerConfig,
    TrainingConfig,
)
from pinnderiv.training.checkpoint import CheckpointFolder
from pinnderiv.training.history import History
from pinnderiv.training.loop import Outcome, Run, train
from pinnderiv.training.monitor import Monitor
from pinnderiv.training.optimisers import LBFGS, Adam, Optimiser
from pinnderiv.training.seeding import seed_everything
from pinnderiv.training.session import train_session
from pinnderiv.training.setup import Parts, assemble


@dataclass
class Small:
    """A run of seconds, every choice of which can be changed."""

    directory: Path
    case: str = "heat"
    constraint: str = "hard"
    dtype: str = "float64"
    seed: int = 0
    width: int = 8
    points: int = 32
    resample_every: int = 0
    max_steps: int | None = 4
    max_seconds: float | None = None
    checkpoint_every: int = 1000
    optimisers: Callable[[], dict[str, Optimiser]] = lambda: {"adam": Adam(lr=1e-2)}
    network: Callable[..., nn.Module] | None = None
    weights: dict[str, float] = field(default_factory=dict)
    watchers: list[Monitor] = field(default_factory=list)
    change: Callable[[RunConfig], Any] = lambda config: None

    def config(self) -> RunConfig:
        config = RunConfig(
            seed=self.seed,
            dtype=Precision(self.dtype),
            constraint=Constraint(self.constraint),
            sampler=SamplerConfig(
                method=None,
                points=dict.fromkeys(("interior", "walls", "initial"), self.points),
                resample_every=self.resample_every,
            ),
            training=TrainingConfig(
                max_steps=self.max_steps,
                max_seconds=self.max_seconds,
                evaluate_every=2,
                checkpoint_every=self.checkpoint_every,
            ),
        )
        config.loss.weights.update(self.weights)
        config.monitor.every = 1
        self.change(config)
        return config

    def parts(self) -> Parts:
        return Parts(
            problem=CASES[self.case](self.case),
            network=self.network
            or (lambda inputs, outputs: MLP(inputs, outputs, width=self.width, depth=2)),
            sampler=SobolSampler,
            optimisers=self.optimisers(),
        )

    def build(self, saved: dict[str, Any] | None = None) -> tuple[Run, History]:
        config = self.config()
        seed_everything(self.seed)
        parts = self.parts()
        self.directory.mkdir(parents=True, exist_ok=True)
        first = 0 if saved is None else saved["progress"]["step"]
        return assemble(
            config, parts, self.directory, {"seed": self.seed}, lambda device: self.watchers, first
        )

    def train(self) -> tuple[Run, Outcome]:
        run, _ = self.build()
        return run, self._finish(run, None)

    def resume(self) -> tuple[Run, Outcome]:
        saved = CheckpointFolder(self.directory / "checkpoints").load()
        # a new process would come with other random states
        torch.manual_seed(987654)
        run, _ = self.build(saved)
        return run, self._finish(run, saved)

    def session(self, resume: bool = False) -> tuple[dict[str, Any] | None, int, str]:
        """What the command does, without Hydra and without figures; and what it printed."""
        config, out = self.config(), io.StringIO()
        config.monitor.tensorboard = config.monitor.figures = False
        config.monitor.progress = ProgressStyle.none
        saved = CheckpointFolder(self.directory / "checkpoints").load() if resume else None
        configuration, console = {"seed": self.seed}, Console(file=out, width=200)
        metrics, code = train_session(
            config, self.parts, self.directory, configuration, saved, console
        )
        return metrics, code, out.getvalue()

    @staticmethod
    def _finish(run: Run, saved: dict[str, Any] | None) -> Outcome:
        try:
            return train(run, saved)
        finally:
            run.monitor.close()


@pytest.fixture
def small(tmp_path: Path) -> Callable[..., Small]:
    """Makes a :class:`Small` run; ``name`` gives it a directory of its own."""

    def make(name: str = "run", **choices: Any) -> Small:
        return Small(tmp_path / name, **choices)

    return make


@pytest.fixture
def adam_then_lbfgs() -> Callable[[], dict[str, Optimiser]]:
    return lambda: {"adam": Adam(lr=1e-2, steps=3), "lbfgs": LBFGS(history=5)}
