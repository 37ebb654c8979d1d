"""What a problem is to the rest: an equation, a domain, conditions, and what to measure against."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from pinnderiv.domains import Box, Domain, SpaceTime, TimeInterval
from pinnderiv.domains.naming import unknown_name
from pinnderiv.equations import Equation
from pinnderiv.errors import ArgumentError
from pinnderiv.problems.conditions import AnyCondition, Field, PeriodicCondition
from pinnderiv.problems.hard import HardPart, hard_part
from pinnderiv.problems.hard_in_time import hard_part_in_time
from pinnderiv.problems.reference import Reference


@dataclass(frozen=True, eq=False)
class Problem:
    """An equation on a domain, its conditions, and what to measure against.

    Unless ``right_hand_side`` is given, the source term follows from the exact solution by
    :mod:`pinnderiv.derivatives` and is written down nowhere.

    Attributes:
        name: identifies the problem in results, such as ``"heat"``.
        title: what figures are headed with.
        domain: where the equation holds; columns in the order of ``coordinates``.
        equation: the PDE, or a system of them.
        solution: the exact solution, (*batch, D) -> (*batch, M), differentiable; ``None`` where
            it is not known.
        conditions: boundary and initial conditions, names all different.
        homogeneous: whether the equation has no source.
        outputs: names of the unknowns.
        reference: where the problem comes from.
        right_hand_side: the source term, (N, D) -> (N, number of equations).
        measured: values to measure against where there is no ``solution``.

    Raises:
        ArgumentError: domain and coordinates differ in number, a condition is on
            a piece that the domain does not have, or two have the same name.
    """

    name: str
    title: str
    domain: Domain
    equation: Equation
    solution: Field | None
    conditions: tuple[AnyCondition, ...]
    homogeneous: bool = False
    outputs: tuple[str, ...] = ("u",)
    reference: str = ""
    right_hand_side: Field | None = None
    measured: Reference | None = None

    def __post_init__(self) -> None:
        if self.domain.dim != len(self.coordinates):
            raise ArgumentError(
                f"problem {self.name!r}: the equation has the coordinates "
                f"({', '.join(self.coordinates)}), and the domain has {self.domain.dim} columns."
            )
        for condition in self.conditions:
            names = (condition.surface or self.domain).names
            if condition.points is None and condition.piece not in names:
                raise unknown_name(
                    f"piece (of condition {condition.name!r})", condition.piece, names
                )
        named = [condition.name for condition in self.conditions]
        if len(set(named)) < len(named):
            raise ArgumentError(
                f"problem {self.name!r}: conditions need names that differ, since each is a loss "
                f"term of its own; got {named}."
            )

    @property
    def coordinates(self) -> tuple[str, ...]:
        """Names of the columns, time last."""
        return self.equation.coordinates

    @property
    def periodic_axes(self) -> tuple[int, ...]:
        """Columns along which conditions make all of u periodic."""
        whole = None if len(self.outputs) > 1 else 0
        axes = {
            each.axis
            for each in self.conditions
            if isinstance(each, PeriodicCondition) and each.output in (None, whole)
        }
        return tuple(sorted(axes))

    def exact(self, x: Tensor) -> Tensor:
        """The exact solution, (*batch, D) -> (*batch, M).

        Raises:
            ArgumentError: it is not known.
        """
        if self.solution is None:
            raise ArgumentError(f"problem {self.name!r} has no exact solution.")
        return self.solution(x)

    def source(self, x: Tensor) -> Tensor:
        """f of L u = f, in float64 whatever the dtype of ``x``.

        Args:
            x: (N, D).

        Returns:
            (N, number of equations), in the dtype of ``x``.
        """
        if self.right_hand_side is not None:
            return self.right_hand_side(x.double()).detach().to(x.dtype)
        if self.homogeneous or self.solution is None:
            return torch.zeros_like(x[..., :1]).expand(*x.shape[:-1], self.equation.count)
        # Second derivatives in float32 would put 1e-4 of noise into the right-hand side. The
        # solution is our own smooth function, so there is nothing to examine in it.
        return self.equation.residual(self.solution, x.double(), check=False).to(x.dtype)

    def residual(self, u: Field, x: Tensor, source: Tensor | None = None, **options: Any) -> Tensor:
        """L u − f.

        Args:
            u: (N, D) -> (N, M).
            x: (N, D).
            source: f at the points, where that is known already; it does not
                change while the points do not.
            **options: ``method``, ``chunk_size`` and ``check`` of
                :func:`pinnderiv.linear_operator`.

        Returns:
            (N, number of equations).
        """
        if source is None and not self.homogeneous:
            source = self.source(x)
        return self.equation.residual(u, x, source, **options)

    def constraint(self, output: int = 0) -> dict[str, Any]:
        """The arguments of :class:`pinnderiv.networks.HardConstraint` after the network.

        ``HardConstraint(network, **problem.constraint())`` fulfils those conditions exactly that
        give values of one output, on a box.

        Args:
            output: index of the output.

        Returns:
            ``lower``, ``upper``, ``value``, ``time_axis``, ``time_order`` and ``velocity``, and
            ``periodic`` and ``walls`` where they say anything.

        Raises:
            ArgumentError: there are no such conditions, they contradict each other where they
                meet, or the domain is no box.
        """
        part = self.hard(output)
        if part is None:
            raise ArgumentError(
                f"problem {self.name!r} has no values of {self.outputs[output]} on its boundary, "
                "so there is nothing to build into the network. Use loss terms."
            )
        if part.form != "box":
            raise ArgumentError(
                f"problem {self.name!r}: HardConstraint is for boxes, and this domain is none. "
                "Use DistanceConstraint(network, **problem.hard(output).arguments)."
            )
        return part.arguments

    def hard(self, output: int) -> HardPart | None:
        """What can be built into one output of the network; ``None`` for nothing.

        Raises:
            ArgumentError: conditions contradict each other where they meet, or no smooth distance
                to the boundary is known.
        """
        order = self.equation.order("t", self.outputs[output]) if self._has_time else 0
        if isinstance(self.domain, TimeInterval):
            return hard_part_in_time(self.domain, self.conditions, output, order)
        try:
            return hard_part(self.domain, self.conditions, output, order, self.periodic_axes)
        except ArgumentError as error:
            raise ArgumentError(f"problem {self.name!r}: {error}") from error

    @property
    def on_box(self) -> bool:
        """Whether the domain, in space, is a box, or there is no space."""
        space = self.domain.space if isinstance(self.domain, SpaceTime) else self.domain
        return isinstance(space, Box | TimeInterval)

    @property
    def _has_time(self) -> bool:
        return self.domain.time_axis is not None
