"""Energy natural gradients with a line search, and with the momentum of SPRING."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from pinnderiv.errors import ConfigurationError
from pinnderiv.training.objective import Linearisation, Objective
from pinnderiv.training.optimisers.least_squares import damped
from pinnderiv.training.optimisers.optimiser import Optimiser, StepReport, positive

_HALVINGS = 30


class NaturalGradient(Optimiser):
    """φ minimises ‖r + J φ‖² + λ‖φ − μ φ₋‖², and a line search says how far to go along it.

    With μ = 0 this is energy natural gradient descent (Müller and Zeinhofer 2023): for a residual
    its Gram matrix is JᵀJ. With μ > 0 the last direction φ₋ is kept where the present residuals
    say nothing against it, which is SPRING (Goldshlager, Abrahamsen and Lin 2024; for PDEs
    Guzmán-Cordero et al. 2025) and serves best where the points are few or drawn anew. The system
    is solved in parameters or in residuals, whichever are fewer. Lengths 1, ½, ¼, … are tried
    until the loss rises again.

    Args:
        damping: λ as a share of max diag JᵀJ.
        momentum: μ in [0, 1).
        steps, time_share: the length of the phase, see :class:`Optimiser`.

    Raises:
        ConfigurationError: a number is out of range.
    """

    name = "natural_gradient"

    def __init__(
        self,
        damping: float = 1e-10,
        momentum: float = 0.0,
        steps: int | None = None,
        time_share: float | None = None,
    ) -> None:
        super().__init__(steps, time_share)
        self.damping = positive("damping of the natural_gradient phase", damping)
        if not 0.0 <= momentum < 1.0:
            raise ConfigurationError(
                f"momentum of the natural_gradient phase must lie in [0, 1), got {momentum}"
            )
        self.momentum = momentum

    def begin(self, objective: Objective) -> None:
        self._last: Tensor | None = None
        self._share = self.damping

    def step(self, objective: Objective) -> StepReport:
        here = objective.linearise()
        evaluation = here.evaluation()
        if not evaluation.finite:
            return StepReport(evaluation, learning_rate=0.0)
        origin = objective.vector()
        spent = 1
        # first as configured; then without momentum; then with more damping
        for last, share in [
            (self._last, self._share),
            *((None, self._share * 100.0**k) for k in range(6)),
        ]:
            direction = self._direction(here, last, share)
            if direction is None:
                continue
            length, tried = self._length(objective, origin, direction, float(evaluation.loss))
            spent += tried
            if length > 0.0:
                objective.set_vector(origin + length * direction)
                self._last = direction
                self._share = max(self.damping, share / 10.0 if share > self.damping else share)
                return StepReport(objective.evaluation_at(evaluation), length, spent)
        objective.set_vector(origin)
        self._last = None
        return StepReport(
            evaluation,
            learning_rate=0.0,
            evaluations=spent,
            stalled=True,
            note=(
                "natural gradient: no length of any direction lowers the loss of "
                f"{float(evaluation.loss):.3g}. Either rounding is reached, or this is a local "
                "minimum: try more points, a wider network or another seed"
            ),
        )

    def _direction(self, here: Linearisation, last: Tensor | None, share: float) -> Tensor | None:
        size = float(here.jacobian.square().sum(dim=0).max())
        damping = max(share * size, 1e-300)
        if last is None or self.momentum == 0.0:
            return damped(here.jacobian, here.residual, damping)
        kept = self.momentum * last
        rest = damped(here.jacobian, here.residual + here.jacobian @ kept, damping)
        return None if rest is None else kept + rest

    @staticmethod
    def _length(
        objective: Objective, origin: Tensor, direction: Tensor, before: float
    ) -> tuple[float, int]:
        """The best of the lengths 1, ½, ¼, …, 0 where none lowers the loss; and the trials."""
        best, length, lowest = 0.0, 1.0, before
        for count in range(1, _HALVINGS + 1):
            with torch.no_grad():
                after = float(objective.residuals(origin + length * direction).square().sum())
            if after < lowest:
                best, lowest = length, after
            elif best > 0.0:
                return best, count  # it rises again
            length *= 0.5
        return best, _HALVINGS

    def state_dict(self) -> dict[str, Any]:
        return {"last": self._last, "share": self._share}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._last, self._share = state["last"], float(state["share"])
