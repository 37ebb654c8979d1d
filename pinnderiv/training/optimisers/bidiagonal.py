"""Damped least squares through products with J and Jᵀ alone, for every damping at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

# The Krylov space has no further direction once a new one is this many roundings long.
_EXHAUSTED = 64.0


@dataclass(frozen=True)
class Products:
    """A function's linear part at a point, r(w + δ) ≈ r + J δ, without J.

    Attributes:
        residual: r, (R,).
        push: δ (P,) to J δ (R,).
        pull: v (R,) to Jᵀ v (P,).
    """

    residual: Tensor
    push: Callable[[Tensor], Tensor]
    pull: Callable[[Tensor], Tensor]

    @staticmethod
    def of(residuals: Callable[[Tensor], Tensor], vector: Tensor) -> Products:
        """Linearises ``residuals``, (P,) to (R,), at ``vector``, once for all products.

        Jᵀ v is linear in v, so the derivative of that map, transposed, is J δ: two graphs are
        built here and then only run, which takes half the time of a ``jvp`` that evaluates the
        function anew for every δ.
        """
        # its type says three values, which is so only with has_aux
        residual, pull = torch.func.vjp(residuals, vector)  # type: ignore[misc]
        _, transposed = torch.func.vjp(  # type: ignore[misc]
            lambda v: pull(v)[0], torch.zeros_like(residual)
        )
        return Products(
            residual.detach(), lambda move: transposed(move)[0], lambda left: pull(left)[0]
        )


@dataclass(frozen=True)
class Damped:
    """The minimiser of ‖r + J δ‖² + λ‖δ‖² in the present space.

    Attributes:
        coordinates: of −δ in the space's basis, (k,), float64 on the CPU.
        foretold: ‖r‖² − ‖r + J δ‖².
        error: ‖Jᵀ(r + J δ) + λ δ‖ as a share of ‖Jᵀ r‖: 0 for the minimiser among all δ.
    """

    coordinates: Tensor
    foretold: float
    error: float


class Bidiagonalisation:
    """The process of Golub and Kahan (1965), begun with r: J V = U B, B lower bidiagonal.

    LSQR (Paige and Saunders 1982) is this process without memory: a new λ begins it anew, and
    rounding repeats directions in it that it already has. Here the k vectors of V are kept: they
    are made orthogonal to one another, for which V alone is enough (Simon and Zha 2000), and as V
    and B do not depend on λ, they serve for every λ. Condition numbers are never squared.

    Memory: k P numbers beside two vectors of length R, however many rows J has.

    Args:
        products: r, J and Jᵀ.
        size: the largest k.
    """

    def __init__(self, products: Products, size: int) -> None:
        self._products = products
        residual = products.residual
        self._norm = float(residual.norm())
        self._left = residual / self._norm if self._norm > 0.0 else residual
        right = products.pull(self._left)
        self._size = min(size, len(residual), len(right))
        self._basis = right.new_empty(self._size, len(right))
        self._diagonal: list[float] = []
        self._below: list[float] = []
        self._next, self._alpha = right, float(right.norm())
        self._largest = self._alpha
        self._factors: tuple[Tensor, Tensor, Tensor] | None = None

    @property
    def gradient(self) -> Tensor:
        """2 Jᵀ r, (P,); of use before the first :meth:`extend`."""
        return 2.0 * self._norm * self._next

    @property
    def gradient_norm(self) -> float:
        """‖Jᵀ r‖."""
        return self._norm * (self._diagonal[0] if self._diagonal else self._alpha)

    @property
    def dimension(self) -> int:
        """k, as far as it has come."""
        return len(self._diagonal)

    @property
    def complete(self) -> bool:
        """Whether nothing can be added: the room is used, or J has no further direction."""
        rounding = torch.finfo(self._next.dtype).eps * _EXHAUSTED * self._largest
        return self.dimension == self._size or not self._alpha > rounding

    def extend(self) -> None:
        """Adds one direction, for one product with J and one with Jᵀ."""
        known = self.dimension
        right = self._basis[known]
        torch.div(self._next, self._alpha, out=right)
        left = self._products.push(right) - self._alpha * self._left
        beta = float(left.norm())
        self._diagonal.append(self._alpha)
        self._below.append(beta)
        self._largest = max(self._largest, self._alpha, beta)
        self._factors = None
        if not beta > 0.0:
            self._alpha = 0.0
            return
        self._left = left / beta
        following = self._products.pull(self._left) - beta * right
        basis = self._basis[: known + 1]
        for _ in range(2):  # twice is enough (Parlett 1980, after Kahan)
            following = following - basis.mT @ (basis @ following)
        self._next, self._alpha = following, float(following.norm())

    def largest(self) -> float:
        """The largest singular value of B: that of J, as far as it is known; 0 without any."""
        return float(self._factorised()[1][0]) if self.dimension else 0.0

    def solve(self, damping: float) -> Damped:
        """The step for λ = ``damping``, in the space as it is."""
        left, values, right = self._factorised()
        # ‖β e₁ − B y‖² + λ‖y‖² by the singular values of B
        target, squares = self._norm * left[0], values.square()
        coordinates = right.mT @ (values / (squares + damping) * target)
        last = left[-1] @ (squares / (squares + damping) * target)
        # 1 − (λ / (s² + λ))², without the difference
        share = squares * (squares + 2.0 * damping) / (squares + damping).square()
        fall = share * target.square()
        error = self._alpha * abs(float(last)) / self.gradient_norm
        return Damped(coordinates, float(fall.sum()), error)

    def step(self, solution: Damped) -> Tensor:
        """δ, (P,)."""
        return -(self._basis[: self.dimension].mT @ solution.coordinates.to(self._basis))

    def _factorised(self) -> tuple[Tensor, Tensor, Tensor]:
        if self._factors is None:
            count = self.dimension
            matrix = torch.zeros(count + 1, count, dtype=torch.float64)
            index = torch.arange(count)
            matrix[index, index] = torch.tensor(self._diagonal, dtype=torch.float64)
            matrix[index + 1, index] = torch.tensor(self._below, dtype=torch.float64)
            self._factors = torch.linalg.svd(matrix, full_matrices=False)
        return self._factors
