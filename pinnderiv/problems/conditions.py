"""Conditions: what is known of the solution on a piece of the boundary, or at given points.

All but :class:`Relation` are linear in u: B u = g, with B and g known at each point. What is known
at the points (g, coefficients, normals) is computed once, when the points are drawn, and handed
back as ``data``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch
from torch import Tensor

from pinnderiv.derivatives import linear_operator, partial
from pinnderiv.domains import Domain
from pinnderiv.equations import Equation
from pinnderiv.errors import ArgumentError, ShapeError

Field = Callable[[Tensor], Tensor]
"""A function of the coordinates, (N, D) -> (N, 1)."""


@dataclass(frozen=True)
class AnyCondition(ABC):
    """What every kind of condition can do.

    Attributes:
        name: of the loss term.
        piece: the piece of the boundary where it holds.
        weight: the factor on the mean square of its error that a run takes unless told another.
        surface: the domain of whose boundary ``piece`` is; ``None`` for that of the problem.
    """

    name: str
    piece: str
    weight: float = field(default=1.0, kw_only=True)
    surface: Domain | None = field(default=None, kw_only=True)

    # whether B can be applied to many outputs at once, each as a solution of its own
    columnwise: ClassVar[bool] = True
    # whether g is the first column of its data
    splits: ClassVar[bool] = True
    # whether the outward normals are part of its data
    needs_normals: ClassVar[bool] = False

    @property
    def linear(self) -> bool:
        """Whether it is B u = g."""
        return True

    @property
    def periodic_axis(self) -> int | None:
        """Column along which the condition makes u periodic, where it is of that kind."""
        return None

    @property
    def place(self) -> str:
        """A key for its points: conditions on one piece of the problem's domain share them."""
        own = self.surface is not None or self.points is not None
        return self.name if own else self.piece

    @property
    def points(self) -> Tensor | None:
        """Where it holds, (N, D) float64, if that is a fixed set of points; else ``None``."""
        return None

    def components(self, outputs: int) -> int:
        """How many residuals it has at a point, of a solution with so many outputs."""
        return outputs if getattr(self, "output", 0) is None else 1

    @abstractmethod
    def data(self, points: Tensor, normals: Tensor | None = None) -> Tensor:
        """What is known at points (N, D), as columns (N, K); without a graph.

        Args:
            points: (N, D).
            normals: outward unit normals there, (N, D); with :attr:`needs_normals`.
        """

    @abstractmethod
    def residual(
        self, u: Field, points: Tensor, data: Tensor | None = None, **options: Any
    ) -> Tensor:
        """B u − g at the points, (N, R).

        Args:
            u: (N, D) -> (N, M).
            points: (N, D).
            data: of these points, see :meth:`data`.
            **options: ``method``, ``chunk_size`` and ``check`` of :mod:`pinnderiv.derivatives`.
        """

    def apply(self, u: Field, points: Tensor, data: Tensor, **options: Any) -> Tensor:
        """B u for each output of u alone, (N, D) -> (N, M).

        Raises:
            ArgumentError: the condition is not of that kind.
        """
        raise ArgumentError(f"condition {self.name!r} cannot be applied to outputs one by one.")

    def target(self, data: Tensor) -> Tensor:
        """g at the points of ``data``, (N, 1)."""
        return data[:, :1]


@dataclass(frozen=True)
class Condition(AnyCondition):
    """∂^partial u = value on a piece of the boundary.

    Attributes:
        partial: columns to differentiate by; ``()`` for u itself, ``(time_axis,)`` for u_t.
        value: the right-hand side, (N, D) -> (N, 1).
        output: which output of u.
    """

    partial: tuple[int, ...]
    value: Field
    output: int | None = field(default=0, kw_only=True)

    def data(self, points: Tensor, normals: Tensor | None = None) -> Tensor:
        return self.value(points).detach()

    def apply(self, u: Field, points: Tensor, data: Tensor, **options: Any) -> Tensor:
        return partial(u, self.partial, **options)(points) if self.partial else u(points)

    def residual(
        self, u: Field, points: Tensor, data: Tensor | None = None, **options: Any
    ) -> Tensor:
        """∂^partial u − value at points of the piece, (N, 1).

        Raises:
            ShapeError: value and u differ in shape.
        """
        wanted = self.value(points) if data is None else data
        found = _column(self.apply(u, points, wanted, **options), self.output)
        if self.output is None:
            wanted = wanted.expand_as(found)
        if found.shape != wanted.shape:
            raise ShapeError(
                f"condition {self.name!r}: the value must be {tuple(found.shape)} like u; got "
                f"{tuple(wanted.shape)}."
            )
        return found - wanted


@dataclass(frozen=True)
class Flux(AnyCondition):
    """α u + β ∂u/∂n = value on a piece of the boundary, n the outward normal.

    Neumann's condition with α = 0, Robin's with both.

    Attributes:
        value: g, (N, D) -> (N, 1); ``None`` takes α u + β ∂u/∂n of ``solution``.
        zeroth: α, (N, D) -> (N, 1); ``None`` for zero.
        normal: β, (N, D) -> (N, 1); ``None`` for one.
        output: which output of u.
        solution: the exact solution for that output, (N, D) -> (N, 1).
    """

    value: Field | None
    zeroth: Field | None = None
    normal: Field | None = None
    output: int = 0
    solution: Field | None = None

    needs_normals: ClassVar[bool] = True

    def data(self, points: Tensor, normals: Tensor | None = None) -> Tensor:
        """Columns g, α and β n."""
        if normals is None:
            raise ArgumentError(f"condition {self.name!r} needs the normals at its points.")
        zeroth = torch.zeros_like(points[:, :1]) if self.zeroth is None else self.zeroth(points)
        along = normals.to(points) if self.normal is None else self.normal(points) * normals
        if self.value is not None:
            value = self.value(points)
        elif self.solution is not None:
            # exact solutions are our own smooth functions: there is nothing to examine in them
            exact = linear_operator(self.solution, first=along, zeroth=zeroth[:, 0], check=False)
            value = exact(points)
        else:
            raise ArgumentError(f"condition {self.name!r} has neither a value nor a solution.")
        return torch.cat([value, zeroth, along], dim=1).detach()

    def apply(self, u: Field, points: Tensor, data: Tensor, **options: Any) -> Tensor:
        zeroth = None if self.zeroth is None else data[:, 1]
        return linear_operator(u, first=data[:, 2:], zeroth=zeroth, **options)(points)

    def residual(
        self, u: Field, points: Tensor, data: Tensor | None = None, **options: Any
    ) -> Tensor:
        """α u + β ∂u/∂n − value, (N, 1); ``data`` must be given."""
        if data is None:
            raise ArgumentError(f"condition {self.name!r} needs the data of its points.")
        found = _column(self.apply(u, points, data, **options), self.output)
        return found - self.target(data)


@dataclass(frozen=True)
class PeriodicCondition(Condition):
    """∂^partial u at the lower end of an axis = ∂^partial u at its upper end.

    Points of the piece are moved along the axis to both ends.

    Attributes:
        axis: column of the axis.
        ends: its lower and upper end.
        output: which output of u; ``None`` for all.
    """

    axis: int
    ends: tuple[float, float]
    output: int | None = field(default=None, kw_only=True)

    @property
    def periodic_axis(self) -> int:
        return self.axis

    def apply(self, u: Field, points: Tensor, data: Tensor, **options: Any) -> Tensor:
        lower, upper = (self._moved(points, end) for end in self.ends)
        at_lower = super().apply(u, lower, data, **options)
        return at_lower - super().apply(u, upper, data, **options)

    def _moved(self, points: Tensor, end: float) -> Tensor:
        # not in place: points may be a row inside vmap
        at_end = torch.full_like(points[:, :1], end)
        return torch.cat([points[:, : self.axis], at_end, points[:, self.axis + 1 :]], dim=1)


@dataclass(frozen=True, eq=False)
class Observations(AnyCondition):
    """u = value at given points: measurements, or values on an inner curve.

    Attributes:
        at: the points, (N, D) float64.
        values: what was observed there, (N, 1) float64.
        output: which output of u.
    """

    at: Tensor
    values: Tensor
    output: int = 0

    @property
    def points(self) -> Tensor:
        return self.at

    def data(self, points: Tensor, normals: Tensor | None = None) -> Tensor:
        return self.values.to(points)

    def apply(self, u: Field, points: Tensor, data: Tensor, **options: Any) -> Tensor:
        return u(points)

    def residual(
        self, u: Field, points: Tensor, data: Tensor | None = None, **options: Any
    ) -> Tensor:
        """u − value at the observed points, (N, 1)."""
        wanted = self.data(points) if data is None else data
        return _column(u(points), self.output) - wanted


@dataclass(frozen=True)
class Relation(AnyCondition):
    """An equation among the outputs and their derivatives that holds on a piece.

    Attributes:
        equation: its coordinates are those of the problem, and the components of the outward
            normal after them where ``with_normals``.
        with_normals: whether the equation speaks of the normal.
    """

    equation: Equation
    with_normals: bool = False

    columnwise: ClassVar[bool] = False
    splits: ClassVar[bool] = False

    @property
    def linear(self) -> bool:
        return self.equation.linear

    def components(self, outputs: int) -> int:
        return self.equation.count

    @property
    def needs_normals(self) -> bool:  # type: ignore[override]
        return self.with_normals

    def data(self, points: Tensor, normals: Tensor | None = None) -> Tensor:
        """The normals, or no columns."""
        return points[:, :0] if normals is None else normals.to(points)

    def residual(
        self, u: Field, points: Tensor, data: Tensor | None = None, **options: Any
    ) -> Tensor:
        """The residual of the equation, (N, number of equations)."""
        if not self.with_normals:
            return self.equation.residual(u, points, **options)
        if data is None:
            raise ArgumentError(f"condition {self.name!r} needs the normals at its points.")
        return self.equation.residual(
            _Leading(u, points.shape[1]), torch.cat([points, data], dim=1), **options
        )


@dataclass(frozen=True)
class _Leading:
    """u as a function of more columns than it looks at."""

    u: Field
    columns: int

    def __call__(self, x: Tensor) -> Tensor:
        return self.u(x[..., : self.columns])


def _column(values: Tensor, output: int | None) -> Tensor:
    """One output's column; all of them for ``None``, or where there is but one."""
    if output is None or (values.shape[-1] == 1 and output == 0):
        return values
    return values[..., output : output + 1]
