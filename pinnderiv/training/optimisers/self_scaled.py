"""Self-scaled quasi-Newton methods with a dense inverse Hessian: BFGS and Broyden."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from pinnderiv.errors import ConfigurationError
from pinnderiv.training.objective import Evaluation, Objective
from pinnderiv.training.optimisers.quasi_newton import QuasiNewton

KINDS = ("broyden", "bfgs")
# H is dense: P² numbers, and a step costs a few passes over them.
_MOST_PARAMETERS = 20_000


class SelfScaled(QuasiNewton):
    """Quasi-Newton steps with the scaled update of Al-Baali (1998), as Urbán et al. (2025) use it.

    With s the move, y the change of the gradient and v = (yᵀHy)^½ (s/yᵀs − Hy/yᵀHy),

        H ← (H − Hy yᵀH / yᵀHy + φ v vᵀ) / τ + s sᵀ / yᵀs.

    φ = 1 is BFGS with τ = min(1, yᵀs / sᵀBs); for Broyden's family φ and τ follow the bounds of
    Al-Baali and Khalfan (2005). The scaling forgets curvature that was learnt where the loss was
    steeper, which plain BFGS keeps for many steps: in the narrow valleys of a PDE's loss it reaches
    errors that L-BFGS does not. Memory is P² numbers.

    Args:
        kind: "broyden" or "bfgs".
        max_evaluations: trials of one line search at most.
        steps, time_share: the length of the phase, see :class:`Optimiser`.

    Raises:
        ConfigurationError: an unknown kind, or too few evaluations.
    """

    name = "self_scaled"
    _inverse: Tensor | None
    large_matrices = True

    def __init__(
        self,
        kind: str = "broyden",
        max_evaluations: int = 25,
        steps: int | None = None,
        time_share: float | None = None,
    ) -> None:
        super().__init__(max_evaluations, steps, time_share)
        if kind not in KINDS:
            raise ConfigurationError(f"kind of the self_scaled phase is one of {KINDS}, got {kind}")
        if max_evaluations < 2:
            raise ConfigurationError(
                "max_evaluations of the self_scaled phase must be at least 2, got "
                f"{max_evaluations}"
            )
        self.kind = kind

    def begin(self, objective: Objective) -> None:
        """Prepares for the first step.

        Raises:
            ConfigurationError: the network has too many parameters for a dense matrix.
        """
        count = len(objective.vector())
        if count > _MOST_PARAMETERS:
            raise ConfigurationError(
                f"the self_scaled phase keeps a dense matrix of {count}² numbers, and takes at "
                f"most {_MOST_PARAMETERS} parameters: take a smaller network, or optimiser=lbfgs"
            )
        super().begin(objective)

    def _direction(self, gradient: Tensor) -> Tensor:
        return -gradient if self._inverse is None else -(self._inverse @ gradient)

    def _learn(
        self, move: Tensor, change: Tensor, curvature: float, length: float, gradient: Tensor
    ) -> None:
        if self._inverse is None:
            # of the scale of the first curvature seen (Nocedal and Wright, equation 6.20)
            scale = curvature / float(torch.dot(change, change))
            self._inverse = torch.eye(len(move), dtype=move.dtype, device=move.device) * scale
            # B s for this H; for later ones it is −α g, since s = −α H g
            bent = move / scale
        else:
            bent = -length * gradient
        image = self._inverse @ change  # H y
        inner = float(torch.dot(change, image))  # yᵀHy
        ratio = float(torch.dot(move, bent)) / curvature  # b = sᵀBs / yᵀs
        if not (inner > 0.0 and ratio > 0.0):
            self._forget()
            return
        mixing, scaling = self._mixing(ratio, inner / curvature, len(move))
        v = inner**0.5 * (move / curvature - image / inner)
        # All three products of a column with its row in one pass over the matrix, which is what
        # a step costs. The two triangles differ by rounding only: H stays good for a direction.
        columns = torch.stack([image, v, move], dim=1)
        factors = torch.stack(
            [-image / (inner * scaling), v * (mixing / scaling), move / curvature]
        )
        self._inverse.addmm_(columns, factors, beta=1 / scaling)

    def _mixing(self, b: float, h: float, count: int) -> tuple[float, float]:
        """φ and τ for b = sᵀBs / yᵀs and h = yᵀHy / yᵀs."""
        shrinks = min(1.0, 1.0 / b)
        if self.kind == "bfgs":
            return 1.0, shrinks
        a = max(h * b - 1.0, 0.0)  # Cauchy and Schwarz; zero where s and y are parallel
        if a < 1e-12 or count < 2:
            return 1.0, shrinks
        lowest = min(1.0, h * (1.0 - (a / (1.0 + a)) ** 0.5))
        theta = max((lowest - 1.0) / a, min(1.0 / lowest, (1.0 - b) / b))
        sigma = 1.0 + a * theta
        power = sigma ** (-1.0 / (count - 1))
        mixing = (1.0 - theta) / sigma
        if theta > 0.0:
            return mixing, shrinks * min(power, 1.0 / theta)
        return mixing, min(shrinks * power, sigma)

    def _forget(self) -> None:
        self._inverse = None

    def _knows_curvature(self) -> bool:
        return self._inverse is not None

    def state_dict(self) -> dict[str, Any]:
        here = None if self._here is None else self._here.state_dict()
        return {"inverse": self._inverse, "here": here}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._inverse = state["inverse"]
        self._here = None if state["here"] is None else Evaluation.from_state(state["here"])
