"""What every optimiser is, to the loop: something that takes one step and can be saved."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from pinnderiv.errors import ArgumentError, ConfigurationError
from pinnderiv.training.objective import Evaluation, Objective
from pinnderiv.training.optimisers.minimisation import Minimisation, Minimum
from pinnderiv.training.residual_objective import ResidualObjective
from pinnderiv.training.residual_terms import Columns, Residual
from pinnderiv.training.trainable import Parameters


@dataclass(frozen=True)
class StepReport:
    """What a step did.

    Attributes:
        evaluation: the loss, its terms and its gradient at the point that the optimiser
            reports: where Adam started from, where a line search arrived.
        learning_rate: the factor on the step (for a line search: the length it chose).
        evaluations: how often the loss and its gradient were computed.
        stalled: no step that lowers the loss was found; the phase has nothing left to do.
        out_of_time: what is left to do takes longer than ``seconds_left``.
        note: what the user should know of a phase that ended, and what to try next.
    """

    evaluation: Evaluation
    learning_rate: float
    evaluations: int = 1
    stalled: bool = False
    out_of_time: bool = False
    note: str = ""


class Optimiser(ABC):
    """One phase of the training: a rule for the next parameters, and how long it is used.

    The phase ends after ``steps`` steps or when it has used ``time_share`` of the run's
    ``training.max_seconds``, whichever comes first; the run's last phase goes on until the
    run's budget is used, if it has no ``steps``. Lengths are never a share of ``max_steps``:
    so a run that is resumed with a larger ``max_steps`` takes the very steps that one long run
    would have taken.

    Args:
        steps: the length of the phase in steps, or None.
        time_share: the length as a share of ``training.max_seconds``, in (0, 1], or None.

    Raises:
        ConfigurationError: a length that makes no sense.
    """

    name = "optimiser"
    # set by the loop before each step: what the phase may still use of training.max_seconds
    seconds_left = math.inf
    # whether a step does more than evaluate the loss: large matrices deserve every thread
    large_matrices = True
    # whether a step compares values of the loss, which then must not be random
    compares_losses = True

    def __init__(self, steps: int | None = None, time_share: float | None = None) -> None:
        if steps is not None and steps < 1:
            raise ConfigurationError(
                f"steps of the {self.name} phase must be at least 1 or null, "
                f"got {steps}; leave the phase out if it is not wanted"
            )
        if time_share is not None and not 0.0 < time_share <= 1.0:
            raise ConfigurationError(
                f"time_share of the {self.name} phase must lie in (0, 1], got {time_share}: it is "
                "the part of training.max_seconds that the phase may use"
            )
        self.steps = steps
        self.time_share = time_share

    @abstractmethod
    def begin(self, objective: Objective) -> None:
        """Prepares for the first step from where the network is."""

    @abstractmethod
    def step(self, objective: Objective) -> StepReport:
        """Takes one step: the network's parameters are changed in place."""

    def points_changed(self) -> None:  # noqa: B027 - most optimisers keep nothing of the points
        """Tells that the loss is another function: of other points, or with other weights."""

    def on(
        self,
        parameters: Parameters,
        residual: Residual | Mapping[str, Residual],
        points: Columns | Mapping[str, Columns] | None = None,
        weights: Mapping[str, float] | None = None,
    ) -> Minimisation:
        """This optimiser on a residual of one's own, to take steps like one of ``torch.optim``.

        What is minimised is Σ weight · mean square over the residual's terms.

        Args:
            parameters: a module, a tensor, or several of them: what requires gradients is trained.
            residual: ``residual()``, or ``residual(points)`` if there are ``points``; returns a
                tensor of residuals or a mapping from terms' names to them. See
                :class:`ResidualObjective`.
            points: where each row of the residual belongs to a row of them: much faster.
            weights: factor on the mean square of each term; a term that is not named has 1.

        Raises:
            ArgumentError, DtypeError, ShapeError, ConfigurationError: one does not fit.
        """
        return Minimisation(self, ResidualObjective(parameters, residual, points, weights))

    def minimise(
        self,
        parameters: Parameters,
        residual: Residual | Mapping[str, Residual],
        points: Columns | Mapping[str, Columns] | None = None,
        weights: Mapping[str, float] | None = None,
        steps: int | None = None,
        target: float | None = None,
    ) -> Minimum:
        """Minimises a residual of one's own: :meth:`on`, and steps until one of three ends.

        Args:
            parameters, residual, points, weights: as for :meth:`on`.
            steps: at most; the optimiser's own ``steps`` if not given. It stops before where it
                stalls.
            target: stop where the loss is at most this.

        Raises:
            NonFiniteLossError: the loss became infinite or NaN.
            ArgumentError: no number of steps; and as for :meth:`on`.
        """
        most = self.steps if steps is None else steps
        if most is None:
            raise ArgumentError("minimise needs a number of steps, such as steps=200.")
        return self.on(parameters, residual, points, weights).run(most, target)

    @abstractmethod
    def state_dict(self) -> dict[str, Any]:
        """Everything that the next step depends on, as plain values and tensors."""

    @abstractmethod
    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Goes on from :meth:`state_dict`, exactly; :meth:`begin` was called before."""


def positive(name: str, value: float) -> float:
    """Returns ``value`` if it is a positive, finite number.

    Raises:
        ConfigurationError: it is not.
    """
    if not (value > 0.0 and torch.isfinite(torch.tensor(float(value)))):
        raise ConfigurationError(f"{name} must be a positive, finite number, got {value}")
    return float(value)
