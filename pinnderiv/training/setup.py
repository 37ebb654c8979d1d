"""From a configuration and the parts that it names to a run that can be trained."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

import pinnderiv
from pinnderiv.domains import Sampler
from pinnderiv.errors import ConfigurationError
from pinnderiv.problems import Problem
from pinnderiv.schema import RunConfig
from pinnderiv.training.accuracy import Accuracy
from pinnderiv.training.checkpoint import CheckpointFolder, write_atomically
from pinnderiv.training.collocation import COMMON, Collocation
from pinnderiv.training.history import History
from pinnderiv.training.loop import Outcome, Run
from pinnderiv.training.loss import EQUATION, Loss
from pinnderiv.training.loss_objective import LossObjective
from pinnderiv.training.monitor import Monitor, Monitors, RunFacts
from pinnderiv.training.optimisers import Optimiser
from pinnderiv.training.phases import Budget, Phases
from pinnderiv.training.selection import adaptive_of, balance_of, causality_of
from pinnderiv.training.slabs import TimeSlabs
from pinnderiv.training.unknowns import Unknowns

# Names that loss.weights and sampler.points may have although this problem has no such term or
# piece: one configuration serves all problems.
_COMMON_TERMS = (EQUATION, "walls", "initial", "initial_velocity")
# PyTorch's own choice, before any run of this process changes it.
DEFAULT_THREADS = torch.get_num_threads()
# Points times parameters below which one thread does a step as fast as two. Measured for
# networks of 32 to 128 neurons a layer; on a machine that has other work, two threads that wait
# for each other were up to thirty times slower there.
SMALL_STEP = 10_000_000
_log = logging.getLogger(__name__)
DTYPES = {"float32": torch.float32, "float64": torch.float64}


@dataclass(frozen=True)
class Parts:
    """What a configuration names and somebody has built.

    Attributes:
        problem: to be solved.
        network: makes the trainable network from ``inputs`` and ``outputs``.
        sampler: makes a sampler from ``seed``.
        optimisers: the phases, in order.
    """

    problem: Problem
    network: Callable[..., nn.Module]
    sampler: Callable[..., Sampler]
    optimisers: Mapping[str, Optimiser]


def choose_device(name: str) -> torch.device:
    """The device for ``auto``, ``cpu`` or ``cuda``.

    Raises:
        ConfigurationError: ``cuda`` is asked for and PyTorch sees none.
    """
    available = torch.cuda.is_available()
    if name == "cuda" and not available:
        why = (
            "this PyTorch was built without CUDA"
            if torch.version.cuda is None
            else "PyTorch finds no device: check the driver with nvidia-smi"
        )
        raise ConfigurationError(f"device=cuda cannot be used: {why}; use device=cpu or auto")
    return torch.device("cuda" if name != "cpu" and available else "cpu")


def assemble(
    config: RunConfig,
    parts: Parts,
    directory: Path,
    configuration: Mapping[str, Any],
    watchers: Callable[[torch.device], list[Monitor]],
    first_step: int = 0,
) -> tuple[Run, History]:
    """Builds a run. Everything that can be refused is refused here, before any long work.

    The global random generators must have been seeded: the network draws its parameters.

    Args:
        config: the whole configuration.
        parts: what it names.
        directory: of the run.
        configuration: the same as plain dictionaries, for the checkpoint.
        watchers: makes the monitors beside the history.
        first_step: the step that a resumed run goes on from.

    Raises:
        ConfigurationError: something in the configuration cannot work.
    """
    device, dtype = choose_device(config.device.value), DTYPES[config.dtype.value]
    training, problem = config.training, parts.problem
    for name in ("evaluate_every", "checkpoint_every", "keep_checkpoints"):
        _at_least_one(f"training.{name}", getattr(training, name))
    _at_least_one("monitor.every", config.monitor.every)
    if config.derivatives.chunk_size is not None:
        _at_least_one("derivatives.chunk_size", config.derivatives.chunk_size)
    conditions = [each.name for each in problem.conditions]
    _known("loss.weights", config.loss.weights, (*_COMMON_TERMS, *conditions))
    places = [each.place for each in problem.conditions]
    known = (*COMMON, *problem.domain.pieces, *places, *conditions)
    _known("sampler.points", config.sampler.points, known)
    weights = {each.name: each.weight for each in problem.conditions}
    weights |= {name: each for name, each in config.loss.weights.items() if each is not None}
    slabs = TimeSlabs(problem, parts.network, config.constraint.value, training.time_slabs)
    budget = Budget(training.max_steps, training.max_seconds)
    phases = Phases(parts.optimisers, budget, training.time_slabs)
    ansatz = slabs.ansatzes[0]
    if ansatz.why_soft:
        _log.warning(
            "constraint=auto makes the conditions terms of the loss (soft) here: %s",
            ansatz.why_soft.partition(". ")[0],
        )
    slabs.u.to(device=device, dtype=dtype)
    Unknowns(problem).to(device=device, dtype=dtype)

    def objective_of(slab: int) -> LossObjective:
        ansatz = slabs.ansatzes[slab]
        collocation = Collocation(
            ansatz.problem,
            ansatz,
            parts.sampler,
            config.sampler.points,
            config.seed,
            resample_every=config.sampler.resample_every,
            adaptive=adaptive_of(config.sampler),
            dtype=dtype,
            device=device,
        )
        loss = Loss(
            ansatz.problem,
            ansatz,
            weights,
            balance=balance_of(config.loss, config.seed),
            causality=causality_of(config.loss, ansatz.problem),
            method=config.derivatives.method.value,
            chunk_size=config.derivatives.chunk_size,
            check=config.derivatives.check,
        )
        return LossObjective(loss, collocation)

    objective = objective_of(0)
    dense = any(each.large_matrices for each in phases.optimisers)
    if config.threads is None and not dense and _work(objective) < SMALL_STEP:
        torch.set_num_threads(1)
    history = History(
        directory / "history.csv",
        config.monitor.every,
        (*objective.loss.names, *objective.loss.moving_weights()),
    )
    facts = {
        "device": device.type,
        "dtype": config.dtype.value,
        "seed": config.seed,
        "parameters": objective.size,
        "points": objective.collocation.points.count,
        "constraint": "hard" if ansatz.hard else "soft",
        **({"time_slabs": training.time_slabs} if training.time_slabs > 1 else {}),
    }
    run = Run(
        network=slabs.u,
        objective=objective,
        objective_of=objective_of,
        phases=phases,
        accuracy=Accuracy(problem, slabs.ansatzes, config.seed, dtype, device),
        checkpoints=CheckpointFolder(directory / "checkpoints", training.keep_checkpoints),
        monitor=Monitors([history, *watchers(device)]),
        facts=RunFacts(
            directory=directory,
            title=problem.title,
            configuration=configuration,
            facts=facts,
            max_steps=training.max_steps,
            max_seconds=training.max_seconds,
            first_step=first_step,
        ),
        evaluate_every=training.evaluate_every,
        checkpoint_every=training.checkpoint_every,
    )
    return run, history


def metrics_of(
    run: Run, outcome: Outcome, problem: Problem, setup_seconds: float
) -> dict[str, Any]:
    """What ``metrics.json`` holds.

    ``relative_l2`` and ``max_error`` are of the network as the run left it, over all of time;
    with slabs of time, ``parameters`` and ``points`` are those of each, ``loss`` of the last one;
    ``training_seconds`` is the time in steps, ``wall_seconds`` all time of the loop,
    ``setup_seconds`` the time before it in this call: mostly the points and what is known there.
    """
    return {
        "problem": problem.name,
        "title": problem.title,
        "coordinates": list(problem.coordinates),
        "relative_l2": outcome.error.relative_l2,
        "max_error": outcome.error.largest,
        **_by_output(run),
        **_estimates(run),
        "loss": outcome.loss,
        "loss_terms": outcome.terms,
        "loss_weights": dict(run.objective.loss.weights),
        "steps": run.progress.step,
        "training_seconds": run.progress.seconds,
        "setup_seconds": setup_seconds,
        "wall_seconds": run.progress.wall_seconds,
        "stop_reason": outcome.stop_reason,
        "phase": run.phases.name(run.progress),
        "phase_steps": run.progress.phase_step,
        "max_steps": run.facts.max_steps,
        "max_seconds": run.facts.max_seconds,
        "slab": run.progress.slab + 1,
        "note": run.progress.note,
        **run.facts.facts,
        "threads": torch.get_num_threads(),
        "versions": {"pinnderiv": pinnderiv.__version__, "torch": torch.__version__},
    }


def _by_output(run: Run) -> dict[str, Any]:
    several = len(run.accuracy.outputs) > 1
    return {"relative_l2_by_output": run.accuracy.by_output()} if several else {}


def _estimates(run: Run) -> dict[str, Any]:
    """What was found for the unknown numbers of the equation, beside what they are."""
    unknowns = run.objective.loss.unknowns
    found, true = unknowns.estimates(), unknowns.true
    if not found:
        return {}
    return {
        "estimates": {
            name: {"value": value, "true": true.get(name)} for name, value in found.items()
        }
    }


def write_metrics(path: Path, metrics: Mapping[str, Any]) -> None:
    """Writes ``metrics.json``; a number that is not finite, which JSON lacks, becomes null."""
    text = json.dumps(_finite(metrics), indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    write_atomically(path, lambda file: file.write(text.encode()))


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _finite(each) for name, each in value.items()}
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def _work(objective: LossObjective) -> int:
    return objective.size * objective.collocation.points.count


def _at_least_one(name: str, value: int) -> None:
    if value < 1:
        raise ConfigurationError(f"{name} must be at least 1, got {value}")


def _known(section: str, given: Mapping[str, Any], known: tuple[str, ...]) -> None:
    for name in given:
        if name not in known:
            raise ConfigurationError(
                f"{section} has an entry '{name}', which is none of "
                f"{', '.join(dict.fromkeys(known))}"
            )
