"""A least-squares system with fewer rows, the same in expectation."""

from __future__ import annotations

import torch
from torch import Tensor

# Numbers that are multiplied by their signs at a time, so that no second Jacobian is held.
_BLOCK = 2_000_000


def count_sketch(
    jacobian: Tensor, residual: Tensor, rows: int, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """S J and S r, S the count sketch of Clarkson and Woodruff (2013).

    Each row goes, with a random sign, into one of the ``rows`` new rows, drawn at random. So
    E[SᵀS] = 1: in expectation ‖S(r + J δ)‖² is ‖r + J δ‖² for every δ. The price is one pass over
    J. On CUDA the order of the sums is not fixed, so the last digits may differ from run to run.

    Args:
        jacobian: J, (R, P).
        residual: r, (R,).
        rows: of the sketch, M.
        generator: on the CPU.

    Returns:
        (M, P) and (M,).
    """
    count = len(residual)
    target = torch.randint(rows, (count,), generator=generator).to(jacobian.device)
    signs = (2 * torch.randint(2, (count,), generator=generator) - 1).to(jacobian)
    matrix = jacobian.new_zeros(rows, jacobian.shape[1])
    block = max(1, _BLOCK // jacobian.shape[1])
    for part, into, sign in zip(
        jacobian.split(block), target.split(block), signs.split(block), strict=True
    ):
        matrix.index_add_(0, into, part * sign.unsqueeze(-1))
    vector = residual.new_zeros(rows).index_add_(0, target, residual * signs)
    return matrix, vector
