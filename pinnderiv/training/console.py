"""Progress for people: a bar on a terminal, plain lines anywhere else."""

from __future__ import annotations

import logging
import math
import shlex
import time
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn
from rich.table import Table

from pinnderiv.training.accuracy import Error
from pinnderiv.training.commands import override, resume_command
from pinnderiv.training.monitor import Monitor, RunFacts, StepRecord

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_log = logging.getLogger(__name__)


class _Pace(Monitor):
    """Steps a second over the last steps, the last error, and the time left."""

    def __init__(self) -> None:
        self._recent: deque[float] = deque(maxlen=50)
        self._error: Error | None = None

    def step(self, record: StepRecord) -> None:
        self._recent.append(record.step_seconds)

    def error(self, step: int, error: Error) -> None:
        self._error = error

    @property
    def steps_per_second(self) -> float:
        return len(self._recent) / max(sum(self._recent), 1e-9)

    @property
    def error_text(self) -> str:
        unknown = self._error is None or math.isnan(self._error.relative_l2)
        return "--" if self._error is None or unknown else f"{self._error.relative_l2:.2e}"

    def left(self, run: RunFacts, record: StepRecord) -> str:
        """Training time left: what the budget allows in seconds, and in steps at this pace."""
        remaining = []
        if run.max_seconds is not None:
            remaining.append(run.max_seconds - record.seconds)
        if run.max_steps is not None:
            remaining.append((run.max_steps - record.step) / self.steps_per_second)
        return _duration(max(min(remaining), 0.0)) if remaining else "?"


class Lines(_Pace):
    """A line every few seconds.

    Args:
        write: takes each line.
        every: seconds between two lines.
    """

    def __init__(self, write: Callable[[str], None], every: float = 5.0) -> None:
        super().__init__()
        self._write = write
        self._every = every

    def start(self, run: RunFacts) -> None:
        self._run = run
        self._next = time.monotonic()
        self._phase = ""
        self._write(_headline(run))
        if run.first_step:
            self._write(f"goes on from step {run.first_step}")

    def step(self, record: StepRecord) -> None:
        super().step(record)
        if record.phase == self._phase and time.monotonic() < self._next:
            return
        self._phase = record.phase
        self._next = time.monotonic() + self._every
        self._write(
            f"step {record.step:>6}  {record.phase}  loss {record.loss:.3e}  "
            f"error {self.error_text}  {self.steps_per_second:.1f} steps/s  "
            f"{self.left(self._run, record)} left"
        )


class Bar(_Pace):
    """A progress bar that stays on one line of a terminal."""

    def __init__(self, console: Console) -> None:
        super().__init__()
        self._progress = Progress(
            TextColumn("{task.fields[phase]}", style="cyan"),
            BarColumn(bar_width=24),
            TextColumn("{task.percentage:>3.0f}%"),
            TextColumn("{task.fields[text]}"),
            console=console,
            transient=True,
        )
        self._task: TaskID | None = None

    def start(self, run: RunFacts) -> None:
        self._run = run
        self._task = self._progress.add_task("train", total=1.0, phase="", text="")
        self._shown = 0.0
        self._progress.console.print(_headline(run), highlight=False)
        self._progress.start()

    def step(self, record: StepRecord) -> None:
        super().step(record)
        # formatting at every step would cost more than a small network's step
        if self._task is None or time.monotonic() - self._shown < 0.1:
            return
        self._shown = time.monotonic()
        self._progress.update(
            self._task,
            completed=record.fraction,
            phase=record.phase,
            text=f"step {record.step}  loss {record.loss:.2e}  error {self.error_text}  "
            f"{self.steps_per_second:.0f} steps/s  {self.left(self._run, record)} left",
        )

    def finish(self, metrics: Mapping[str, Any], figures: Mapping[str, Figure]) -> None:
        self._progress.stop()

    def close(self) -> None:
        self._progress.stop()


def progress_monitors(style: str, console: Console) -> list[Monitor]:
    """The monitors for ``monitor.progress``.

    Args:
        style: ``auto`` (a bar on a terminal, else lines), ``bar``, ``lines`` or ``none``. The
            log file gets the lines in any case.
        console: where to print.
    """
    if style == "auto":
        style = "bar" if console.is_terminal else "lines"
    monitors: list[Monitor] = [Lines(_log.info)]
    if style == "bar":
        monitors.append(Bar(console))
    if style == "lines":
        monitors.append(
            Lines(lambda line: console.print(line, markup=False, highlight=False, soft_wrap=True))
        )
    return monitors


def print_summary(metrics: Mapping[str, Any], directory: Path, console: Console) -> None:
    """Says how the run ended, where everything is, and what to type next."""
    table = Table.grid(padding=(0, 2))
    if math.isnan(metrics["relative_l2"]):
        table.add_row("error", "not measured: the problem has neither exact nor reference")
    else:
        table.add_row("relative L2 error", f"[bold]{metrics['relative_l2']:.3e}[/bold]")
        table.add_row("largest error", f"{metrics['max_error']:.3e}")
    for name, value in metrics.get("relative_l2_by_output", {}).items():
        table.add_row(f"  of {name}", f"{value:.3e}")
    for name, found in metrics.get("estimates", {}).items():
        true = "" if found["true"] is None else f", true value {found['true']:.6g}"
        table.add_row(name, f"{found['value']:.6g}{true}")
    table.add_row("loss", f"{metrics['loss']:.3e}")
    table.add_row(
        "steps",
        f"{metrics['steps']} in {metrics['training_seconds']:.1f} s of training, stopped by "
        f"{metrics['stop_reason']}",
    )
    if metrics.get("note"):
        table.add_row("note", metrics["note"])
    console.print(table)
    where = str(directory)
    for label, line in {
        "run directory": where,
        "figures": ", ".join(path.name for path in sorted(directory.glob("*.png"))) or "none",
        "derivatives": f"pinnderiv mode=evaluate {override('run', where)} "
        f"'evaluate.quantities=[{','.join(_examples(metrics))}]'",
        **_go_on(metrics, directory),
        **(
            {"curves": f"tensorboard --logdir {shlex.quote(where)}"}
            if (directory / "tensorboard").is_dir()
            else {}
        ),
    }.items():
        # soft_wrap keeps a path or a command on one line that can be copied whole
        console.print(f"{label}: {line}", soft_wrap=True, markup=False, highlight=False)


def _headline(run: RunFacts) -> str:
    return f"{run.title}: " + ", ".join(f"{name} {value}" for name, value in run.facts.items())


def _examples(metrics: Mapping[str, Any]) -> list[str]:
    first = metrics["coordinates"][0]
    return ["u", f"u_{first}", f"u_{first}{first}"]


def _go_on(metrics: Mapping[str, Any], directory: Path) -> dict[str, str]:
    """The command that takes further steps; none where no step would be taken."""
    reason, steps = metrics["stop_reason"], max(metrics["steps"], 1)
    if reason == "converged":
        return {}
    more = []
    if reason == "max_seconds":
        more.append(f"training.max_seconds={max(round(2 * metrics['training_seconds']), 60)}")
    if reason == "max_steps":
        more.append(f"training.max_steps={2 * steps}")
    if reason == "phases_over":
        more.append(f"optimiser.{metrics['phase']}.steps={2 * metrics['phase_steps']}")
        if metrics["max_steps"] is not None and metrics["max_steps"] <= steps:
            more.append(f"training.max_steps={steps + metrics['phase_steps']}")
    return {"go on": resume_command(directory, *more)}


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02d}"
