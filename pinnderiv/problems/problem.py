"""What a problem is to the rest: an equation, a domain, conditions, and what to measure against."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from pinnderiv.derivatives import partial
from pinnderiv.domains import Domain
from pinnderiv.domains.naming import unknown_name
from pinnderiv.equations import Equation
from pinnderiv.errors import ArgumentError, ShapeError

Field = Callable[[Tensor], Tensor]
"""A function of the coordinates, (N, D) -> (N, 1)."""


@dataclass(frozen=True)
class Condition:
    """∂^partial u = value on a piece of the boundary.

    Attributes:
        name: of the loss term.
        piece: the piece of the domain's boundary where it holds.
        partial: columns to differentiate by; ``()`` for u itself, ``(time_axis,)`` for u_t.
        value: the right-hand side, (N, D) -> (N, 1).
    """

    name: str
    piece: str
    partial: tuple[int, ...]
    value: Field

    @property
    def periodic_axis(self) -> int | None:
        """Column along which the condition makes u periodic, where it is of that kind."""
        return None

    def residual(
        self, u: Field, points: Tensor, value: Tensor | None = None, **options: Any
    ) -> Tensor:
        """∂^partial u − value at points of the piece.

        Args:
            u: (N, D) -> (N, M).
            points: (N, D).
            value: what :attr:`value` is at the points, where that is known already.
            **options: ``method``, ``chunk_size`` and ``check`` of :func:`pinnderiv.partial`.

        Returns:
            (N, M).

        Raises:
            ShapeError: value and u differ in shape.
        """
        found = partial(u, self.partial, **options)(points) if self.partial else u(points)
        wanted = self.value(points) if value is None else value
        if found.shape != wanted.shape:
            raise ShapeError(
                f"condition {self.name!r}: the value must be {tuple(found.shape)} like u; got "
                f"{tuple(wanted.shape)}."
            )
        return found - wanted


@dataclass(frozen=True, eq=False)
class Problem:
    """An equation on a domain, its conditions, and the exact solution.

    The source term follows from the exact solution by :mod:`pinnderiv.derivatives`
    and is written down nowhere.

    Attributes:
        name: identifies the problem in results, such as ``"heat"``.
        title: what figures are headed with.
        domain: where the equation holds; columns in the order of ``coordinates``.
        equation: the PDE.
        solution: the exact solution, (*batch, D) -> (*batch, 1), differentiable.
        conditions: boundary and initial conditions, names all different.
        homogeneous: whether ``solution`` solves the equation without a source.
        outputs: names of the unknowns.
        reference: where the problem comes from.

    Raises:
        ArgumentError: domain and coordinates differ in number, a condition is on
            a piece that the domain does not have, or two have the same name.
    """

    name: str
    title: str
    domain: Domain
    equation: Equation
    solution: Field
    conditions: tuple[Condition, ...]
    homogeneous: bool = False
    outputs: tuple[str, ...] = ("u",)
    reference: str = ""

    def __post_init__(self) -> None:
        if self.domain.dim != len(self.coordinates):
            raise ArgumentError(
                f"problem {self.name!r}: the equation has the coordinates "
                f"({', '.join(self.coordinates)}), and the domain has {self.domain.dim} columns."
            )
        for condition in self.conditions:
            if condition.piece not in self.domain.pieces:
                raise unknown_name(
                    f"piece (of condition {condition.name!r})", condition.piece, self.domain.pieces
                )
        names = [condition.name for condition in self.conditions]
        if len(set(names)) < len(names):
            raise ArgumentError(
                f"problem {self.name!r}: conditions need names that differ, since each is a loss "
                f"term of its own; got {names}."
            )

    @property
    def coordinates(self) -> tuple[str, ...]:
        """Names of the columns, time last."""
        return self.equation.coordinates

    @property
    def periodic_axes(self) -> tuple[int, ...]:
        """Columns along which conditions make u periodic."""
        axes = {condition.periodic_axis for condition in self.conditions}
        return tuple(sorted(axis for axis in axes if axis is not None))

    def exact(self, x: Tensor) -> Tensor:
        """The exact solution, (*batch, D) -> (*batch, 1)."""
        return self.solution(x)

    def source(self, x: Tensor) -> Tensor:
        """f = L u of the exact solution u, in float64 whatever the dtype of ``x``.

        Args:
            x: (*batch, D).

        Returns:
            (*batch, 1), in the dtype of ``x``.
        """
        if self.homogeneous:
            return torch.zeros_like(x[..., :1])
        # Second derivatives in float32 would put 1e-4 of noise into the right-hand side. The
        # solution is our own smooth function, so there is nothing to examine in it.
        return self.equation.apply(self.solution, x.double(), check=False).to(x.dtype)

    def residual(self, u: Field, x: Tensor, source: Tensor | None = None, **options: Any) -> Tensor:
        """L u − f.

        Args:
            u: (N, D) -> (N, 1).
            x: (N, D).
            source: f at the points, where that is known already; it does not
                change while the points do not.
            **options: ``method``, ``chunk_size`` and ``check`` of
                :func:`pinnderiv.linear_operator`.

        Returns:
            (N, 1).
        """
        if source is None and not self.homogeneous:
            source = self.source(x)
        return self.equation.residual(u, x, source, **options)

    def constraint(self) -> dict[str, Any]:
        """The arguments of :class:`pinnderiv.networks.HardConstraint` after the network.

        ``HardConstraint(network, **problem.constraint())`` fulfils every
        condition exactly, on a box.

        Returns:
            ``lower``, ``upper``, ``value``, ``time_axis``, ``time_order``, ``velocity`` and
            ``periodic``: the columns along which the network must be periodic itself.

        Raises:
            ArgumentError: some piece of the boundary has no values, or the
                values on different pieces come from different functions.
        """
        given = [c for c in self.conditions if c.periodic_axis is None]
        values = {c.piece: c.value for c in given if c.partial == ()}
        rates = [c.value for c in self.conditions if c.partial == (self.domain.time_axis,)]
        bare = set(self.domain.pieces) - set(values)
        if set(self.periodic_axes) == set(range(self.domain.dim)) - {self.domain.time_axis}:
            bare -= {c.piece for c in self.conditions if c.periodic_axis is not None}
        if bare or len({id(value) for value in values.values()}) != 1:
            raise ArgumentError(
                f"problem {self.name!r} has no one function with the values of u on all of its "
                f"boundary, so they cannot be built into the network "
                f"(pieces without values: {sorted(bare) or 'none'}). Use loss terms."
            )
        return {
            "lower": self.domain.lower,
            "upper": self.domain.upper,
            "value": next(iter(values.values())),
            "time_axis": self.domain.time_axis,
            "time_order": self.equation.time_order,
            "velocity": rates[0] if rates else None,
            "periodic": self.periodic_axes,
        }
