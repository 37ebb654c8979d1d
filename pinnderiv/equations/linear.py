"""Linear differential operators as algebra: ``d_tt - c**2 * laplace(("x", "y"))``."""

from __future__ import annotations

import math
import numbers
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from pinnderiv.derivatives import linear_operator
from pinnderiv.errors import ArgumentError

Term = tuple[str, ...]
"""Coordinates to differentiate by, sorted: ``("x", "x")`` is ∂²/∂x², ``()`` the identity."""

MAX_ORDER = 2


class LinearOperator:
    """Σ_α c_α ∂^α with constant coefficients, of second order or less.

    Operators add, subtract, and multiply or divide by numbers. They know
    coordinates by name, and columns only once :meth:`apply` is told the names
    of the columns.

    Args:
        terms: the coefficient of each derivative.

    Raises:
        ArgumentError: a coefficient is not finite, or a derivative is of third
            order or more.
    """

    def __init__(self, terms: Mapping[Term, float]) -> None:
        self.terms: dict[Term, float] = {}
        for term, coefficient in terms.items():
            if len(term) > MAX_ORDER:
                raise ArgumentError(
                    f"a LinearOperator is of second order or less; got the derivative by {term}."
                )
            if not math.isfinite(coefficient):
                raise ArgumentError(
                    f"the coefficient of the derivative by {term} is {coefficient}."
                )
            key = tuple(sorted(term))
            self.terms[key] = self.terms.get(key, 0.0) + float(coefficient)

    def __repr__(self) -> str:
        parts = [f"{c:+g}" + (f" d_{''.join(t)}" if t else "") for t, c in self.terms.items()]
        return f"LinearOperator({' '.join(parts)})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, LinearOperator) and self.terms == other.terms

    __hash__ = None  # type: ignore[assignment]

    def __add__(self, other: LinearOperator) -> LinearOperator:
        if not isinstance(other, LinearOperator):
            return NotImplemented
        terms = dict(self.terms)
        for term, coefficient in other.terms.items():
            terms[term] = terms.get(term, 0.0) + coefficient
        return LinearOperator(terms)

    def __sub__(self, other: LinearOperator) -> LinearOperator:
        return self + -other

    def __neg__(self) -> LinearOperator:
        return self * -1.0

    def __mul__(self, factor: float) -> LinearOperator:
        if not isinstance(factor, numbers.Real):
            return NotImplemented
        return LinearOperator({term: c * float(factor) for term, c in self.terms.items()})

    __rmul__ = __mul__

    def __truediv__(self, divisor: float) -> LinearOperator:
        return self * (1 / divisor)

    def order(self, coordinate: str) -> int:
        """The highest number of derivatives by one coordinate in any term."""
        return max((term.count(coordinate) for term in self.terms), default=0)

    def apply(
        self,
        u: Callable[[Tensor], Tensor],
        points: Tensor,
        coordinates: Sequence[str],
        **options: Any,
    ) -> Tensor:
        """The operator of ``u`` at the points, all terms out of one pass.

        Args:
            u: (*batch, D) -> (*batch, M).
            points: (*batch, D).
            coordinates: the name of each column.
            **options: ``method``, ``chunk_size`` and ``check`` of
                :func:`pinnderiv.linear_operator`.

        Returns:
            (*batch, M).

        Raises:
            ArgumentError: the operator differentiates by a coordinate that is
                not among ``coordinates``.
        """
        coefficients = self._coefficients(tuple(coordinates))
        tensors: dict[str, Any] = {
            name: torch.tensor(values, dtype=points.dtype, device=points.device)
            for name, values in coefficients.items()
        }
        return linear_operator(u, **tensors, **options)(points)

    def _coefficients(self, coordinates: tuple[str, ...]) -> dict[str, Any]:
        """The arguments of ``linear_operator`` that are not zero, as nested lists."""
        unknown = {name for term in self.terms for name in term} - set(coordinates)
        if unknown:
            raise ArgumentError(
                f"the operator differentiates by {sorted(unknown)}, and the coordinates are "
                f"{list(coordinates)}."
            )
        size = len(coordinates)
        zeroth, first, second = 0.0, [0.0] * size, [0.0] * size
        matrix = [[0.0] * size for _ in range(size)]
        for term, coefficient in self.terms.items():
            columns = [coordinates.index(name) for name in term]
            match columns:
                case []:
                    zeroth += coefficient
                case [i]:
                    first[i] += coefficient
                case [i, j] if i == j:
                    second[i] += coefficient
                case [i, j]:
                    # tr(A H) meets the mixed derivative twice.
                    matrix[i][j] += coefficient / 2
                    matrix[j][i] += coefficient / 2
        found: dict[str, Any] = {
            "second": second if any(second) else None,
            "matrix": matrix if any(map(any, matrix)) else None,
            "first": first if any(first) else None,
            "zeroth": zeroth if zeroth else None,
        }
        return {name: values for name, values in found.items() if values is not None}


def d(*coordinates: str) -> LinearOperator:
    """The derivative by each of the coordinates in turn: ``d("t", "t")`` is ∂²/∂t²."""
    return LinearOperator({coordinates: 1.0})


def laplace(space: Sequence[str], weights: Sequence[float] | None = None) -> LinearOperator:
    """Σ_i w_i ∂²/∂x_i² over the coordinates ``space``, with all weights one by default.

    Raises:
        ArgumentError: there is not one weight a coordinate.
    """
    values = [1.0] * len(space) if weights is None else list(weights)
    if len(values) != len(space):
        raise ArgumentError(f"{len(space)} coordinates need as many weights; got {len(values)}.")
    return LinearOperator({(x, x): w for x, w in zip(space, values, strict=True)})


d_t = d("t")
d_tt = d("t", "t")
