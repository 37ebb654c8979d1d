"""The form that a network is given so that conditions hold whatever its parameters."""

from __future__ import annotations

from abc import abstractmethod
from typing import Self

from torch import Tensor, nn

from pinnderiv.errors import ShapeError
from pinnderiv.networks.constants import ConstantsModule


class Lift(ConstantsModule):
    """The given values continued into the domain, (*batch, D) -> (*batch, M)."""

    @property
    @abstractmethod
    def terms(self) -> int:
        """How many values of the data a point needs."""


class TrialSolution(ConstantsModule):
    """u(x) = lift(x) + B(x) · network(x), (*batch, D) -> (*batch, M).

    The lift takes the given values and B vanishes where they are given, so that u has them
    whatever the network (Lagaris, Likas and Fotiadis, "Artificial neural networks for solving
    ordinary and partial differential equations", IEEE Transactions on Neural Networks 1998).

    Args:
        network: (*batch, D) -> (*batch, M).

    Attributes:
        lift: ``None`` where all data are zero.
    """

    lift: Lift | None

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    @property
    @abstractmethod
    def columns(self) -> int:
        """D."""

    @abstractmethod
    def factor(self, x: Tensor) -> Tensor:
        """B(x), (*batch, D) -> (*batch, 1): zero where u is given, of order one elsewhere."""

    @abstractmethod
    def without_data(self, network: nn.Module, start: float, end: float) -> Self:
        """The same form for a part of time, with zero data: B with another network."""

    def free(self, x: Tensor) -> Tensor:
        """B(x) · network(x), (*batch, D) -> (*batch, M): what training changes.

        The lift is fixed. Under a linear operator L, L u = L lift + L free, and
        at fixed points L lift need be computed only once.
        """
        return self.factor(x) * self.network(x)

    def forward(self, x: Tensor) -> Tensor:
        if x.shape[-1] != self.columns:
            raise ShapeError(
                f"x must be (*batch, {self.columns}), one column a coordinate of the domain; "
                f"got {tuple(x.shape)}."
            )
        free = self.free(x)
        if self.lift is None:
            return free
        lifted = self.lift(x)
        if lifted.shape != free.shape:
            raise ShapeError(
                f"value and the network must have the same number of outputs; got "
                f"{lifted.shape[-1]} and {free.shape[-1]}."
            )
        return lifted + free
