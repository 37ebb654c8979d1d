"""What a residual needs, out of one pass: derivatives by column, and one operator collapsed.

`derivatives` gives each second derivative a channel of its own; `linear_operator` sums them into
one but keeps nothing else. A residual such as u_t + u u_x − ν u_xx wants the sum u_t − ν u_xx and
the slope u_x, and a pass of Taylor mode that carries the tangent along x has both.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from pinnderiv.derivatives.engine import Engine, Function
from pinnderiv.derivatives.evaluate import Coefficient, Options, evaluate, points
from pinnderiv.derivatives.operators import Transform
from pinnderiv.derivatives.partials import partials_of
from pinnderiv.derivatives.request import Collapsed, MultiIndex, as_coefficient, as_numbers
from pinnderiv.derivatives.transforms import attached, outside_inference_mode
from pinnderiv.derivatives.work import Work
from pinnderiv.errors import ArgumentError

OPERATOR = "operator"
"""Under this name stands the collapsed operator in the result of :func:`shared`."""


@dataclass(frozen=True)
class Operator:
    """Σ_k w_k ∂²/∂x_k² + b·∇, to be summed in one channel.

    Attributes:
        columns: those that ``second`` weighs.
        second: w, numbers or ``(K,)``.
        first: b, numbers or ``(D,)`` or ``(*batch, D)``; ``None`` for zero.
    """

    columns: tuple[int, ...]
    second: Any
    first: Any = None


def shared(
    f: Function,
    indices: Sequence[MultiIndex],
    operator: Operator | None = None,
    *,
    method: str = "auto",
    chunk_size: int | None = None,
    check: bool = True,
    strict: bool = False,
) -> Transform:
    """Partial derivatives of every output, and one collapsed operator, out of one pass.

    Args:
        f: the function.
        indices: sorted columns of each derivative, ``()`` for f itself. With an
            ``operator``, of first order at most.
        operator: what is to be summed.
        method: the engine.
        chunk_size: rows at a time.
        check: examine f first.
        strict: refuse generic treatment in Taylor mode.

    Returns:
        A function of ``x (*batch, D)`` that returns a dict from each index, and from
        :data:`OPERATOR`, to ``(*batch, M)``.

    Raises:
        ArgumentError: a derivative of second order beside an operator, or nothing asked for.
        PinnderivError: as `operators.py` describes.
    """
    options = Options(f, method, chunk_size, check, strict)
    wanted = tuple(dict.fromkeys(tuple(sorted(index)) for index in indices))
    if operator is None:
        if not wanted:
            raise ArgumentError("shared got no index and no operator: ask for at least one.")
        return _partials(options, wanted)
    if any(len(index) > 1 for index in wanted):
        raise ArgumentError(
            f"shared takes derivatives of first order beside an operator; got {list(wanted)}."
        )
    return _with_operator(options, wanted, operator)


def _partials(options: Options, wanted: tuple[MultiIndex, ...]) -> Transform:
    work = Work.partials(wanted)

    def compute(engine: Engine, g: Function, y: Tensor) -> Mapping[Any, Tensor]:
        return partials_of(engine, g, y, wanted)

    @outside_inference_mode
    def apply(x: Tensor) -> Mapping[Any, Tensor]:
        return evaluate(options, points(x, options.check), work, compute)

    return apply


def _with_operator(
    options: Options, wanted: tuple[MultiIndex, ...], operator: Operator
) -> Transform:
    slopes = tuple(index[0] for index in wanted if index)
    # A column that is wanted and not in the operator is a direction with weight zero.
    idle = tuple(column for column in slopes if column not in operator.columns)
    columns = (*operator.columns, *idle)
    numbers = as_numbers(operator.second)
    if numbers is not None:
        numbers = (*numbers, *(0.0 for _ in idle))
    work = Work.collapsed(len(columns))

    def compute(
        engine: Engine, g: Function, y: Tensor, second: Tensor, first: Tensor | None = None
    ) -> Mapping[Any, Tensor]:
        if idle and numbers is None:
            second = torch.cat([second, second.new_zeros(len(idle))])
        request = Collapsed(columns, None, second, first, numbers)
        if slopes:
            value, gradient, result = engine.collapsed_with_slopes(g, y, request)
        else:
            (value, result), gradient = engine.collapsed(g, y, request), None
        found: dict[Any, Tensor] = {OPERATOR: attached(result, value)}
        for index in wanted:
            if not index:
                found[index] = value
            elif gradient is not None:
                found[index] = attached(gradient[..., columns.index(index[0])], value)
        return found

    @outside_inference_mode
    def apply(x: Tensor) -> Mapping[Any, Tensor]:
        x = points(x, options.check)
        given_second, count = operator.second, len(operator.columns)
        if numbers is not None:
            given_second, count = numbers, len(numbers)
        w = as_coefficient(given_second, x, (count,), "second", finite=options.check)
        if w.ndim > 1:
            raise ArgumentError(
                f"shared takes one weight a column, (K,), for second; got {tuple(w.shape)}."
            )
        given = {"second": Coefficient(w, 1)}
        if operator.first is not None:
            size = (x.shape[-1],)
            b = as_coefficient(operator.first, x, size, "first", finite=options.check)
            given["first"] = Coefficient(b, 1)
        return evaluate(options, x, work, compute, given)

    return apply
