"""The rules, by subject. Importing this package registers them."""

from pinnderiv.derivatives.taylor.rules import (  # noqa: F401
    activations,
    arithmetic,
    attention,
    bessel,
    constants,
    convolution,
    joining,
    linalg,
    linear,
    losses,
    normalisation,
    ordering,
    pointwise,
    polynomials,
    recurrent,
    reductions,
    sampling,
    shape,
    special,
    spectral,
)
