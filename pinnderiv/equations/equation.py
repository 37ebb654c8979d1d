"""What a PDE is to the rest: coordinates, an operator, and its residual."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

from torch import Tensor

from pinnderiv.equations.linear import LinearOperator
from pinnderiv.errors import ArgumentError, ShapeError


class Equation(ABC):
    """A linear PDE L u = f, with L written out by :meth:`operator`.

    Args:
        space: names of the coordinates of space, in the order of the columns.
        time: whether a column ``t`` follows them.

    Raises:
        ArgumentError: no coordinates, or one name twice.
    """

    def __init__(self, space: Sequence[str], *, time: bool) -> None:
        self.space = (space,) if isinstance(space, str) else tuple(space)
        self.coordinates = (*self.space, "t") if time else self.space
        if not self.space or len(set(self.coordinates)) != len(self.coordinates):
            raise ArgumentError(
                f"space must name each coordinate once, such as ('x', 'y'), without time; got "
                f"{self.space}."
            )

    @abstractmethod
    def operator(self) -> LinearOperator:
        """L, in terms of the coordinates' names."""

    @cached_property
    def time_order(self) -> int:
        """How many initial conditions the equation needs; 0 without time."""
        return self._operator.order("t")

    @cached_property
    def _operator(self) -> LinearOperator:
        return self.operator()

    def apply(self, u: Callable[[Tensor], Tensor], points: Tensor, **options: Any) -> Tensor:
        """L u at the points, by one call of :func:`pinnderiv.linear_operator`.

        Args:
            u: (*batch, D) -> (*batch, M).
            points: (*batch, D), columns in the order of :attr:`coordinates`.
            **options: ``method``, ``chunk_size`` and ``check`` of ``linear_operator``.

        Returns:
            (*batch, M).

        Raises:
            ShapeError: ``points`` has not one column a coordinate.
        """
        if points.shape[-1:] != (len(self.coordinates),):
            raise ShapeError(
                f"points must be (*batch, {len(self.coordinates)}), columns "
                f"({', '.join(self.coordinates)}); got {tuple(points.shape)}."
            )
        return self._operator.apply(u, points, self.coordinates, **options)

    def residual(
        self,
        u: Callable[[Tensor], Tensor],
        points: Tensor,
        source: Tensor | None = None,
        **options: Any,
    ) -> Tensor:
        """L u − f at the points.

        Args:
            u: (*batch, D) -> (*batch, M).
            points: (*batch, D), columns in the order of :attr:`coordinates`.
            source: f, (*batch, M); ``None`` for zero.
            **options: as for :meth:`apply`.

        Returns:
            (*batch, M).

        Raises:
            ShapeError: ``points`` or ``source`` has another shape.
        """
        applied = self.apply(u, points, **options)
        if source is None:
            return applied
        if source.shape != applied.shape:
            # (N, M) − (N,) would broadcast to a matrix without complaint.
            raise ShapeError(
                f"source must be {tuple(applied.shape)}, one value a point and output; got "
                f"{tuple(source.shape)}."
            )
        return applied - source


def positive_number(name: str, value: float) -> float:
    """Requires a finite number above zero.

    Raises:
        ArgumentError: it is not; names it.
    """
    try:
        number = float(value)
    except (TypeError, ValueError) as error:
        raise ArgumentError(f"{name} must be a number above zero; got {value!r}.") from error
    if not (math.isfinite(number) and number > 0):
        raise ArgumentError(f"{name} must be a finite number above zero; got {value!r}.")
    return number
