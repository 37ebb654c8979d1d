"""The training loop."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from pinnderiv.errors import CheckpointError, NonFiniteLossError
from pinnderiv.training.accuracy import Accuracy, Error
from pinnderiv.training.checkpoint import CheckpointFolder, step_of
from pinnderiv.training.interrupt import StopRequest, stopping_gently
from pinnderiv.training.loss_objective import LossObjective
from pinnderiv.training.monitor import Monitor, RunFacts, StepRecord
from pinnderiv.training.objective import Evaluation
from pinnderiv.training.optimisers import StepReport
from pinnderiv.training.phases import Phases, Progress
from pinnderiv.training.seeding import random_state, restore_random_state

_log = logging.getLogger(__name__)


@dataclass
class Run:
    """Everything that a run is made of.

    Attributes:
        network: is trained.
        objective: the loss of the network at the collocation points, in the slab under way.
        objective_of: makes that of another slab of time, once those before it are trained.
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
    objective: LossObjective
    objective_of: Callable[[int], LossObjective]
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
        error: of the network as it is now, over all of time.
        loss, terms: of the network as it is now, at the present points, in the present slab.
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
    progress, phases = run.progress, run.phases
    if saved is None:
        phases.optimiser(progress).begin(run.objective)
    else:
        restore(run, saved)
    measured = -1
    began, before = time.perf_counter(), progress.wall_seconds

    with stopping_gently() as stop:
        run.monitor.start(run.facts)
        if saved is None:
            _save_if_finite(run)

        while (reason := _reason_to_stop(run, stop)) is None:
            if phases.slab_over(progress):
                _begin_next_slab(run)
                continue
            if phases.over(progress):
                _begin_next_phase(run, stalled=False)
                continue

            objective, optimiser = run.objective, phases.optimiser(progress)
            clock = time.perf_counter()
            if objective.collocation.due(progress.step):
                objective.collocation.resample(objective.loss.equation_residual)
                optimiser.points_changed()
            if objective.loss.update(progress.step, objective.collocation.points):
                optimiser.points_changed()
            optimiser.seconds_left = phases.seconds_left(progress)
            report = optimiser.step(objective)
            _require_finite(run, report.evaluation, f"at step {progress.step + 1}")
            progress.advance(time.perf_counter() - clock)
            progress.wall_seconds = before + time.perf_counter() - began

            run.monitor.step(_record(run, report))
            if progress.step % run.evaluate_every == 0:
                measured = progress.step
                run.monitor.error(progress.step, run.accuracy.measure())
            if report.note:
                progress.note = report.note
                _log.info(report.note)
            progress.out_of_time = report.out_of_time and phases.last(progress)
            if report.stalled and not progress.out_of_time:
                _begin_next_phase(run, stalled=True)
            if progress.step % run.checkpoint_every == 0:
                _save_if_finite(run)

        # no step looks at what the last one left, so this does, whatever ended the run
        final = run.objective.evaluate()
        _require_finite(run, final, f"after step {progress.step}")
        progress.wall_seconds = before + time.perf_counter() - began
        save(run)
        if (left := phases.slabs - 1 - progress.slab) > 0:
            _log.warning(
                f"{left} of {phases.slabs} slabs of time are untrained, and count in the error: "
                "resume with a larger budget"
            )
        error = run.accuracy.measure_all()
        if measured != progress.step:
            run.monitor.error(progress.step, error)

    terms = {name: float(value) for name, value in final.terms.items()}
    return Outcome(reason, stop.exit_code, error, float(final.loss), terms)


def save(run: Run) -> None:
    """Writes a checkpoint: everything that the next step depends on."""
    phases, progress = run.phases, run.progress
    over = phases.finished(progress)
    run.checkpoints.save(
        progress.step,
        {
            "progress": progress.state_dict(),
            "network": run.network.state_dict(),
            "unknowns": run.objective.loss.unknowns.state_dict(),
            "phases": list(phases.names),
            "slabs": phases.slabs,
            "optimiser": {} if over else phases.optimiser(progress).state_dict(),
            "points": run.objective.collocation.state_dict(),
            "weighting": run.objective.loss.weighting_state(),
            "random": random_state(),
            "config": run.facts.configuration,
        },
    )


def restore(run: Run, saved: Mapping[str, Any]) -> None:
    """Puts a run back to where :func:`save` left it.

    Raises:
        CheckpointError: the network, the phases or the slabs of time are others.
    """
    phases = run.phases
    require_same_phases(saved, phases.names, phases.slabs)
    load_network(run.network, saved["network"])
    load_network(run.objective.loss.unknowns, saved.get("unknowns", {}))
    run.progress.__dict__.update(saved["progress"])
    if run.progress.slab > 0:
        _enter_slab(run)
    run.objective.collocation.load_state_dict(saved["points"])
    # checkpoints of before there was any have none
    run.objective.loss.load_weighting_state(saved.get("weighting", {}))
    if not phases.finished(run.progress):
        optimiser = phases.optimiser(run.progress)
        optimiser.begin(run.objective)
        optimiser.load_state_dict(saved["optimiser"])
    restore_random_state(saved["random"])


def require_same_phases(saved: Mapping[str, Any], names: list[str], slabs: int) -> None:
    """Raises CheckpointError unless a checkpoint is of a run with these phases and slabs."""
    before = saved.get("slabs", 1)
    if before != slabs:
        raise CheckpointError(
            f"the checkpoint's run has {before} slab(s) of time and this configuration {slabs}: "
            f"resume with training.time_slabs={before}"
        )
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


def _begin_next_slab(run: Run) -> None:
    _log.info(f"step {run.progress.step}: slab {run.progress.slab + 1} of time is over")
    run.progress.next_slab()
    _enter_slab(run)
    run.phases.optimiser(run.progress).begin(run.objective)


def _enter_slab(run: Run) -> None:
    """What the slabs before have reached is where this one starts."""
    run.objective = run.objective_of(run.progress.slab)
    run.accuracy.begin(run.progress.slab)


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
        phase=run.phases.label(progress),
        slab=progress.slab + 1,
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
        weights=run.objective.loss.moving_weights(),
    )
