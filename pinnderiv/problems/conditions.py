"""The conditions that make an exact solution the only one."""

from __future__ import annotations

from dataclasses import dataclass

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
