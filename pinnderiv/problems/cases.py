"""Named cases: what a table of them holds, and how a problem comes of a row."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from pinnderiv.domains import Box, Domain, SpaceTime
from pinnderiv.equations import Equation
from pinnderiv.problems.conditions import Field
from pinnderiv.problems.from_solution import dirichlet_and_initial, periodic_and_initial
from pinnderiv.problems.problem import Problem

Numbers = float | Sequence[float]
"""One number for all axes, or one an axis."""


@dataclass(frozen=True)
class Setting:
    """A case with every choice made: what an exact solution is built from.

    Attributes:
        name: of the problem.
        box: the domain in space.
        final_time: the end of time, which starts at 0; without meaning where
            the equation has no time.
        frequencies: half-waves along each axis, one tuple a mode.
        amplitudes: one a mode.
    """

    name: str
    box: Box
    final_time: float
    frequencies: tuple[tuple[float, ...], ...]
    amplitudes: tuple[float, ...]

    def modes_across_box(self) -> list[tuple[float, tuple[float, ...]]]:
        """Each mode's amplitude and wavenumbers π k/L: k half-waves across the box."""
        widths = self.box.widths
        return [
            (amplitude, tuple(math.pi * k / width for k, width in zip(mode, widths, strict=True)))
            for amplitude, mode in zip(self.amplitudes, self.frequencies, strict=True)
        ]

    def modes_per_unit(self) -> list[tuple[float, tuple[float, ...]]]:
        """Each mode's amplitude and wavenumbers π k: k half-waves per unit of length."""
        return [
            (amplitude, tuple(math.pi * k for k in mode))
            for amplitude, mode in zip(self.amplitudes, self.frequencies, strict=True)
        ]


E = TypeVar("E", bound=Equation)


@dataclass(frozen=True)
class Case(Generic[E]):
    """One row of a table of cases of an equation.

    Attributes:
        dimension: coordinates of space unless the user says otherwise.
        solution: builds the exact solution.
        frequencies: half-waves of each mode, along all axes alike or one an
            axis; empty where the solution has no modes to choose.
        amplitudes: one a mode.
        coefficient: the default of the equation's own coefficient, if it has one.
        final_time: default of the end of time.
        homogeneous: whether the solution needs no source term.
        fixed_dimension: whether the name of the case stands for its dimension.
        periodic: whether the solution repeats over the box, so that nothing is given on its walls.
        reference: where the case comes from.
    """

    dimension: int
    solution: Callable[[Setting, E], Field]
    frequencies: tuple[float | tuple[float, ...], ...] = (1,)
    amplitudes: tuple[float, ...] = (1.0,)
    coefficient: Any = 1.0
    final_time: float = 1.0
    homogeneous: bool = False
    fixed_dimension: bool = False
    periodic: bool = False
    reference: str = ""


def coordinate_names(dimension: int) -> tuple[str, ...]:
    """("x",), ("x", "y"), ("x", "y", "z"), and beyond that ("x1", …, "xd")."""
    if dimension <= 3:
        return ("x", "y", "z")[:dimension]
    return tuple(f"x{axis}" for axis in range(1, dimension + 1))


def assemble(title: str, row: Case[E], setting: Setting, equation: E) -> Problem:
    """The problem of a case, with u given or periodic on the walls, and given at t = 0.

    Args:
        title: what figures are headed with, before the dimension.
        row: the case.
        setting: the choices made.
        equation: in the coordinates of ``setting.box``, and time.

    Returns:
        The problem.
    """
    domain: Domain = setting.box
    if equation.time_order:
        domain = SpaceTime(setting.box, (0.0, setting.final_time))
    solution = row.solution(setting, equation)
    conditions = periodic_and_initial if row.periodic else dirichlet_and_initial
    return Problem(
        name=setting.name,
        title=f"{title}, {setting.box.dim}-d",
        domain=domain,
        equation=equation,
        solution=solution,
        conditions=conditions(solution, domain, equation),
        homogeneous=row.homogeneous,
        reference=row.reference,
    )
