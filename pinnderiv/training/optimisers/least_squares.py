"""Linear least squares that survives a singular matrix, and keeps the digits of a bad one."""

from __future__ import annotations

import torch
from torch import Tensor


def minimum_norm(matrix: Tensor, target: Tensor, cutoff: float | None = None) -> Tensor | None:
    """argmin ‖A c − b‖, of least norm in the columns' own scale.

    Works on A itself by a singular value decomposition, since AᵀA would square the condition
    number: with features of 1e15, half of all digits would be lost.

    Args:
        matrix: A, (N, M).
        target: b, (N,).
        cutoff: singular values below this share of the largest count as zero; ``None`` for
            rounding, 4 ε.

    Returns:
        c, (M,), or ``None`` where there are numbers that are not finite.
    """
    if not bool(torch.isfinite(matrix).all() and torch.isfinite(target).all()):
        return None
    scale = matrix.norm(dim=0)
    scale = torch.where(scale > 0, scale, torch.ones_like(scale))
    share = 4 * torch.finfo(matrix.dtype).eps if cutoff is None else cutoff
    try:
        found = _solve(matrix / scale, target, share) / scale
    except torch.linalg.LinAlgError:
        return None
    return found if bool(torch.isfinite(found).all()) else None


def _solve(matrix: Tensor, target: Tensor, share: float) -> Tensor:
    if matrix.device.type == "cpu":
        # LAPACK's gelsd never forms the singular vectors: half the time
        return torch.linalg.lstsq(
            matrix, target.unsqueeze(-1), rcond=share, driver="gelsd"
        ).solution.squeeze(-1)
    if matrix.shape[0] > matrix.shape[1]:
        orthogonal, matrix = torch.linalg.qr(matrix)
        target = orthogonal.mT @ target
    left, values, right = torch.linalg.svd(matrix, full_matrices=False)
    inverse = torch.where(values > share * values[0], 1 / values, torch.zeros_like(values))
    return right.mT @ (inverse * (left.mT @ target))


def damped(jacobian: Tensor, residual: Tensor, damping: float) -> Tensor | None:
    """argmin ‖r + J δ‖² + λ‖δ‖², the step of Levenberg and Marquardt.

    The smaller of JᵀJ + λ (P, P) and J Jᵀ + λ (N, N) is factorised by Cholesky, the second by
    the identity (JᵀJ + λ)⁻¹Jᵀ = Jᵀ(J Jᵀ + λ)⁻¹ of Woodbury. Where λ is so small that forming
    the product has lost what λ must decide, J itself is factorised instead.

    Args:
        jacobian: J, (N, P).
        residual: r, (N,).
        damping: λ, positive.

    Returns:
        δ, (P,), or ``None`` where no finite step was found.
    """
    rows, columns = jacobian.shape
    wide = columns > rows
    product = jacobian @ jacobian.mT if wide else jacobian.mT @ jacobian
    # rounding in the product is of the order of ε times its largest eigenvalue
    rounding = torch.finfo(product.dtype).eps * float(product.diagonal().sum())
    if damping > rounding:
        product.diagonal().add_(damping)
        factor, failed = torch.linalg.cholesky_ex(product)
        if not int(failed):
            target = residual if wide else jacobian.mT @ residual
            solved = torch.cholesky_solve(target.unsqueeze(-1), factor).squeeze(-1)
            step = -(jacobian.mT @ solved) if wide else -solved
            if bool(torch.isfinite(step).all()):
                return step
    return _damped_by_qr(jacobian, residual, damping)


def _damped_by_qr(jacobian: Tensor, residual: Tensor, damping: float) -> Tensor | None:
    """The same from J stacked on √λ I, with no product formed."""
    if not bool(torch.isfinite(jacobian).all() and torch.isfinite(residual).all()):
        return None
    rows, columns = jacobian.shape
    if columns > rows:
        # of all δ that J sees, those in the row space of J are enough
        basis, triangle = torch.linalg.qr(jacobian.mT)
        inner = _damped_by_qr(triangle.mT.contiguous(), residual, damping)
        return None if inner is None else basis @ inner
    eye = torch.eye(columns, dtype=jacobian.dtype, device=jacobian.device) * damping**0.5
    orthogonal, triangle = torch.linalg.qr(torch.cat([jacobian, eye]))
    target = -(orthogonal[:rows].mT @ residual)
    step = torch.linalg.solve_triangular(triangle, target.unsqueeze(-1), upper=True).squeeze(-1)
    return step if bool(torch.isfinite(step).all()) else None
