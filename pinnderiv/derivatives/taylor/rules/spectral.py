"""Fourier transforms and complex numbers."""

# ruff: noqa: D103 - a rule is named after its function and is a formula
from __future__ import annotations

from typing import Any

import torch

from pinnderiv.derivatives.taylor.algebra import composite, linear

_TRANSFORMS = (
    "fft ifft rfft irfft hfft ihfft fft2 ifft2 rfft2 irfft2 fftn ifftn rfftn irfftn hfft2 ihfft2 "
    "hfftn ihfftn fftshift ifftshift"
)
linear(*(getattr(torch.fft, name) for name in _TRANSFORMS.split()))


@composite("angle")
def angle(z: Any) -> Any:
    if z.is_complex():
        return torch.atan2(torch.imag(z), torch.real(z))
    return torch.angle(z.detach())


@composite("polar")
def polar(size: Any, phase: Any) -> Any:
    return torch.complex(size * torch.cos(phase), size * torch.sin(phase))
