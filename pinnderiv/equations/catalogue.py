"""Equations by name, each a line that reads like the PDE, with a solution to measure against."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pinnderiv.equations.equation import Equation
from pinnderiv.equations.manufactured import Source, TextSolution, solution_of
from pinnderiv.errors import ArgumentError, did_you_mean


@dataclass(frozen=True)
class Entry:
    """One equation of the catalogue.

    Attributes:
        title: what it is called.
        text: the equations.
        coordinates: names of the columns.
        outputs: names of the unknowns.
        values: parameters, which :meth:`equation` can change.
        solution: of each unknown, in coordinates, parameters and ``auxiliary``.
        auxiliary: numbers and texts that the solution is written with.
        exact: the solution needs no source; otherwise one is made for it (manufactured).
        reference: where the solution comes from.
    """

    title: str
    text: Any
    coordinates: tuple[str, ...]
    outputs: tuple[str, ...]
    solution: tuple[str, ...]
    values: Mapping[str, Any] = field(default_factory=dict)
    auxiliary: Mapping[str, Any] = field(default_factory=dict)
    exact: bool = True
    reference: str = ""

    def equation(self, **values: Any) -> Equation:
        """The equation, with other values for some of its parameters.

        Raises:
            ArgumentError: a value for a parameter that the equation does not have.
        """
        unknown = sorted(set(values) - set(self.values))
        if unknown:
            hint = did_you_mean(unknown[0], self.values)
            raise ArgumentError(
                f"{self.title} has no parameter {unknown[0]!r}; it has {sorted(self.values)}.{hint}"
            )
        return Equation(self.text, self.coordinates, self.outputs, **{**self.values, **values})

    def exact_solution(self, **values: Any) -> TextSolution:
        """The solution for these values of the parameters, (*batch, D) -> (*batch, M)."""
        known = {**self.values, **values, **self.auxiliary}
        return solution_of(self.equation(**values), self.solution, **known)

    def source(self, **values: Any) -> Source | None:
        """The source of a manufactured solution; ``None`` for an exact one."""
        if self.exact:
            return None
        return self.equation(**values).source_for(self.exact_solution(**values))


CATALOGUE: dict[str, Entry] = {
    "advection_diffusion": Entry(
        title="advection–diffusion",
        text="u_t + a*u_x - D*u_xx",
        coordinates=("x", "t"),
        outputs=("u",),
        values={"a": 1.0, "D": 0.05},
        solution=("exp(-D*pi**2*t)*sin(pi*(x - a*t))",),
        reference="a sine that travels with speed a and decays",
    ),
    "helmholtz": Entry(
        title="Helmholtz",
        text="laplacian(u) + k**2*u",
        coordinates=("x", "y"),
        outputs=("u",),
        values={"k": 5.0},
        solution=("sin(k*(0.6*x + 0.8*y)) + cos(k*(0.8*x - 0.6*y))",),
        reference="two plane waves",
    ),
    "klein_gordon": Entry(
        title="Klein–Gordon, cubic",
        text="u_tt - u_xx + m**2*u + g*u**3",
        coordinates=("x", "t"),
        outputs=("u",),
        values={"m": 1.0, "g": -2.0},
        # needs g < 0 < m²; the pulse moves with half the speed of the waves
        solution=("m*sqrt(-2/g)/cosh(m*(x - 0.5*t)/sqrt(0.75))",),
        reference="a solitary wave √(−2/g) m sech(m γ (x − v t)), v = 1/2, γ² = 1/(1 − v²)",
    ),
    "burgers": Entry(
        title="Burgers",
        text="u_t + u*u_x - nu*u_xx",
        coordinates=("x", "t"),
        outputs=("u",),
        values={"nu": 0.05},
        solution=("2*nu*pi*exp(-nu*pi**2*t)*sin(pi*x)/(2 + exp(-nu*pi**2*t)*cos(pi*x))",),
        reference="Cole (1951), Hopf (1950): −2ν φ_x/φ with φ = 2 + exp(−νπ²t) cos πx",
    ),
    "allen_cahn": Entry(
        title="Allen–Cahn",
        text="u_t - D*u_xx - r*(u - u**3)",
        coordinates=("x", "t"),
        outputs=("u",),
        values={"D": 0.01, "r": 1.0},
        solution=("(1 - tanh((x - 3*sqrt(D*r/2)*t)/sqrt(8*D/r)))/2",),
        reference="a travelling front between u = 1 and the unstable state 0",
    ),
    "biharmonic_plate": Entry(
        title="biharmonic plate",
        text="D*biharmonic(w)",
        coordinates=("x", "y"),
        outputs=("w",),
        values={"D": 1.0},
        solution=("sin(pi*x)*sin(pi*y)",),
        exact=False,
        reference="simply supported plate under a load of one sine wave (Navier)",
    ),
    "navier_stokes": Entry(
        title="Navier–Stokes in two dimensions, steady and incompressible",
        text={
            "momentum_x": "u*u_x + v*u_y + p_x - laplacian(u)/Re",
            "momentum_y": "u*v_x + v*v_y + p_y - laplacian(v)/Re",
            "continuity": "div([u, v])",
        },
        coordinates=("x", "y"),
        outputs=("u", "v", "p"),
        values={"Re": 20.0},
        auxiliary={"rate": "Re/2 - sqrt(Re**2/4 + 4*pi**2)"},
        solution=(
            "1 - exp(rate*x)*cos(2*pi*y)",
            "rate/(2*pi)*exp(rate*x)*sin(2*pi*y)",
            "(1 - exp(2*rate*x))/2",
        ),
        reference="Kovasznay (1948)",
    ),
    "maxwell": Entry(
        title="Maxwell in two dimensions, transverse magnetic",
        text={
            "faraday_x": "mu*d(Hx, t) + d(Ez, y)",
            "faraday_y": "mu*d(Hy, t) - d(Ez, x)",
            "ampere": "epsilon*d(Ez, t) - d(Hy, x) + d(Hx, y)",
        },
        coordinates=("x", "y", "t"),
        outputs=("Ez", "Hx", "Hy"),
        values={"epsilon": 1.0, "mu": 1.0},
        auxiliary={"omega": "pi*sqrt(5/(epsilon*mu))"},
        solution=(
            "sin(pi*x)*sin(2*pi*y)*cos(omega*t)",
            "-2*pi/(mu*omega)*sin(pi*x)*cos(2*pi*y)*sin(omega*t)",
            "pi/(mu*omega)*cos(pi*x)*sin(2*pi*y)*sin(omega*t)",
        ),
        reference="a mode of the square cavity with conducting walls",
    ),
}
"""Every equation by its name; heat, wave and Poisson are classes of their own."""
