"""SOAP (Vyas et al., 2024): Adam in the eigenbases of Shampoo's matrices.

Written out here, since it is short and the package that has it, pytorch-optimizer, orthogonalises
the bases in float32 whatever the type of the parameters.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from pinnderiv.errors import ConfigurationError
from pinnderiv.training.objective import Objective
from pinnderiv.training.optimisers.first_order import FirstOrder
from pinnderiv.training.optimisers.schedules import Schedule


class SOAP(FirstOrder):
    """Algorithm 3 of Vyas et al., "SOAP: Improving and Stabilizing Shampoo using Adam" (2024).

    For each weight matrix the running means L of G Gᵀ and R of GᵀG are kept, and Adam runs on the
    gradient turned into their eigenbases. These are found once, and then followed by one power
    iteration with a QR factorisation every ``precondition_frequency`` steps (their algorithm 4).
    As in the authors' own program the first gradient only sets the bases up and moves nothing,
    both means are corrected for their start at zero, and vectors are left to Adam. A side longer
    than ``max_dimension`` keeps its coordinates: its matrix would cost too much.

    With ``patience`` the phase hands over to the next one as soon as it stalls, see
    :class:`~pinnderiv.training.optimisers.first_order.FirstOrder`.

    Args:
        lr: the learning rate before the schedule.
        beta1, beta2: decay of the running means of the gradient and of its square, in [0, 1).
        shampoo_beta: decay of L and R, in [0, 1); None for ``beta2``.
        eps: added to the root of the mean square.
        precondition_frequency: steps between two updates of the bases.
        max_dimension: the longest side of a matrix that gets a basis.
        schedule: how ``lr`` changes; constant by default.
        patience: steps over which the loss must have fallen, or None to go on regardless.
        least_fall: the share by which it must have fallen, in [0, 1).
        steps, time_share: the length of the phase, see :class:`Optimiser`.

    Raises:
        ConfigurationError: a number out of range, or a schedule that needs ``steps`` without it.
    """

    name = "soap"
    _title = "SOAP"

    def __init__(
        self,
        lr: float = 3e-3,
        beta1: float = 0.95,
        beta2: float = 0.95,
        shampoo_beta: float | None = None,
        eps: float = 1e-8,
        precondition_frequency: int = 10,
        max_dimension: int = 2000,
        schedule: Schedule | None = None,
        patience: int | None = None,
        least_fall: float = 0.05,
        steps: int | None = None,
        time_share: float | None = None,
    ) -> None:
        super().__init__(lr, beta1, beta2, eps, schedule, patience, least_fall, steps, time_share)
        self.shampoo_beta = beta2 if shampoo_beta is None else shampoo_beta
        if not 0.0 <= self.shampoo_beta < 1.0:
            raise ConfigurationError(
                f"shampoo_beta of the soap phase must lie in [0, 1), or be null, got {shampoo_beta}"
            )
        if precondition_frequency < 1 or max_dimension < 1:
            raise ConfigurationError(
                "precondition_frequency and max_dimension of the soap phase must be at least 1, "
                f"got {precondition_frequency} and {max_dimension}"
            )
        self.precondition_frequency = precondition_frequency
        self.max_dimension = max_dimension

    def begin(self, objective: Objective) -> None:
        super().begin(objective)
        vector = objective.vector()
        self._mean, self._square = torch.zeros_like(vector), torch.zeros_like(vector)
        self._blocks, start = [], 0
        for each in objective.parameters:
            self._blocks.append(_Block(each.shape, start, self.max_dimension))
            start += each.numel()

    def _update(self, objective: Objective, gradient: Tensor, rate: float) -> None:
        done, (beta1, beta2) = self._steps_done, self.betas
        if done == 0:
            for block in self._blocks:
                block.learn(gradient, self.shampoo_beta)
                block.set_bases()
            return
        self._mean = beta1 * self._mean + (1.0 - beta1) * gradient
        move = torch.empty_like(gradient)
        for block in self._blocks:
            turned = block.turned(gradient)
            square = block.of(self._square)
            square.mul_(beta2).addcmul_(turned, turned, value=1.0 - beta2)
            root = (square / (1.0 - beta2**done)).sqrt_().add_(self.eps)
            mean = block.turned(self._mean) / (1.0 - beta1**done)
            block.of(move).copy_(block.turned_back(mean / root))
        objective.set_vector(objective.vector() - rate * move)
        for block in self._blocks:
            block.learn(gradient, self.shampoo_beta)
            if done % self.precondition_frequency == 0:
                block.follow(self._square)

    def state_dict(self) -> dict[str, Any]:
        return {
            **super().state_dict(),
            "mean": self._mean,
            # the next step changes it in place
            "square": self._square.clone(),
            "matrices": [dict(block.matrices) for block in self._blocks],
            "bases": [dict(block.bases) for block in self._blocks],
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        super().load_state_dict(state)
        self._mean, self._square = state["mean"], state["square"].clone()
        for block, matrices, bases in zip(
            self._blocks, state["matrices"], state["bases"], strict=True
        ):
            block.matrices, block.bases = dict(matrices), dict(bases)


class _Block:
    """One parameter in the flat vector, with the matrix and the basis of each of its sides.

    Args:
        shape: of the parameter.
        start: of its entries in the vector.
        longest: sides longer than this get none, and those of one entry need none.
    """

    def __init__(self, shape: torch.Size, start: int, longest: int) -> None:
        self._shape, self._entries = shape, slice(start, start + shape.numel())
        wanted = range(len(shape)) if len(shape) > 1 else ()
        self._sides = [side for side in wanted if 1 < shape[side] <= longest]
        self.matrices: dict[int, Tensor] = {}
        self.bases: dict[int, Tensor] = {}

    def of(self, vector: Tensor) -> Tensor:
        """This parameter's part of the flat ``vector``: a view of its shape."""
        return vector[self._entries].view(self._shape)

    def turned(self, vector: Tensor) -> Tensor:
        """Its part in the coordinates of the bases."""
        return self._along(self.of(vector), {k: basis.mT for k, basis in self.bases.items()})

    def turned_back(self, part: Tensor) -> Tensor:
        """``part``, in the coordinates of the bases, in its own."""
        return self._along(part, self.bases)

    def learn(self, gradient: Tensor, decay: float) -> None:
        """Takes a gradient into L and R (and more of their kind, were there more sides)."""
        part = self.of(gradient)
        for side in self._sides:
            rows = part.movedim(side, 0).flatten(1)
            old = self.matrices.get(side)
            if old is None:
                old = rows.new_zeros(len(rows), len(rows))
            self.matrices[side] = decay * old + (1.0 - decay) * (rows @ rows.mT)

    def set_bases(self) -> None:
        """The eigenvectors, of the largest eigenvalue first."""
        for side, matrix in self.matrices.items():
            self.bases[side] = _eigenvectors(matrix)

    def follow(self, squares: Tensor) -> None:
        """One power iteration of the bases; ``squares`` stays with the vectors that it is of."""
        for side, matrix in self.matrices.items():
            product = matrix @ self.bases[side]
            # QR keeps the order, and an order by size makes the iteration converge
            order = (self.bases[side] * product).sum(dim=0).argsort(descending=True, stable=True)
            self.bases[side] = torch.linalg.qr(product[:, order])[0]
            part = self.of(squares)
            part.copy_(part.index_select(side, order))

    @staticmethod
    def _along(part: Tensor, matrices: dict[int, Tensor]) -> Tensor:
        for side, matrix in matrices.items():
            part = torch.tensordot(matrix, part, dims=([1], [side])).movedim(0, side)
        return part


def _eigenvectors(matrix: Tensor) -> Tensor:
    if not bool(torch.isfinite(matrix).all()):
        # the run is about to be stopped with the loss as its reason
        return torch.eye(len(matrix), dtype=matrix.dtype, device=matrix.device)
    return torch.linalg.eigh(matrix)[1].flip(1)
