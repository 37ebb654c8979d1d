"""The monitor that writes TensorBoard event files; the only file that imports TensorBoard."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch.utils.tensorboard import SummaryWriter
from torch.utils.tensorboard.summary import hparams

from pinnderiv.training.accuracy import Error
from pinnderiv.training.memory import memory_in_use
from pinnderiv.training.monitor import Monitor, RunFacts, StepRecord

if TYPE_CHECKING:
    from matplotlib.figure import Figure


_HPARAMS = ".hparams"


class TensorBoardMonitor(Monitor):
    """Scalars, figures, the configuration as text, and hyperparameters with final metrics.

    Scalars: ``loss/total``, ``loss/<term>``, ``weight/<term>`` where the loss is balanced,
    ``causal/...`` where it is causal, ``estimate/<name>`` of unknown numbers,
    ``error/relative_l2``, ``error/largest``,
    ``optimiser/gradient_norm``, ``optimiser/learning_rate``, ``speed/points_per_second``,
    ``speed/steps_per_second`` and ``memory/bytes``; with slabs of time ``slab``, from 1.

    Args:
        directory: for the event files.
        every: steps between two points of a curve.
        device: whose memory is shown.
    """

    def __init__(self, directory: Path, every: int, device: torch.device | str) -> None:
        self.directory = directory
        self.every = every
        self.device = device
        self._writer: SummaryWriter | None = None
        self._step = 0

    def start(self, run: RunFacts) -> None:
        self._run = run
        self._step = run.first_step
        # what an interrupted run wrote after its last checkpoint is hidden
        self._writer = SummaryWriter(str(self.directory), purge_step=run.first_step + 1)
        text = "\n".join(f"{name}: {value}" for name, value in _flat(run.configuration).items())
        self._writer.add_text("configuration", f"```\n{text}\n```")
        self._writer.add_text("facts", "\n".join(f"- {k}: {v}" for k, v in run.facts.items()))

    def step(self, record: StepRecord) -> None:
        self._step = record.step
        if self._writer is None or (record.step != 1 and record.step % self.every):
            return
        scalars = {
            "loss/total": record.loss,
            **{f"loss/{name}": value for name, value in record.terms.items()},
            **record.weights,
            "optimiser/gradient_norm": record.gradient_norm,
            "optimiser/learning_rate": record.learning_rate,
            "speed/points_per_second": record.points_per_second,
            "speed/steps_per_second": 1.0 / max(record.step_seconds, 1e-9),
            "memory/bytes": memory_in_use(self.device),
            **({"slab": record.slab} if "time_slabs" in self._run.facts else {}),
        }
        for name, value in scalars.items():
            self._writer.add_scalar(name, value, record.step)

    def error(self, step: int, error: Error) -> None:
        if self._writer is not None and math.isfinite(error.relative_l2):
            self._writer.add_scalar("error/relative_l2", error.relative_l2, step)
            self._writer.add_scalar("error/largest", error.largest, step)

    def finish(self, metrics: Mapping[str, Any], figures: Mapping[str, Figure]) -> None:
        if self._writer is None:
            return
        for name, figure in figures.items():
            self._writer.add_figure(name, figure, self._step, close=False)
        final = {
            f"final/{name}": float(metrics[name])
            for name in ("relative_l2", "max_error", "loss", "training_seconds")
            if not math.isnan(float(metrics[name]))
        }
        for name, value in final.items():
            self._writer.add_scalar(name, value, self._step)
        self._writer.flush()
        # TensorBoard keeps the first hyperparameters of a run that it reads. So they have a file
        # of their own, which those of a resumed run replace. SummaryWriter.add_hparams would put
        # them into a run of its own below this one.
        for old in self.directory.glob(f"*{_HPARAMS}"):
            old.unlink()
        writer = SummaryWriter(str(self.directory), filename_suffix=_HPARAMS)
        for summary in hparams(_flat(self._run.configuration), final):
            writer._get_file_writer().add_summary(summary)
        writer.close()

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None


def _flat(configuration: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Dotted keys; hyperparameters can be numbers, strings and booleans, so the rest is text."""
    flat: dict[str, Any] = {}
    for name, value in configuration.items():
        key = f"{prefix}{name}"
        if isinstance(value, Mapping):
            flat.update(_flat(value, f"{key}."))
        elif isinstance(value, (bool, int, float, str)):
            flat[key] = value
        else:
            flat[key] = str(value)
    return flat
