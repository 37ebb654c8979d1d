"""Heat problems, u_t = κΔu + f."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

from pinnderiv.equations import Heat
from pinnderiv.errors import ArgumentError
from pinnderiv.problems.cases import Case, Numbers, Setting, assemble, coordinate_names
from pinnderiv.problems.choices import Frequencies, choose
from pinnderiv.problems.conditions import Field
from pinnderiv.problems.problem import Problem
from pinnderiv.problems.solutions import AxisSum, Mode, SineProduct, Superposition


def _decaying_sines(setting: Setting, equation: Heat) -> Field:
    """Σ_j a_j ∏_i sin(k_i (x_i − lower_i)) exp(−Σ_i κ_i k_i² t): solutions without a source."""
    modes = []
    for amplitude, k in setting.modes_across_box():
        rate = sum(kappa * k_i**2 for kappa, k_i in zip(equation.diffusivity, k, strict=True))
        modes.append(Mode(amplitude, SineProduct(k, setting.box.lower), torch.exp, -rate))
    return Superposition(tuple(modes))


def _fading_cosines(setting: Setting, equation: Heat) -> Field:
    """Σ_j a_j Σ_i cos(k_i x_i) e^(−t): a source inside, and values on the walls."""
    return Superposition(
        tuple(
            Mode(amplitude, AxisSum(torch.cos, k), torch.exp, -1.0)
            for amplitude, k in setting.modes_per_unit()
        )
    )


# Of space: as far as the problem is tried out. A case that is made for more goes further.
MOST_DIMENSIONS = 3

HEAT_CASES: dict[str, Case[Heat]] = {
    "heat": Case(
        dimension=1,
        solution=_decaying_sines,
        coefficient=0.1,
        homogeneous=True,
        reference="decaying sine",
    ),
    "heat_manufactured": Case(
        dimension=1,
        solution=_fading_cosines,
        reference="manufactured solution",
    ),
    "heat1d_engd": Case(
        dimension=1,
        solution=_decaying_sines,
        coefficient=0.25,
        homogeneous=True,
        fixed_dimension=True,
        reference="Müller & Zeinhofer 2023 (ENGD), heat equation in 1+1 dimensions",
    ),
    "heat2d_ms": Case(
        dimension=2,
        solution=_decaying_sines,
        frequencies=((20, 1),),
        coefficient=(1 / (500 * math.pi) ** 2, 1 / math.pi**2),
        final_time=5.0,
        homogeneous=True,
        fixed_dimension=True,
        reference="Hao et al. 2023 (PINNacle), Heat2d-MS",
    ),
}


def heat_case(
    case: str = "heat",
    dimension: int | None = None,
    diffusivity: Numbers | None = None,
    frequencies: Frequencies | None = None,
    amplitudes: Sequence[float] | None = None,
    lower: Numbers = 0.0,
    upper: Numbers = 1.0,
    final_time: float | None = None,
) -> Problem:
    """A heat problem on a box, from t = 0, with u given on the walls and at the start.

    Cases, on the unit box, with the values that ``None`` below stands for:

    * ``heat``: u = ∏ sin(πk x_i) exp(−κ d (πk)² t), κ = 0.1, k = 1, t ≤ 1, d from 1 to 3.
    * ``heat_manufactured``: u = Σ cos(πk x_i) e^(−t) with its source, κ = 1, k = 1,
      t ≤ 1, 1 to 3 dimensions.
    * ``heat1d_engd``: u_t = ¼ u_xx, u = sin(πx) exp(−π²t/4), t ≤ 1.
    * ``heat2d_ms``: u_t = u_xx/(500π)² + u_yy/π², u = sin(20πx) sin(πy) at t = 0, t ≤ 5.

    Args:
        case: one of the above.
        dimension: coordinates of space.
        diffusivity: κ in length²/time, one number or one an axis.
        frequencies: half-waves, one entry a mode: a number (all axes alike) or a
            list (one an axis). Across the box in the sines, per unit of length
            in ``heat_manufactured``.
        amplitudes: one a mode.
        lower: lower corner of the box, one number for all axes or one an axis.
        upper: upper corner, likewise.
        final_time: the end of time.

    Returns:
        The problem.

    Raises:
        ArgumentError: there is no such case, or a choice does not fit it.
    """
    row, setting = choose(
        HEAT_CASES,
        case,
        dimension=dimension,
        lower=lower,
        upper=upper,
        frequencies=frequencies,
        amplitudes=amplitudes,
        most=MOST_DIMENSIONS,
        final_time=final_time,
    )
    given = diffusivity if isinstance(diffusivity, list | tuple) else [diffusivity]
    if any(isinstance(each, bool) for each in given):
        raise ArgumentError(f"diffusivity must be numbers above zero; got {diffusivity!r}.")
    kappa = row.coefficient if diffusivity is None else diffusivity
    equation = Heat(coordinate_names(setting.box.dim), kappa)
    return assemble("Heat equation", row, setting, equation)
