"""What the command does, whole: train and leave the results, or evaluate a run.

Nothing here knows how the configuration was composed.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from pinnderiv.errors import ConfigurationError
from pinnderiv.schema import RunConfig
from pinnderiv.training.checkpoint import CheckpointFolder
from pinnderiv.training.commands import resume_command
from pinnderiv.training.console import progress_monitors
from pinnderiv.training.evaluation import check_output, evaluate, points_from_file, points_on_grid
from pinnderiv.training.figures import history_figure, solution_figures
from pinnderiv.training.loop import load_network, require_same_phases, train
from pinnderiv.training.monitor import Monitor
from pinnderiv.training.phases import Budget, Phases, Progress
from pinnderiv.training.seeding import seed_everything
from pinnderiv.training.setup import (
    DEFAULT_THREADS,
    DTYPES,
    Parts,
    assemble,
    choose_device,
    metrics_of,
    write_metrics,
)
from pinnderiv.training.slabs import TimeSlabs
from pinnderiv.training.tables import write_columns
from pinnderiv.training.unknowns import Unknowns

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def train_session(
    config: RunConfig,
    build: Callable[[], Parts],
    directory: Path,
    configuration: Mapping[str, Any],
    saved: Mapping[str, Any] | None,
    console: Console,
) -> tuple[dict[str, Any] | None, int]:
    """Trains, and writes metrics and figures.

    Args:
        config: the whole configuration.
        build: builds what it names; called once the random generators are seeded.
        directory: of the run; has, afterwards, ``metrics.json``, ``history.csv``,
            ``checkpoints/``, figures, and ``tensorboard/`` if that is wanted.
        configuration: the same as plain dictionaries.
        saved: the checkpoint to go on from, or None.
        console: for progress.

    Returns:
        The metrics, and the exit code for the process. No metrics if a finished run is resumed
        that has nothing left to do: then no file is touched.

    Raises:
        PinnderivError: see :func:`~pinnderiv.training.setup.assemble` and
            :func:`~pinnderiv.training.loop.train`.
    """
    began = time.perf_counter()
    _prepare(config)
    folder = CheckpointFolder(directory / "checkpoints")
    if saved is None and folder.all():
        raise ConfigurationError(
            f"'{directory}' holds a run already ('{folder.newest().name}'), whose checkpoints a "
            f"new one would replace. To go on with it: {resume_command(directory)}; for a new run "
            "give another hydra.run.dir, or remove what is there"
        )
    parts = build()
    if saved is not None:
        require_same_phases(saved, list(parts.optimisers), config.training.time_slabs)
        reason = _nothing_to_do(config, parts, directory, Progress(**saved["progress"]))
        if reason is not None:
            console.print(f"nothing to do: {reason}", soft_wrap=True, markup=False, highlight=False)
            return None, 0

    def watchers(device: torch.device) -> list[Monitor]:
        monitors = progress_monitors(config.monitor.progress.value, console)
        if config.monitor.tensorboard:
            from pinnderiv.training.tensorboard import TensorBoardMonitor

            monitors.append(
                TensorBoardMonitor(directory / "tensorboard", config.monitor.every, device)
            )
        return monitors

    directory.mkdir(parents=True, exist_ok=True)
    first_step = 0 if saved is None else int(saved["progress"]["step"])
    run, history = assemble(config, parts, directory, configuration, watchers, first_step)
    setup_seconds = time.perf_counter() - began
    try:
        outcome = train(run, saved)
        metrics = metrics_of(run, outcome, parts.problem, setup_seconds)
        write_metrics(directory / "metrics.json", metrics)
        figures: dict[str, Figure] = {}
        if config.monitor.figures:
            device, dtype = choose_device(config.device.value), DTYPES[config.dtype.value]
            figures = solution_figures(parts.problem, run.network, dtype, device)
            figures["history"] = history_figure(history, run.objective.loss.names)
        for name, figure in figures.items():
            figure.savefig(directory / f"{name}.png", dpi=150)
        run.monitor.finish(metrics, figures)
    finally:
        run.monitor.close()
    return metrics, outcome.exit_code


def evaluate_session(
    config: RunConfig,
    build: Callable[[], Parts],
    directory: Path,
    saved: Mapping[str, Any],
    console: Console,
) -> Path:
    """Evaluates a trained network and its derivatives, and writes the table.

    Args:
        config: the run's configuration, with what to evaluate.
        build: builds what it names.
        directory: of the run.
        saved: its checkpoint.
        console: for a summary.

    Returns:
        Where the table is.

    Raises:
        PinnderivError: the points or the quantities make no sense, or the checkpoint does not
            fit.
    """
    _prepare(config)
    wanted = config.evaluate
    output = check_output(Path(wanted.output or directory / "evaluation.npz"))
    parts = build()
    problem = parts.problem
    device, dtype = choose_device(config.device.value), DTYPES[config.dtype.value]
    columns = (
        points_on_grid(problem, wanted.grid)
        if wanted.points is None
        else points_from_file(problem, Path(wanted.points))
    )
    slabs = config.training.time_slabs
    network = TimeSlabs(problem, parts.network, config.constraint.value, slabs).u
    network.to(device=device, dtype=dtype)
    load_network(network, saved["network"])
    unknowns = Unknowns(problem).to(device=device, dtype=dtype)
    load_network(unknowns, saved.get("unknowns", {}))
    table = evaluate(
        problem, network, wanted.quantities, columns, dtype, device, unknowns.functions()
    )
    write_columns(output, table)
    _show(table, saved, output, console)
    return output


def _nothing_to_do(
    config: RunConfig, parts: Parts, directory: Path, progress: Progress
) -> str | None:
    """Why a run that is resumed takes no step, and what would make it; None if it does."""
    budget = Budget(config.training.max_steps, config.training.max_seconds)
    phases = Phases(parts.optimisers, budget, config.training.time_slabs)
    reason = phases.reason_to_stop(progress)
    if reason is None or _steps_reported(directory) != progress.step:
        return None  # a run that was killed before it wrote its results does that now
    last = list(parts.optimisers)[-1]
    return {
        "max_steps": f"the budget of {budget.max_steps} steps is used, raise training.max_steps",
        "max_seconds": f"the budget of {budget.max_seconds} seconds is used, raise "
        "training.max_seconds",
        "phases_over": f"all phases have taken their steps, raise optimiser.{last}.steps",
        "converged": "the optimisers found nothing left to improve; for a smaller error begin a "
        "new run, with a wider network or more points",
    }[reason]


def _steps_reported(directory: Path) -> int | None:
    try:
        return int(json.loads((directory / "metrics.json").read_text(encoding="utf-8"))["steps"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _prepare(config: RunConfig) -> None:
    if config.threads is not None and config.threads < 1:
        raise ConfigurationError(f"threads must be at least 1 or null, got {config.threads}")
    most = 4 * (os.cpu_count() or 1)
    if config.threads is not None and config.threads > most:
        raise ConfigurationError(
            f"threads must be at most {most}, four for each processor, got {config.threads}: more "
            "only wait for each other, and so many that the system refuses them end the process"
        )
    torch.set_num_threads(config.threads or DEFAULT_THREADS)
    seed_everything(config.seed)


def _show(
    table: Mapping[str, np.ndarray], saved: Mapping[str, Any], output: Path, console: Console
) -> None:
    shown = Table("column", "least", "greatest", box=None)
    for name, values in table.items():
        shown.add_row(name, f"{values.min():.6g}", f"{values.max():.6g}")
    console.print(
        f"after {saved['progress']['step']} steps, at {next(iter(table.values())).size} points"
    )
    console.print(shown)
    console.print(f"written to: {output}", soft_wrap=True, markup=False, highlight=False)
