"""The conditions that make an exact solution the only one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import Tensor

from pinnderiv.derivatives import partial
from pinnderiv.domains import Domain
from pinnderiv.equations import Equation
from pinnderiv.problems.problem import Condition, Field


@dataclass(frozen=True)
class Rate:
    """A derivative of a known function, (N, D) -> (N, 1).

    Attributes:
        function: (N, D) -> (N, 1).
        columns: to differentiate by.
    """

    function: Field
    columns: tuple[int, ...]

    def __call__(self, x: Tensor) -> Tensor:
        # Exact solutions are our own smooth functions: there is nothing to examine in them.
        return partial(self.function, self.columns, check=False)(x)


def zero(x: Tensor) -> Tensor:
    """0, (N, D) -> (N, 1)."""
    return x.new_zeros(len(x), 1)


@dataclass(frozen=True)
class PeriodicCondition(Condition):
    """∂^partial u at the lower end of an axis = ∂^partial u at its upper end.

    Points of the piece are moved along the axis to both ends.

    Attributes:
        axis: column of the axis.
        ends: its lower and upper end.
    """

    axis: int
    ends: tuple[float, float]

    @property
    def periodic_axis(self) -> int:
        return self.axis

    def residual(
        self, u: Field, points: Tensor, value: Tensor | None = None, **options: Any
    ) -> Tensor:
        """∂^partial u at the lower end − ∂^partial u at the upper end − value, (N, M)."""
        lower, upper = (self._moved(points, end) for end in self.ends)
        at_lower = super().residual(u, lower, value, **options)
        return at_lower - super().residual(
            u, upper, None if value is None else value.new_zeros(value.shape), **options
        )

    def _moved(self, points: Tensor, end: float) -> Tensor:
        moved = points.clone()
        moved[:, self.axis] = end
        return moved


def periodic_and_initial(
    solution: Field, domain: Domain, equation: Equation
) -> tuple[Condition, ...]:
    """u and its slope across the walls periodic along every axis of space; the start is given.

    Args:
        solution: the exact solution, (N, D) -> (N, 1).
        domain: has the pieces ``"walls"`` and ``"initial"``.
        equation: in time, of second order in space.

    Returns:
        ``periodic_x`` and ``periodic_slope_x`` for each coordinate x, and the initial conditions.
    """
    periodic = [
        PeriodicCondition(name + equation.space[axis], "walls", columns, zero, axis, ends)
        for axis, ends in enumerate(zip(domain.lower, domain.upper, strict=True))
        if axis != domain.time_axis
        for name, columns in (("periodic_", ()), ("periodic_slope_", (axis,)))
    ]
    given = dirichlet_and_initial(solution, domain, equation)
    return (*periodic, *(condition for condition in given if condition.piece != "walls"))


def dirichlet_and_initial(
    solution: Field, domain: Domain, equation: Equation
) -> tuple[Condition, ...]:
    """u on the walls and, with time, u and (second order) u_t at the start.

    Args:
        solution: the exact solution, (N, D) -> (N, 1).
        domain: has the piece ``"walls"``, and ``"initial"`` where there is time.
        equation: says how many initial conditions there must be.

    Returns:
        The conditions ``walls``, ``initial`` and ``initial_velocity``, as many as apply.
    """
    conditions = [Condition("walls", "walls", (), solution)]
    if domain.time_axis is not None:
        conditions.append(Condition("initial", "initial", (), solution))
        if equation.time_order == 2:
            column = (domain.time_axis,)
            conditions.append(
                Condition("initial_velocity", "initial", column, Rate(solution, column))
            )
    return tuple(conditions)
