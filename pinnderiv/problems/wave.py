"""Wave problems, u_tt = c²Δu + f."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

from pinnderiv.equations import Wave
from pinnderiv.errors import ArgumentError
from pinnderiv.problems.cases import Case, Numbers, Setting, assemble, coordinate_names
from pinnderiv.problems.choices import Frequencies, choose
from pinnderiv.problems.conditions import Field
from pinnderiv.problems.problem import Problem
from pinnderiv.problems.solutions import Mode, PlaneWave, SineProduct, Superposition


def _standing_waves(setting: Setting, equation: Wave) -> Field:
    """Σ_j a_j ∏_i sin(k_i (x_i − lower_i)) cos(c |k| t), at rest at the start."""
    return Superposition(
        tuple(
            Mode(
                amplitude,
                SineProduct(k, setting.box.lower),
                torch.cos,
                equation.speed * math.hypot(*k),
            )
            for amplitude, k in setting.modes_across_box()
        )
    )


def _travelling_waves(setting: Setting, equation: Wave) -> Field:
    """Σ_j a_j sin(k·x − c |k| t): the walls move, and the start does."""
    return Superposition(
        tuple(
            Mode(amplitude, PlaneWave(k, equation.speed * math.hypot(*k)))
            for amplitude, k in setting.modes_per_unit()
        )
    )


def _periodic_waves(setting: Setting, equation: Wave) -> Field:
    """Σ_j a_j sin(k·x − c |k| t) with whole waves across the box."""
    if any(k % 2 for mode in setting.frequencies for k in mode):
        raise ArgumentError(
            f"frequencies of case {setting.name!r} must be even, since they are half-waves and the "
            f"solution repeats over the box; got {[list(mode) for mode in setting.frequencies]}."
        )
    return Superposition(
        tuple(
            Mode(amplitude, PlaneWave(k, equation.speed * math.hypot(*k)))
            for amplitude, k in setting.modes_across_box()
        )
    )


# Of space: as far as the problem is tried out. A case that is made for more goes further.
MOST_DIMENSIONS = 2

WAVE_CASES: dict[str, Case[Wave]] = {
    "wave": Case(
        dimension=1,
        solution=_standing_waves,
        homogeneous=True,
        reference="standing wave",
    ),
    "wave_travelling": Case(
        dimension=1,
        solution=_travelling_waves,
        homogeneous=True,
        reference="plane wave",
    ),
    "wave_periodic": Case(
        dimension=1,
        solution=_periodic_waves,
        frequencies=(2,),
        homogeneous=True,
        periodic=True,
        reference="plane wave on a periodic box",
    ),
    "wave1d_c": Case(
        dimension=1,
        solution=_standing_waves,
        frequencies=(1, 4),
        amplitudes=(1.0, 0.5),
        coefficient=2.0,
        homogeneous=True,
        fixed_dimension=True,
        reference="Hao et al. 2023 (PINNacle), Wave1d-C",
    ),
}


def wave_case(
    case: str = "wave",
    dimension: int | None = None,
    speed: float | None = None,
    frequencies: Frequencies | None = None,
    amplitudes: Sequence[float] | None = None,
    lower: Numbers = 0.0,
    upper: Numbers = 1.0,
    final_time: float | None = None,
) -> Problem:
    """A wave problem on a box, from t = 0, with u and u_t given at the start.

    On the walls u is given, or periodic.

    Cases, on the unit box until t = 1, with the values that ``None`` below stands for:

    * ``wave``: u = ∏ sin(πk x_i) cos(c √d πk t), c = 1, k = 1, d = 1 or 2.
    * ``wave_travelling``: u = sin(πk (Σ x_i − c √d t)), c = 1, k = 1, d = 1 or 2;
      nothing is zero on the walls or at the start.
    * ``wave_periodic``: u = sin(πk (Σ x_i − c √d t)), c = 1, k = 2, d = 1 or 2, periodic.
    * ``wave1d_c``: u_tt = 4 u_xx, u = sin(πx) cos(2πt) + ½ sin(4πx) cos(8πt).

    Args:
        case: one of the above.
        dimension: coordinates of space.
        speed: c in length/time.
        frequencies: half-waves, one entry a mode: a number (all axes alike) or a
            list (one an axis). Per unit of length in ``wave_travelling``, across
            the box in the others.
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
        WAVE_CASES,
        case,
        dimension=dimension,
        lower=lower,
        upper=upper,
        frequencies=frequencies,
        amplitudes=amplitudes,
        most=MOST_DIMENSIONS,
        final_time=final_time,
    )
    c = row.coefficient if speed is None else speed
    equation = Wave(coordinate_names(setting.box.dim), c)
    return assemble("Wave equation", row, setting, equation)
