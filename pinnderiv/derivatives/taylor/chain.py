"""The chain rule of second order for elementwise functions, y = φ(z):

    y_k = φ′ z_k,        C_y = φ′ C_z + φ″ Q(z),        Q(z) = Σ_k w_k z_k²  (or z_i z_j).

In ordinary eager training it is one ``autograd.Function`` (`fused.py`). Inside torch.func
transforms, torch.compile and passes within passes the formulas are written with ordinary
operations, which those know how to differentiate and to fuse.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor

from pinnderiv.derivatives.taylor import fused
from pinnderiv.derivatives.taylor.channels import product, total
from pinnderiv.derivatives.taylor.run import Run

Formula = Callable[..., tuple[Any, ...]]
"""z -> (φ, φ′, φ″) or (φ, φ′, φ″, a function without arguments that returns φ‴)."""


def compose(
    run: Run,
    formula: Formula,
    z: Any,
    options: tuple[Any, ...],
    keywords: dict[str, Any],
    third: bool = False,
    reuses: bool = False,
) -> Any:
    """The jet of φ(z): ``(value, tangents, curvature)``.

    Args:
        run: the pass.
        formula: φ and its derivatives.
        z: the carrier.
        options, keywords: further arguments of φ.
        third: the formula returns φ‴ too.
        reuses: the formula takes a keyword ``y``, φ(z) where that is known already.
    """
    if third and fused.applies(run, z):

        def bound(v: Tensor, y: Tensor | None = None) -> tuple[Any, ...]:
            if y is not None and reuses:
                return formula(v, *options, y=y, **keywords)
            return formula(v, *options, **keywords)

        return fused.Chain.apply(z.value, z.tangents, z.curvature, bound, run.structure)
    y, first, second = formula(z.value, *options, **keywords)[:3]
    return (y, *apply_derivatives(run, first, second, z.tangents, z.curvature))


def apply_derivatives(run: Run, first: Any, second: Any, tangents: Any, curvature: Any) -> Any:
    """φ′ t and φ′ c + φ″ Q(t), where φ″ is None for piecewise linear functions."""
    if first is None:
        return None, None
    bent = None
    if tangents is not None and second is not None:
        bent = product(second, run.structure.square(tangents))
    return product(first, tangents), total(product(first, curvature), bent)
