"""Operations whose derivatives in PyTorch are known to be wrong, without any error.

Found by comparing every engine with finite differences and with each other over PyTorch's
own operator database and some 400 functions (torch 2.13, float64). Spot checks find most
of them anew; the table is for those that are wrong only at points that a spot check does
not meet, and for naming the operation.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Entry:
    """What is wrong with an operation.

    Attributes:
        from_order: the lowest order of differentiation that is wrong; a gradient taken of
            the result, in training, counts as one more order.
        reason: why, in a clause.
    """

    from_order: int
    reason: str


_DROPPED = "PyTorch's formula treats a saved intermediate as a constant"
_NONE = "PyTorch has no derivative for it and returns zero"

_NO_DERIVATIVE = """
airy_ai bessel_j0 bessel_j1 bessel_y0 bessel_y1 modified_bessel_i0 modified_bessel_i1
modified_bessel_k0 modified_bessel_k1 scaled_modified_bessel_k0 scaled_modified_bessel_k1
spherical_bessel_j0 chebyshev_polynomial_t chebyshev_polynomial_u chebyshev_polynomial_v
chebyshev_polynomial_w hermite_polynomial_h hermite_polynomial_he laguerre_polynomial_l
legendre_polynomial_p shifted_chebyshev_polynomial_t shifted_chebyshev_polynomial_u
shifted_chebyshev_polynomial_v shifted_chebyshev_polynomial_w
"""

_ANY_ENGINE = {
    **{f"aten.special_{name}": Entry(1, _NONE) for name in _NO_DERIVATIVE.split()},
    "aten.special_i1": Entry(3, "its third derivative is wrong at 0"),
    "aten.native_layer_norm": Entry(3, _DROPPED),
    "aten.native_batch_norm[train]": Entry(3, _DROPPED),
    "aten._native_batch_norm_legit[train]": Entry(3, _DROPPED),
    "aten._batch_norm_with_update": Entry(3, _DROPPED),
    "aten.cudnn_batch_norm[train]": Entry(3, _DROPPED),
}

_FORWARD = {
    "aten.native_layer_norm": Entry(2, _DROPPED),
    "aten.native_batch_norm[train]": Entry(2, _DROPPED),
    "aten._native_batch_norm_legit[train]": Entry(2, _DROPPED),
    "aten._batch_norm_with_update": Entry(2, _DROPPED),
    "aten.cudnn_batch_norm[train]": Entry(2, _DROPPED),
    "aten._linalg_det": Entry(2, _DROPPED),
    "aten._linalg_slogdet": Entry(2, _DROPPED),
    "aten._linalg_solve_ex": Entry(2, _DROPPED),
    "aten.linalg_householder_product": Entry(2, _DROPPED),
    "aten.linalg_eig": Entry(3, "its third derivative is wrong"),
    "aten._linalg_eigh": Entry(3, "its gradient is NaN"),
    "aten.triangular_solve": Entry(2, _DROPPED),
    "aten.cholesky_inverse": Entry(1, "PyTorch's forward formula is wrong"),
    "aten.cumprod": Entry(2, "the formula is wrong where a factor is zero"),
    "aten.prod": Entry(3, "the formula is wrong where a factor is zero"),
    "aten.linalg_vector_norm": Entry(2, "the formula drops a term where the vector is zero"),
    "aten.norm": Entry(2, "the formula drops a term where the vector is zero"),
    "aten.sinc": Entry(2, "the second derivative at 0 comes out as 0 and not as −π²/3"),
    "aten.scatter_reduce": Entry(1, "PyTorch's forward formula for products is wrong"),
}

KNOWN_WRONG: dict[str, dict[str, Entry]] = {
    "nested": {**_ANY_ENGINE, **_FORWARD},
    "reverse": {
        **_ANY_ENGINE,
        "aten.as_strided_scatter": Entry(1, "PyTorch's reverse formula is wrong"),
    },
}
"""Engine → ATen operation → what is wrong with it."""
