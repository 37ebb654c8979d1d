"""The conditions that make an exact solution the only one."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from pinnderiv.derivatives import partial
from pinnderiv.domains import Domain
from pinnderiv.equations import Equation
from pinnderiv.problems.conditions import Condition, Field, PeriodicCondition


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
        PeriodicCondition(name + equation.coordinates[axis], "walls", columns, zero, axis, ends)
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
    conditions = [Condition("walls", "walls", (), solution, weight=100.0)]
    if domain.time_axis is not None:
        conditions.append(Condition("initial", "initial", (), solution, weight=100.0))
        if equation.time_order == 2:
            column = (domain.time_axis,)
            conditions.append(
                Condition(
                    "initial_velocity", "initial", column, Rate(solution, column), weight=10.0
                )
            )
    return tuple(conditions)
