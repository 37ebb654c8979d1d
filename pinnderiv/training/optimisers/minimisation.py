"""An optimiser at work on a residual of one's own, outside of a run."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from pinnderiv.errors import ArgumentError, CheckpointError, NonFiniteLossError

if TYPE_CHECKING:
    from pinnderiv.training.objective import Evaluation
    from pinnderiv.training.optimisers.optimiser import Optimiser, StepReport
    from pinnderiv.training.residual_objective import ResidualObjective
    from pinnderiv.training.residual_terms import Columns


@dataclass(frozen=True)
class Minimum:
    """Where a minimisation ended; the parameters are there.

    Attributes:
        loss: Σ weight · mean square.
        terms: the mean square of each term, unweighted.
        steps: taken since it began.
        stalled: the optimiser found no better point.
        note: what it has to say of that.
    """

    loss: float
    terms: dict[str, float]
    steps: int
    stalled: bool
    note: str


class Minimisation:
    """Takes steps like a ``torch.optim.Optimizer``: ``step()``, ``state_dict()``.

    Made by :meth:`Optimiser.on`. The parameters are changed in place.

    Args:
        optimiser: a copy of it is used.
        objective: what is minimised.

    Raises:
        ArgumentError: the residual is random, and the optimiser compares values of it.
        ConfigurationError: the optimiser cannot work on it.

    Attributes:
        report: of the last step, None before the first.
        steps: taken so far.
    """

    def __init__(self, optimiser: Optimiser, objective: ResidualObjective) -> None:
        self.objective = objective
        self._optimiser = copy.deepcopy(optimiser)
        if self._optimiser.compares_losses and not objective.repeats():
            raise ArgumentError(
                f"the residual differs when it is computed again, and {optimiser.name} compares "
                "its values: turn dropout off by net.eval(), draw points outside of the residual "
                "and tell that by points_changed(), or take Adam or SOAP."
            )
        self._optimiser.begin(objective)
        self._left = objective.vector()
        self.report: StepReport | None = None
        self.steps = 0

    @property
    def stalled(self) -> bool:
        """Whether the last step found no better point."""
        return self.report is not None and self.report.stalled

    @property
    def note(self) -> str:
        """What the last step has to say, if anything."""
        return "" if self.report is None else self.report.note

    def step(self) -> Tensor:
        """Takes one step.

        Returns:
            The loss, 0-d: where a line search or a damped step arrived; for Adam and
                SOAP where it began.

        Raises:
            NonFiniteLossError: the loss or its gradient is infinite or NaN; the parameters stay as
                they were.
        """
        before = self.objective.vector()
        if not torch.equal(before, self._left):
            self._go_on_from_here()
        try:
            report = self._optimiser.step(self.objective)
        except BaseException:
            self.objective.set_vector(before)
            raise
        if not report.evaluation.finite:
            self.objective.set_vector(before)
            raise NonFiniteLossError(_what_is_wrong(report.evaluation, self.steps + 1))
        self._left = self.objective.vector()
        self.report = report
        self.steps += 1
        return report.evaluation.loss

    def run(self, steps: int, target: float | None = None) -> Minimum:
        """Takes ``steps`` steps; fewer if it stalls, or if the loss is at most ``target``.

        Raises:
            ArgumentError: ``steps`` is not positive.
            NonFiniteLossError: as :meth:`step`.
        """
        if steps < 1:
            raise ArgumentError(f"steps must be at least 1; got {steps}.")
        for _ in range(steps):
            loss = self.step()
            if self.stalled or (target is not None and float(loss) <= target):
                break
        here = self.objective.evaluate()
        if not here.finite:
            raise NonFiniteLossError(_what_is_wrong(here, self.steps))
        terms = {name: float(term) for name, term in here.terms.items()}
        return Minimum(float(here.loss), terms, self.steps, self.stalled, self.note)

    def points_changed(self, points: Columns | Mapping[str, Columns] | None = None) -> None:
        """Tells that the residual is at other points now.

        Args:
            points: the new ones, for a residual that is called with points.

        Raises:
            ArgumentError, DtypeError, ShapeError: they do not fit the residual.
        """
        if points is not None:
            self.objective.set_points(points)
        else:
            self.objective.points_changed()
        self._optimiser.points_changed()

    def state_dict(self) -> dict[str, Any]:
        """Everything that the next step depends on, parameters and residual aside; a copy."""
        return {
            "optimiser": self._optimiser.name,
            "steps": self.steps,
            "state": copy.deepcopy(self._optimiser.state_dict()),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Goes on from :meth:`state_dict`; the parameters are loaded by their module.

        Raises:
            CheckpointError: the state is that of another optimiser.
        """
        if state.get("optimiser") != self._optimiser.name:
            raise CheckpointError(
                f"the state is one of {state.get('optimiser')}, this optimiser is "
                f"{self._optimiser.name}"
            )
        self._optimiser.begin(self.objective)
        self._optimiser.load_state_dict(copy.deepcopy(state["state"]))
        self._left = self.objective.vector()
        self.steps = int(state["steps"])
        self.report = None

    def _go_on_from_here(self) -> None:
        """Takes in parameters that somebody else has set, and keeps what was learnt."""
        learnt = self._optimiser.state_dict()
        self._optimiser.begin(self.objective)
        self._optimiser.load_state_dict(learnt)
        self._optimiser.points_changed()


def _what_is_wrong(evaluation: Evaluation, step: int) -> str:
    bad = {name: float(term) for name, term in evaluation.terms.items()}
    named = [f"'{name}' is {value}" for name, value in bad.items() if not math.isfinite(value)]
    what = f"term {', '.join(named)}" if named else "gradient is not finite"
    return (
        f"at step {step} the loss's {what}; the parameters stay as they were before it. Look for "
        "points where the residual is not defined, or try a smaller step or float64"
    )
