"""Activations by name."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from pinnderiv.networks.options import unknown_option

Activation = Callable[[Tensor], Tensor]


def softplus(x: Tensor) -> Tensor:
    """log(1 + eˣ), elementwise.

    torch goes over to the identity at x = 20, a jump of 2e-9 that a second
    derivative in float64 sees; at 40 the jump is below rounding.
    """
    return F.softplus(x, threshold=40.0)


ACTIVATIONS: dict[str, Activation] = {
    "tanh": torch.tanh,
    "sin": torch.sin,
    "gelu": F.gelu,
    "silu": F.silu,
    "swish": F.silu,
    "softplus": softplus,
    "mish": F.mish,
    "sigmoid": torch.sigmoid,
    "relu": torch.relu,
}

PIECEWISE_LINEAR = frozenset({"relu"})


def activation_function(activation: str | Activation) -> Activation:
    """Looks an activation up; a function is passed through.

    Args:
        activation: a name of ``ACTIVATIONS``, or an elementwise function.

    Returns:
        The elementwise function.

    Raises:
        ArgumentError: no activation has that name.

    Warns:
        UserWarning: the activation is piecewise linear.
    """
    if callable(activation):
        return activation
    if activation not in ACTIVATIONS:
        raise unknown_option("activation", activation, ACTIVATIONS)
    if activation in PIECEWISE_LINEAR:
        warnings.warn(
            f"the second derivative of {activation} is zero almost everywhere, so a network made "
            "of it cannot learn a PDE of second order; take tanh, sin, gelu or silu.",
            UserWarning,
            stacklevel=3,
        )
    return ACTIVATIONS[activation]
