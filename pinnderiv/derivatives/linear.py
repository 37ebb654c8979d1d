"""Second-order linear operators: their coefficients, checked, and the request they make."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from pinnderiv.derivatives.engine import Engine, Function
from pinnderiv.derivatives.evaluate import Coefficient
from pinnderiv.derivatives.request import (
    Collapsed,
    as_coefficient,
    as_numbers,
    check_symmetric,
    diagonalise,
    directions_first,
)
from pinnderiv.derivatives.transforms import attached, can_look_at_numbers, inside_transform
from pinnderiv.derivatives.work import Work


@dataclass(frozen=True)
class LinearParts:
    """Σ_d w_d ∂²_d + tr(A H) + b·∇ + c with coefficients that fit the points.

    Attributes:
        dims: the columns that ``second`` weighs.
        coefficients: any of "second" ``(K,)``, "matrix" ``(D, D)``, "first" ``(D,)`` and
            "zeroth" ``()``, each also with the batch in front.
        numbers: "second" as Python numbers, where it was given as such.
    """

    dims: tuple[int, ...]
    coefficients: Mapping[str, Coefficient]
    numbers: tuple[float, ...] | None = None

    @classmethod
    def weighted(cls, dims: tuple[int, ...], weights: Any, x: Tensor, check: bool) -> LinearParts:
        """A Laplacian over some columns; ``weights`` None means 1.

        Raises:
            DtypeError, ShapeError, ArgumentError: weights do not fit.
        """
        if weights is None:
            w = torch.ones(len(dims), dtype=x.dtype, device=x.device)
            return cls(dims, {"second": Coefficient(w, 1)}, (1.0,) * len(dims))
        w = as_coefficient(weights, x, (len(dims),), "weights", finite=check)
        return cls(dims, {"second": Coefficient(w, 1)}, as_numbers(weights))

    @classmethod
    def general(
        cls, second: Any, matrix: Any, first: Any, zeroth: Any, x: Tensor, check: bool
    ) -> LinearParts:
        """Whatever parts are given.

        Raises:
            DtypeError, ShapeError, ArgumentError: a coefficient does not fit.
        """
        columns = x.shape[-1]
        dims = tuple(range(columns))
        given: dict[str, Coefficient] = {}
        numbers = None
        if matrix is not None:
            a = as_coefficient(matrix, x, (columns, columns), "matrix", finite=check)
            check_symmetric(a)
            if second is not None:
                w = as_coefficient(second, x, (columns,), "second", finite=check)
                a = a + torch.diag_embed(w)
            given["matrix"] = Coefficient(a, 2)
        elif second is not None:
            w = as_coefficient(second, x, (columns,), "second", finite=check)
            numbers = as_numbers(second)
            dims = _nonzero(w, numbers)
            numbers = None if numbers is None else tuple(numbers[d] for d in dims)
            given["second"] = Coefficient(w[..., list(dims)], 1)
        if first is not None:
            b = as_coefficient(first, x, (columns,), "first", finite=check)
            given["first"] = Coefficient(b, 1)
        if zeroth is not None:
            given["zeroth"] = Coefficient(as_coefficient(zeroth, x, (), "zeroth", finite=check), 0)
        return cls(dims, given, numbers)

    @property
    def work(self) -> Work:
        """Order and number of directions."""
        if "matrix" in self.coefficients:
            return Work.collapsed(self.coefficients["matrix"].value.shape[-1])
        if "second" in self.coefficients and self.dims:
            return Work.collapsed(len(self.dims))
        return Work(1 if "first" in self.coefficients else 0, 1, 1, 0)

    def compute(
        self,
        engine: Engine,
        f: Function,
        x: Tensor,
        *,
        second: Tensor | None = None,
        matrix: Tensor | None = None,
        first: Tensor | None = None,
        zeroth: Tensor | None = None,
    ) -> Mapping[str, Tensor]:
        """The operator on some rows; f(x) under "value", the result under "result"."""
        if matrix is not None:
            directions, weights = diagonalise(matrix)
            request = Collapsed(None, directions, weights, first)
        elif second is not None and self.dims:
            weights = directions_first(second, x)
            request = Collapsed(self.dims, None, weights, first, self.numbers)
        elif first is not None:
            request = Collapsed((), None, x.new_zeros(0), first)
        else:
            value = f(x)
            result = torch.zeros_like(value)
            request = None
        if request is not None:
            value, result = engine.collapsed(f, x, request)
        if zeroth is not None:
            result = result + zeroth.unsqueeze(-1) * value
        return {"value": value, "result": attached(result, value)}


def _nonzero(weights: Tensor, numbers: tuple[float, ...] | None) -> tuple[int, ...]:
    """Columns whose weight is not a constant zero."""
    everything = tuple(range(weights.shape[-1]))
    if numbers is not None:
        return tuple(d for d in everything if numbers[d] != 0)
    # On another device looking would make the host wait; where a gradient is wanted a
    # weight that is zero now still has one.
    fixed = weights.ndim == 1 and weights.device.type == "cpu" and not weights.requires_grad
    if not fixed or inside_transform() or not can_look_at_numbers():
        return everything
    return tuple(d for d in everything if weights[d] != 0)
