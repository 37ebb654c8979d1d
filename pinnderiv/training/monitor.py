"""Those who watch a run. The loop tells them what happened; what they make of it is theirs.

:class:`Monitor` itself watches nothing. It stands where nobody watches, so that the loop needs
no ``if``, and it is the base of all that do.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pinnderiv.training.accuracy import Error

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class RunFacts:
    """What is known of a run before its first step.

    Attributes:
        directory: where everything goes.
        title: of the problem.
        configuration: as plain dictionaries.
        facts: device, dtype, seed, number of parameters, number of points, by name.
        max_steps, max_seconds: the budget.
        first_step: 0, or the step that a resumed run goes on from.
    """

    directory: Path
    title: str
    configuration: Mapping[str, Any]
    facts: Mapping[str, Any]
    max_steps: int | None
    max_seconds: float | None
    first_step: int


@dataclass(frozen=True)
class StepRecord:
    """What a step did.

    Attributes:
        step: steps taken so far, this one included.
        phase: name of the optimiser's phase, with the slab where there is more than one.
        slab: number of the slab of time, from 1.
        loss: weighted sum of the terms.
        terms: mean square of each, unweighted.
        gradient_norm: Euclidean norm over all parameters.
        learning_rate: or the length of the step that a line search chose.
        seconds: training time so far.
        step_seconds: of this step.
        points_per_second: collocation points times evaluations of the loss, by time.
        fraction: of the budget that is used, in [0, 1].
        weights: what weighs the terms and changes in the run, by the names of curves.
    """

    step: int
    phase: str
    loss: float
    terms: Mapping[str, float]
    gradient_norm: float
    learning_rate: float
    seconds: float
    step_seconds: float
    points_per_second: float
    fraction: float
    slab: int = 1
    weights: Mapping[str, float] = field(default_factory=dict)


class Monitor:
    """Watches a run and does nothing about it."""

    def start(self, run: RunFacts) -> None:
        """The run begins."""

    def step(self, record: StepRecord) -> None:
        """A step was taken."""

    def error(self, step: int, error: Error) -> None:
        """The error was measured after ``step`` steps."""

    def finish(self, metrics: Mapping[str, Any], figures: Mapping[str, Figure]) -> None:
        """The run is over: its metrics, and its figures by name."""

    def close(self) -> None:
        """Nothing more comes, whether the run went well or not."""


class Monitors(Monitor):
    """Several monitors as one, in their order."""

    def __init__(self, monitors: Sequence[Monitor]) -> None:
        self.monitors = list(monitors)

    def start(self, run: RunFacts) -> None:
        for each in self.monitors:
            each.start(run)

    def step(self, record: StepRecord) -> None:
        for each in self.monitors:
            each.step(record)

    def error(self, step: int, error: Error) -> None:
        for each in self.monitors:
            each.error(step, error)

    def finish(self, metrics: Mapping[str, Any], figures: Mapping[str, Figure]) -> None:
        for each in self.monitors:
            each.finish(metrics, figures)

    def close(self) -> None:
        for each in self.monitors:
            each.close()
