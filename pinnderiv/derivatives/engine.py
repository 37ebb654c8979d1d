"""The interface that every engine fulfils."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager

import torch
from torch import Tensor

from pinnderiv.derivatives.repairs import exact_formulas
from pinnderiv.derivatives.request import Collapsed, MultiIndex

Function = Callable[[Tensor], Tensor]
"""Maps ``(*batch, D)`` to ``(*batch, M)`` and treats rows independently."""


class Engine(ABC):
    """A way to differentiate ``f: (*batch, D) -> (*batch, M)`` with respect to its input.

    The points ``x (*batch, D)`` have been checked. Every method calls ``f`` on ``x`` in
    the shape it has, returns tensors of the dtype and device of ``x``, and its results are
    differentiable in ``x`` and in whatever parameters ``f`` holds.
    """

    name: str
    strict = False
    """Refuses operations that it has no rule for (Taylor mode only)."""

    def formulas(self) -> AbstractContextManager[None]:
        """What the engine runs under: exact formulas in place of PyTorch's wrong ones."""
        return exact_formulas()

    @abstractmethod
    def jacobian(self, f: Function, x: Tensor) -> tuple[Tensor, Tensor]:
        """The value ``(*batch, M)`` and ∂f_m/∂x_d ``(*batch, M, D)``."""

    @abstractmethod
    def second_derivatives(self, f: Function, x: Tensor) -> tuple[Tensor, Tensor]:
        """The value ``(*batch, M)`` and ∂²f_m/∂x_d² ``(*batch, M, D)``."""

    @abstractmethod
    def hessian(self, f: Function, x: Tensor) -> tuple[Tensor, Tensor]:
        """The value ``(*batch, M)`` and the Hessians ``(*batch, M, D, D)``."""

    @abstractmethod
    def collapsed(self, f: Function, x: Tensor, request: Collapsed) -> tuple[Tensor, Tensor]:
        """The value and Σ_k w_k v_kᵀ H_m v_k + b·∇f_m, both ``(*batch, M)``."""

    def collapsed_with_slopes(
        self, f: Function, x: Tensor, request: Collapsed
    ) -> tuple[Tensor, Tensor, Tensor]:
        """The value, ∂f_m/∂x_d ``(*batch, M, K)`` for the request's columns, and `collapsed`."""
        value, result = self.collapsed(f, x, request)
        _, slopes = self.jacobian(f, x)
        columns = torch.tensor(request.dims, device=x.device)
        return value, slopes.index_select(-1, columns), result

    @abstractmethod
    def partials(
        self, f: Function, x: Tensor, indices: Sequence[MultiIndex]
    ) -> dict[MultiIndex, Tensor]:
        """Partial derivatives of any order, each ``(*batch, M)``, out of one call of ``f``."""

    @abstractmethod
    def hvp(self, f: Function, x: Tensor, v: Tensor) -> Tensor:
        """Hessian-vector products H_m v, ``(*batch, M, D)``, for v ``(*batch, D)``."""
