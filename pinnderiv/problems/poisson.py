"""Poisson problems, −Δu = f."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import torch

from pinnderiv.equations import Poisson
from pinnderiv.problems.cases import Case, Numbers, Setting, assemble, coordinate_names
from pinnderiv.problems.choices import Frequencies, choose
from pinnderiv.problems.conditions import Field
from pinnderiv.problems.problem import Problem
from pinnderiv.problems.solutions import (
    AxisSum,
    Elementwise,
    Mode,
    PairProducts,
    SineProduct,
    Superposition,
)


def _sine_products(setting: Setting, equation: Poisson) -> Field:
    """Σ_j a_j ∏_i sin(k_i (x_i − lower_i)), zero on the walls for whole half-waves."""
    return Superposition(
        tuple(
            Mode(amplitude, SineProduct(k, setting.box.lower))
            for amplitude, k in setting.modes_across_box()
        )
    )


def _axis_sums(function: Elementwise, setting: Setting, equation: Poisson) -> Field:
    """Σ_j a_j Σ_i g(k_i x_i)."""
    return Superposition(
        tuple(Mode(amplitude, AxisSum(function, k)) for amplitude, k in setting.modes_per_unit())
    )


def _pair_products(setting: Setting, equation: Poisson) -> Field:
    return PairProducts()


def _sum_of_squares(setting: Setting, equation: Poisson) -> Field:
    """Σ_i x_i²."""
    return AxisSum(torch.square, (1.0,) * setting.box.dim)


# Of space: as far as the problem is tried out. A case that is made for more goes further.
MOST_DIMENSIONS = 10

POISSON_CASES: dict[str, Case[Poisson]] = {
    "poisson": Case(
        dimension=2,
        solution=_sine_products,
        frequencies=(1, 2),
        amplitudes=(1.0, 0.5),
        reference="manufactured solution, two products of sines",
    ),
    "poisson2d_engd": Case(
        dimension=2,
        solution=_sine_products,
        fixed_dimension=True,
        reference="Müller & Zeinhofer 2023 (ENGD), Poisson equation in 2 dimensions",
    ),
    "poisson_nd": Case(
        dimension=5,
        solution=partial(_axis_sums, torch.sin),
        frequencies=(0.5,),
        reference="Hao et al. 2023 (PINNacle), PoissonNd",
    ),
    "poisson5d_cos": Case(
        dimension=5,
        solution=partial(_axis_sums, torch.cos),
        fixed_dimension=True,
        reference="Müller & Zeinhofer 2023 (ENGD), Poisson equation in 5 dimensions",
    ),
    "poisson10d": Case(
        dimension=10,
        solution=_pair_products,
        frequencies=(),
        amplitudes=(),
        homogeneous=True,
        fixed_dimension=True,
        reference="Dangel et al. 2024 (KFAC for PINNs), Poisson equation in 10 dimensions",
    ),
    "poisson100d": Case(
        dimension=100,
        solution=_sum_of_squares,
        frequencies=(),
        amplitudes=(),
        reference="Dangel et al. 2024 (KFAC for PINNs), Poisson equation in 100 dimensions",
    ),
}


def poisson_case(
    case: str = "poisson",
    dimension: int | None = None,
    frequencies: Frequencies | None = None,
    amplitudes: Sequence[float] | None = None,
    lower: Numbers = 0.0,
    upper: Numbers = 1.0,
) -> Problem:
    """A Poisson problem on a box, with u given on the walls.

    Cases, on the unit box, with the values that ``None`` below stands for:

    * ``poisson``: u = ∏ sin(πx_i) + ½ ∏ sin(2πx_i), 2 dimensions, or 1 to 10.
    * ``poisson2d_engd``: u = sin(πx) sin(πy).
    * ``poisson_nd``: u = Σ sin(πx_i/2), 5 dimensions, or 1 to 10.
    * ``poisson5d_cos``: u = Σ cos(πx_i).
    * ``poisson10d``: u = x_1 x_2 + x_3 x_4 + … + x_9 x_10, without a source.
    * ``poisson100d``: u = Σ x_i², 100 dimensions or fewer.

    Args:
        case: one of the above.
        dimension: coordinates of space.
        frequencies: half-waves, one entry a mode: a number (all axes alike) or a
            list (one an axis). Across the box in the products, per unit of
            length in the sums; ``poisson10d`` and ``poisson100d`` have none.
        amplitudes: one a mode.
        lower: lower corner of the box, one number for all axes or one an axis.
        upper: upper corner, likewise.

    Returns:
        The problem.

    Raises:
        ArgumentError: there is no such case, or a choice does not fit it.
    """
    row, setting = choose(
        POISSON_CASES,
        case,
        dimension=dimension,
        lower=lower,
        upper=upper,
        frequencies=frequencies,
        amplitudes=amplitudes,
        most=MOST_DIMENSIONS,
    )
    equation = Poisson(coordinate_names(setting.box.dim))
    return assemble("Poisson equation", row, setting, equation)
