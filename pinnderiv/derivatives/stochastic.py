"""Estimates of second-order operators from a few random directions, for high dimension.

tr(A H) is the expectation of vᵀ H A v over random directions v with E[v vᵀ] = 1
(Hutchinson, 1989). K directions cost K + 2 channels in Taylor mode, whatever the number of
columns. The estimates are unbiased and differentiable; the directions come from a
``torch.Generator``, so that they can be drawn again.

Samplers of directions:

* ``"rademacher"``: entries ±1, the least variance among independent entries;
* ``"gaussian"``: standard normal entries;
* ``"coordinates"``: unit vectors of random columns, drawn without replacement and scaled;
  the same for all points this is SDGD (Hu et al., 2024), one draw for each point is the
  sparse STDE (Shi et al., 2024).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from pinnderiv.derivatives.engine import Engine, Function
from pinnderiv.derivatives.evaluate import Coefficient, Options, evaluate, points
from pinnderiv.derivatives.operators import Transform
from pinnderiv.derivatives.request import Collapsed, as_coefficient, check_symmetric
from pinnderiv.derivatives.transforms import attached, outside_inference_mode
from pinnderiv.derivatives.work import Work
from pinnderiv.errors import ArgumentError, DtypeError, did_you_mean

SAMPLERS = ("rademacher", "gaussian", "coordinates")


@dataclass(frozen=True)
class Estimate:
    """An estimate with its standard error.

    Attributes:
        value: the estimate, ``(*batch, M)``.
        standard_error: of that estimate, from the scatter of the directions, ``(*batch, M)``.
    """

    value: Tensor
    standard_error: Tensor


def laplacian(
    f: Function,
    samples: int,
    *,
    weights: Any = None,
    sampler: str = "rademacher",
    generator: torch.Generator | None = None,
    per_point: bool = False,
    standard_error: bool = False,
    method: str = "auto",
    chunk_size: int | None = None,
    check: bool = True,
    strict: bool = False,
) -> Transform:
    """An unbiased estimate of Σ_d w_d ∂²f_m/∂x_d².

    Args:
        f: maps ``(*batch, D) -> (*batch, M)``, row by row.
        samples: K, how many directions; at least two for a standard error.
        weights: w of any sign, ``(D,)`` or ``(*batch, D)``; 1 by default.
        sampler: one of `SAMPLERS`.
        generator: draws the directions; the global one of PyTorch by default.
        per_point: draw other directions at each point.
        standard_error: return an :class:`Estimate`.
        method: the engine.
        chunk_size: rows at a time.
        check: examine f first.
        strict: refuse generic treatment in Taylor mode.

    Returns:
        A function of ``x (*batch, D)`` that returns ``(*batch, M)``, or an
        :class:`Estimate`; each call draws directions anew.

    Raises:
        ArgumentError: an unknown sampler, or too few samples.
        PinnderivError: as for the exact operators.
    """
    return _Estimator(
        Options(f, method, chunk_size, check, strict),
        _Draw(samples, sampler, generator, per_point, standard_error),
        second=weights,
        ones=weights is None,
    ).transform()


def linear_operator(
    f: Function,
    samples: int,
    *,
    second: Any = None,
    matrix: Any = None,
    first: Any = None,
    zeroth: Any = None,
    sampler: str = "rademacher",
    generator: torch.Generator | None = None,
    per_point: bool = False,
    standard_error: bool = False,
    method: str = "auto",
    chunk_size: int | None = None,
    check: bool = True,
    strict: bool = False,
) -> Transform:
    """An unbiased estimate of Σ_d w_d ∂²_d f + tr(A H) + b·∇f + c f; b and c exactly.

    Args:
        f: maps ``(*batch, D) -> (*batch, M)``, row by row.
        samples: K, how many directions. Weights of both signs and matrices take two
            directions for each sample.
        second: w of any sign, ``(D,)`` or ``(*batch, D)``.
        matrix: a symmetric A, ``(D, D)`` or ``(*batch, D, D)``, which may be indefinite.
        first: b, ``(D,)`` or ``(*batch, D)``.
        zeroth: c, a number or ``(*batch,)``.
        sampler: one of `SAMPLERS`.
        generator: draws the directions; the global one of PyTorch by default.
        per_point: draw other directions at each point.
        standard_error: return an :class:`Estimate`.
        method: the engine.
        chunk_size: rows at a time.
        check: examine f first.
        strict: refuse generic treatment in Taylor mode.

    Returns:
        A function of ``x (*batch, D)`` that returns ``(*batch, M)``, or an
        :class:`Estimate`; each call draws directions anew.

    Raises:
        ArgumentError: an unknown sampler, too few samples, or no second-order part.
        PinnderivError: as for the exact operators.
    """
    if second is None and matrix is None:
        raise ArgumentError(
            "there is nothing to estimate without second or matrix; for first-order operators "
            "use pinnderiv.linear_operator, which is exact and costs one direction."
        )
    return _Estimator(
        Options(f, method, chunk_size, check, strict),
        _Draw(samples, sampler, generator, per_point, standard_error),
        second=second,
        matrix=matrix,
        first=first,
        zeroth=zeroth,
    ).transform()


@dataclass(frozen=True)
class _Draw:
    """How directions are drawn, checked."""

    samples: int
    sampler: str
    generator: torch.Generator | None
    per_point: bool
    standard_error: bool

    def __post_init__(self) -> None:
        if self.sampler not in SAMPLERS:
            hint = did_you_mean(self.sampler, SAMPLERS)
            raise ArgumentError(f"sampler={self.sampler!r} is unknown; use {SAMPLERS}.{hint}")
        if self.generator is not None and not isinstance(self.generator, torch.Generator):
            raise DtypeError(
                f"generator={self.generator!r} must be a torch.Generator on x.device, such as "
                "torch.Generator(x.device).manual_seed(0)."
            )
        least = 2 if self.standard_error else 1
        if isinstance(self.samples, bool) or not isinstance(self.samples, int):
            raise ArgumentError(f"samples={self.samples!r} must be a whole number of directions.")
        if self.samples < least:
            why = " for a standard error" if self.standard_error else ""
            raise ArgumentError(f"samples={self.samples} must be at least {least}{why}.")

    def directions(self, x: Tensor) -> Tensor:
        """v with E[v vᵀ] = 1, ``(K, D)`` or ``(*batch, K, D)``."""
        columns = x.shape[-1]
        lead = tuple(x.shape[:-1]) if self.per_point else ()
        shape = (*lead, self.samples, columns)
        if self.generator is not None and self.generator.device.type != x.device.type:
            raise ArgumentError(
                f"generator is on {self.generator.device} but x is on {x.device}: generator must "
                "be a torch.Generator on x.device."
            )
        where: dict[str, Any] = {"device": x.device, "generator": self.generator}
        if self.sampler == "gaussian":
            return torch.randn(shape, dtype=x.dtype, **where)
        if self.sampler == "rademacher":
            return torch.randint(0, 2, shape, **where).to(x.dtype) * 2 - 1
        if self.samples > columns:
            raise ArgumentError(
                f"samples={self.samples} columns cannot be drawn without replacement from "
                f"{columns}; the exact operator costs no more: use pinnderiv.laplacian."
            )
        order = torch.rand((*lead, columns), **where).argsort(-1)[..., : self.samples]
        unit = torch.nn.functional.one_hot(order, columns).to(x.dtype)
        return unit * columns**0.5

    def error_of(self, each: Tensor, columns: int) -> Tensor:
        """The standard error of the mean over the last dimension."""
        scatter = each.var(-1) / self.samples
        if self.sampler == "coordinates":
            # Without replacement the error vanishes once every column was drawn.
            scatter = scatter * (1 - self.samples / columns)
        return scatter.clamp(min=0).sqrt()


@dataclass(frozen=True)
class _Estimator:
    options: Options
    draw: _Draw
    second: Any = None
    matrix: Any = None
    first: Any = None
    zeroth: Any = None
    ones: bool = False

    def transform(self) -> Transform:
        @outside_inference_mode
        def apply(x: Tensor) -> Any:
            check = self.options.check
            x = points(x, check)
            left, right = self._factors(x, self.draw.directions(x))
            given = {"left": Coefficient(left, 2)}
            if right is not None:
                given["right"] = Coefficient(right, 2)
            if self.first is not None:
                b = as_coefficient(self.first, x, (x.shape[-1],), "first", finite=check)
                given["first"] = Coefficient(b, 1)
            if self.zeroth is not None:
                c = as_coefficient(self.zeroth, x, (), "zeroth", finite=check)
                given["zeroth"] = Coefficient(c, 0)
            count = self.draw.samples * (1 if right is None else 2)
            found = evaluate(self.options, x, Work.collapsed(count), self._compute, given)
            if self.draw.standard_error:
                return Estimate(found["result"], found["error"])
            return found["result"]

        return apply

    def _factors(self, x: Tensor, v: Tensor) -> tuple[Tensor, Tensor | None]:
        """Directions a and b with tr(A H) = E[aᵀ H a] − E[bᵀ H b]; b None where A ≥ 0."""
        if self.ones:
            return v, None
        check, columns = self.options.check, x.shape[-1]
        image = torch.zeros_like(v)
        if self.second is not None:
            w = as_coefficient(self.second, x, (columns,), "second", finite=check)
            image = image + w.unsqueeze(-2) * v
        if self.matrix is not None:
            a = as_coefficient(self.matrix, x, (columns, columns), "matrix", finite=check)
            check_symmetric(a)
            image = image + v @ a
        # vᵀHu = ¼(v+u)ᵀH(v+u) − ¼(v−u)ᵀH(v−u) with u = Av: smooth in A, of any sign.
        v, image = torch.broadcast_tensors(v, image)
        return (v + image) / 2, (v - image) / 2

    def _compute(
        self,
        engine: Engine,
        f: Function,
        x: Tensor,
        *,
        left: Tensor,
        right: Tensor | None = None,
        first: Tensor | None = None,
        zeroth: Tensor | None = None,
    ) -> Mapping[str, Tensor]:
        samples = self.draw.samples
        rows = left if right is None else torch.cat([left, right], -2)
        sign = x.new_ones(rows.shape[-2])
        sign[samples:] = -1
        found: dict[str, Tensor] = {}
        if self.draw.standard_error:
            # Each direction for itself: second derivatives in the coefficients s of x + s·V.
            origin = x.new_zeros(*x.shape[:-1], rows.shape[-2])
            value, each = engine.second_derivatives(
                lambda s: f(x + (s.unsqueeze(-2) @ rows).squeeze(-2)), origin
            )
            each = each * sign
            if right is not None:
                each = each[..., :samples] + each[..., samples:]
            result = each.mean(-1)
            found["error"] = self.draw.error_of(each, x.shape[-1])
            if first is not None:
                request = Collapsed((), None, x.new_zeros(0), first)
                result = result + engine.collapsed(f, x, request)[1]
        else:
            request = Collapsed(None, rows.movedim(-2, 0), sign / samples, first)
            value, result = engine.collapsed(f, x, request)
        if zeroth is not None:
            result = result + zeroth.unsqueeze(-1) * value
        found = {**found, "result": result}
        return {name: attached(tensor, value) for name, tensor in found.items()}
