"""The training loop."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from pinnderiv.errors import CheckpointError, NonFiniteLossError
from pinnderiv.training.accuracy import Accuracy, Error
from pinnderiv.training.checkpoint import CheckpointFolder, step_of
from pinnderiv.training.interrupt import StopRequest, stopping_gently
from pinnderiv.training.monitor import Monitor, RunFacts, StepRecord
from pinnderiv.training.objective import Evaluation, Objective
from pinnderiv.training.optimisers import StepReport
from pinnderiv.training.phases import Phases, Progress
from pinnderiv.training.seeding import random_state, restore_random_state

_log = logging.getLogger(__name__)


@dataclass
class Run:
    """Everything that a run is made of.

    Attributes:
        network: is trained.
        objective: the loss of the network at the collocation points.
        phases: the optimisers in their order, and the budget.
        accuracy: measures the error; never touches what training depends on.
        checkpoints: where the state is saved.
        monitor: is told what happens.
        facts: what the monitor is told at the start; its configuration goes into checkpoints.
        evaluate_every: steps between two measurements of the error.
        checkpoint_every: steps between two checkpoints.
        progress: how far the run has come.
    """

    network: nn.Module
    objective: Objective
    phases: Phases
    accuracy: Accuracy
    checkpoints: CheckpointFolder
    monitor: Monitor
    facts: RunFacts
    evaluate_every: int
    checkpoint_every: int
    progress: Progress = field(default_factory=Progress)


@dataclass(frozen=True)
class Outcome:
    """How a run ended.

    Attributes:
        stop_reason: ``max_steps``, ``max_seconds``, ``converged`` (no optimiser finds a better
            point), ``phases_over`` (all have taken their steps), or the signal's name.
        exit_code: 0, or 128 + the signal's number.
        error: of the network as it is now.
        loss, terms: of the network as it is now, at the present points.
    """

    stop_reason: str
    exit_code: int
    error: Error
    loss: float
    terms: dict[str, float]


def train(run: Run, saved: Mapping[str, Any] | None = None) -> Outcome:
    """Trains until the budget is used, nothing is left to improve, or a signal asks to stop.

    Args:
        run: its network and its progress are changed in place.
        saved: the checkpoint to go on from, or None for a new run.

    Raises:
        NonFiniteLossError: a loss term became infinite or NaN. No checkpoint holds the network
            that it became so for.
        CheckpointError: ``saved`` does not fit the run.
    """
    progress, phases, objective = run.progress, run.phases, run.objective
    if saved is None:
        phases.optimiser(progress).begin(objective)
    else:
        restore(run, saved)
    measured: tuple[int, Error] | None = None
    began, before = time.perf_counter(), progress.wall_seconds

    with stopping_gently() as stop:
        run.monitor.start(run.facts)
        if saved is None:
            _save_if_finite(run)

        while (reason := _reason_to_stop(run, stop)) is None:
            if phases.over(progress):
                _begin_next_phase(run, stalled=False)
                continue

            optimiser = phases.optimiser(progress)
            clock = time.perf_counter()
            if objective.collocation.due(progress.step):
                objective.collocation.resample()
                optimiser.points_changed()
            report = optimiser.step(objective)
            _require_finite(run, report.evaluation, f"at step {progress.step + 1}")
            progress.advance(time.perf_counter() - clock)
            progress.wall_seconds = before + time.perf_counter() - began

            run.monitor.step(_record(run, report))
            if progress.step % run.evaluate_every == 0:
                measured = progress.step, run.accuracy.measure()
                run.monitor.error(*measured)
            if report.note:
                progress.note = report.note
                _log.info(report.note)
            if report.stalled:
                _begin_next_phase(run, stalled=True)
            if progress.step % run.checkpoint_every == 0:
                _save_if_finite(run)

        # no step looks at what the last one left, so this does, whatever ended the run
        final = objective.evaluate()
        _require_finite(run, final, f"after step {progress.step}")
        progress.wall_seconds = before + time.perf_counter() - began
        save(run)
        if measured is None or measured[0] != progress.step:
            measured = progress.step, run.accuracy.measure()
            run.monitor.error(*measured)

    terms = {name: float(value) for name, value in final.terms.items()}
    return Outcome(reason, stop.exit_code, measured[1], float(final.loss), terms)


def save(run: Run) -> None:
    """Writes a checkpoint: everything that the next step depends on."""
    phases, progress = run.phases, run.progress
    over = phases.finished(progress)
    run.checkpoints.save(
        progress.step,
        {
            "progress": progress.state_dict(),
            "network": run.network.state_dict(),
            "phases": list(phases.names),
            "optimiser": {} if over else phases.optimiser(progress).state_dict(),
            "points": run.objective.collocation.state_dict(),
            "random": random_state(),
            "config": run.facts.configuration,
        },
    )


def restore(run: Run, saved: Mapping[str, Any]) -> None:
    """Puts a run back to where :func:`save` left it.

    Raises:
        CheckpointError: the network or the phases are others.
    """
    phases = run.phases
    require_same_phases(saved, phases.names)
    load_network(run.network, saved["network"])
    run.progress.__dict__.update(saved["progress"])
    run.objective.collocation.load_state_dict(saved["points"])
    if not phases.finished(run.progress):
        optimiser = phases.optimiser(run.progress)
        optimiser.begin(run.objective)
        optimiser.load_state_dict(saved["optimiser"])
    restore_random_state(saved["random"])


def require_same_phases(saved: Mapping[str, Any], names: list[str]) -> None:
    """Raises CheckpointError unless a checkpoint is of a run with the phases ``names``."""
    if saved["phases"] != names:
        raise CheckpointError(
            f"the checkpoint's phases are {', '.join(saved['phases'])}, this configuration's are "
            f"{', '.join(names)}: resume with the optimiser that the run began with"
        )


def load_network(network: nn.Module, saved: Mapping[str, torch.Tensor]) -> None:
    """Loads a checkpoint's parameters and buffers.

    Raises:
        CheckpointError: they are not those of ``network``; the message names the first that
            differs.
    """
    present = network.state_dict()
    for name in [*present, *saved]:
        here, there = (
            "absent" if name not in state else tuple(state[name].shape)
            for state in (present, saved)
        )
        if here != there:
            raise CheckpointError(
                f"the checkpoint does not fit the network: '{name}' is {there} in the checkpoint "
                f"and {here} in this configuration; use the network that the run began with"
            )
    network.load_state_dict(saved)


def _reason_to_stop(run: Run, stop: StopRequest) -> str | None:
    if stop.signal is not None:
        return stop.signal.name
    return run.phases.reason_to_stop(run.progress)


def _begin_next_phase(run: Run, stalled: bool) -> None:
    run.progress.next_phase(stalled)
    if not run.phases.finished(run.progress):
        run.phases.optimiser(run.progress).begin(run.objective)


def _save_if_finite(run: Run) -> None:
    """Saves, unless the network has diverged: the next step will say so."""
    if run.objective.evaluate().finite:
        save(run)


def _require_finite(run: Run, evaluation: Evaluation, when: str) -> None:
    if evaluation.finite:
        return
    bad = {
        name: float(term)
        for name, term in evaluation.terms.items()
        if not math.isfinite(float(term))
    }
    what = (
        ", ".join(f"the loss term '{name}' is {value}" for name, value in bad.items())
        or "the gradient of the loss is not finite"
    )
    # a checkpoint of the very parameters that failed is no place to go on from
    run.checkpoints.discard(run.progress.step)
    good = [path for path in run.checkpoints.all() if step_of(path) != run.progress.step]
    where = f"The last good checkpoint is '{good[-1]}'" if good else "There is no good checkpoint"
    raise NonFiniteLossError(
        f"{when} ({run.phases.name(run.progress)}) {what}. {where}; try a smaller learning rate, "
        "or dtype=float64"
    )


def _record(run: Run, report: StepReport) -> StepRecord:
    evaluation, progress = report.evaluation, run.progress
    return StepRecord(
        step=progress.step,
        phase=run.phases.name(progress),
        loss=float(evaluation.loss),
        terms={name: float(term) for name, term in evaluation.terms.items()},
        gradient_norm=float(evaluation.gradient.norm()),
        learning_rate=report.learning_rate,
        seconds=progress.seconds,
        step_seconds=progress.step_seconds,
        points_per_second=report.evaluations
        * run.objective.collocation.points.count
        / max(progress.step_seconds, 1e-9),
        fraction=run.phases.budget.fraction(progress),
    )
