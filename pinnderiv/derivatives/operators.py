"""The public transforms: a function goes in, a function that computes derivatives comes out.

Throughout, ``f`` is a callable or ``nn.Module`` that maps ``(*batch, D) -> (*batch, M)``
and treats rows independently. Results keep the dtype and device of ``x`` and are
differentiable with respect to the parameters of ``f`` and to ``x``, so transforms nest.

Keyword arguments of every transform:

* ``method``: "auto" takes the cheapest engine that is right for f; "nested", "taylor"
  and "reverse" name one.
* ``chunk_size``: so many rows at a time, to bound the memory; in training each chunk is
  recomputed in the backward pass.
* ``check``: examine f once before it is used (see `safety.py`).
* ``strict``: refuse Taylor mode where f holds an operation that has no rule and would be
  treated generically, which is exact but slow; "auto" then takes another engine.

All raise the classes of `pinnderiv.errors`: ``DtypeError``, ``ShapeError`` and
``ArgumentError`` for what cannot be meant, ``BatchMixingError`` for an f that mixes rows,
``UnsupportedOperationError`` where the method would be wrong for f.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from pinnderiv.derivatives import engines
from pinnderiv.derivatives.engine import Engine, Function
from pinnderiv.derivatives.evaluate import Coefficient, Options, evaluate, points
from pinnderiv.derivatives.linear import LinearParts
from pinnderiv.derivatives.request import as_coefficient, check_dims, normalise_dims
from pinnderiv.derivatives.transforms import attached, outside_inference_mode
from pinnderiv.derivatives.work import Work
from pinnderiv.errors import ArgumentError, ShapeError

Transform = Callable[..., Any]


def jacobian(
    f: Function,
    *,
    return_value: bool = False,
    method: str = "auto",
    chunk_size: int | None = None,
    check: bool = True,
    strict: bool = False,
) -> Transform:
    """First derivatives ∂f_m/∂x_d of every output.

    Args:
        f: the function.
        return_value: return ``(f(x), result)``, from the same pass.
        method: the engine.
        chunk_size: rows at a time.
        check: examine f first.
        strict: refuse generic treatment in Taylor mode.

    Returns:
        A function of ``x (*batch, D)`` that returns ``(*batch, M, D)``.

    Raises:
        PinnderivError: as the module describes.
    """
    options = Options(f, method, chunk_size, check, strict)

    @outside_inference_mode
    def apply(x: Tensor) -> Any:
        x = points(x, check)
        work = Work.gradient(x.shape[-1])
        return _finish(evaluate(options, x, work, _pair(Engine.jacobian)), return_value)

    return apply


def second_derivatives(
    f: Function,
    *,
    return_value: bool = False,
    method: str = "auto",
    chunk_size: int | None = None,
    check: bool = True,
    strict: bool = False,
) -> Transform:
    """Unmixed second derivatives ∂²f_m/∂x_d² of every output, the "second-order Jacobian".

    Args:
        f: the function.
        return_value: return ``(f(x), result)``, from the same pass.
        method: the engine.
        chunk_size: rows at a time.
        check: examine f first.
        strict: refuse generic treatment in Taylor mode.

    Returns:
        A function of ``x (*batch, D)`` that returns ``(*batch, M, D)``.

    Raises:
        PinnderivError: as the module describes.
    """
    options = Options(f, method, chunk_size, check, strict)

    @outside_inference_mode
    def apply(x: Tensor) -> Any:
        x = points(x, check)
        work = Work.diagonal(x.shape[-1])
        return _finish(evaluate(options, x, work, _pair(Engine.second_derivatives)), return_value)

    return apply


def hessian(
    f: Function,
    *,
    method: str = "auto",
    chunk_size: int | None = None,
    check: bool = True,
    strict: bool = False,
) -> Transform:
    """The Hessian ∂²f_m/∂x_i∂x_j of every output.

    Args:
        f: the function.
        method: the engine.
        chunk_size: rows at a time.
        check: examine f first.
        strict: refuse generic treatment in Taylor mode.

    Returns:
        A function of ``x (*batch, D)`` that returns ``(*batch, M, D, D)``.

    Raises:
        PinnderivError: as the module describes.
    """
    options = Options(f, method, chunk_size, check, strict)

    @outside_inference_mode
    def apply(x: Tensor) -> Tensor:
        x = points(x, check)
        work = Work.full(x.shape[-1])
        return evaluate(options, x, work, _pair(Engine.hessian))["result"]

    return apply


def laplacian(
    f: Function,
    dims: Sequence[int] | None = None,
    weights: Any = None,
    *,
    return_value: bool = False,
    method: str = "auto",
    chunk_size: int | None = None,
    check: bool = True,
    strict: bool = False,
) -> Transform:
    """The (weighted) Laplacian Σ_d w_d ∂²f_m/∂x_d² of every output.

    Args:
        f: the function.
        dims: columns to sum over, all by default; negative ones count from the end.
        weights: w of any sign, ``(D',)`` or ``(*batch, D')`` with D' = len(dims); 1 by
            default. ``weights=(-c**2, 1)`` makes u_tt − c²u_xx of columns (x, t).
        return_value: return ``(f(x), result)``, from the same pass.
        method: the engine.
        chunk_size: rows at a time.
        check: examine f first.
        strict: refuse generic treatment in Taylor mode.

    Returns:
        A function of ``x (*batch, D)`` that returns ``(*batch, M)``.

    Raises:
        PinnderivError: as the module describes.
    """
    options = Options(f, method, chunk_size, check, strict)
    check_dims(dims)

    @outside_inference_mode
    def apply(x: Tensor) -> Any:
        x = points(x, check)
        columns = normalise_dims(dims, x.shape[-1])
        parts = LinearParts.weighted(columns, weights, x, check)
        return _finish(
            evaluate(options, x, parts.work, parts.compute, parts.coefficients), return_value
        )

    return apply


def second_order_operator(
    f: Function,
    matrix: Any,
    *,
    method: str = "auto",
    chunk_size: int | None = None,
    check: bool = True,
    strict: bool = False,
) -> Transform:
    """tr(A H_m) = Σ_ij A_ij ∂²f_m/∂x_i∂x_j for a symmetric A, which may be indefinite.

    Args:
        f: the function.
        matrix: A, ``(D, D)`` or ``(*batch, D, D)``. Where A requires a gradient it gets one.
        method: the engine.
        chunk_size: rows at a time.
        check: examine f first.
        strict: refuse generic treatment in Taylor mode.

    Returns:
        A function of ``x (*batch, D)`` that returns ``(*batch, M)``.

    Raises:
        ArgumentError: A is missing or not symmetric.
        PinnderivError: as the module describes.
    """
    if matrix is None:
        raise ArgumentError("second_order_operator needs a matrix; for Δf use laplacian(f).")
    return linear_operator(
        f, matrix=matrix, method=method, chunk_size=chunk_size, check=check, strict=strict
    )


def linear_operator(
    f: Function,
    second: Any = None,
    matrix: Any = None,
    first: Any = None,
    zeroth: Any = None,
    *,
    return_value: bool = False,
    method: str = "auto",
    chunk_size: int | None = None,
    check: bool = True,
    strict: bool = False,
) -> Transform:
    """Σ_d w_d ∂²f_m/∂x_d² + tr(A H_m) + b·∇f_m + c f_m, in one pass.

    Args:
        f: the function.
        second: w of any sign, ``(D,)`` or ``(*batch, D)``. Columns whose constant weight
            is zero cost nothing.
        matrix: a symmetric A, ``(D, D)`` or ``(*batch, D, D)``.
        first: b, ``(D,)`` or ``(*batch, D)``.
        zeroth: c, a number or ``(*batch,)``.
        return_value: return ``(f(x), result)``, from the same pass.
        method: the engine.
        chunk_size: rows at a time.
        check: examine f first.
        strict: refuse generic treatment in Taylor mode.

    Returns:
        A function of ``x (*batch, D)`` that returns ``(*batch, M)``.

    Raises:
        ArgumentError: no part is given, or A is not symmetric.
        PinnderivError: as the module describes.
    """
    options = Options(f, method, chunk_size, check, strict)
    if second is None and matrix is None and first is None and zeroth is None:
        raise ArgumentError(
            "linear_operator got no part: give at least one of second, matrix, first, zeroth."
        )

    @outside_inference_mode
    def apply(x: Tensor) -> Any:
        x = points(x, check)
        parts = LinearParts.general(second, matrix, first, zeroth, x, check)
        return _finish(
            evaluate(options, x, parts.work, parts.compute, parts.coefficients), return_value
        )

    return apply


def hvp(
    f: Function,
    *,
    method: str = "auto",
    chunk_size: int | None = None,
    check: bool = True,
    strict: bool = False,
) -> Transform:
    """Hessian-vector products H_m v of every output.

    "reverse" is forward over reverse here, or reverse twice where the guard finds a
    forward formula of f wrong.

    Args:
        f: the function.
        method: the engine.
        chunk_size: rows at a time.
        check: examine f first.
        strict: refuse generic treatment in Taylor mode.

    Returns:
        A function of ``x (*batch, D)`` and ``v``, ``(D,)`` or ``(*batch, D)``, that returns
        ``(*batch, M, D)``.

    Raises:
        PinnderivError: as the module describes.
    """
    options = Options(f, method, chunk_size, check, strict)

    def compute(engine: Engine, g: Function, y: Tensor, v: Tensor) -> Mapping[str, Tensor]:
        product = engines.hvp_of(engine, g, y, options.guarded)
        result = product(g, y, v.expand_as(y))
        if torch.is_grad_enabled() and not result.requires_grad:
            result = attached(result, g(y))
        return {"result": result}

    @outside_inference_mode
    def apply(x: Tensor, v: Any) -> Tensor:
        x = points(x, check)
        direction = as_coefficient(v, x, (x.shape[-1],), "v", finite=check)
        given = {"v": Coefficient(direction, 1)}
        return evaluate(options, x, Work.product(x.shape[-1]), compute, given)["result"]

    return apply


def divergence(
    f: Function,
    *,
    method: str = "auto",
    chunk_size: int | None = None,
    check: bool = True,
    strict: bool = False,
) -> Transform:
    """The divergence Σ_d ∂f_d/∂x_d of a vector field, M = D.

    Args:
        f: the function.
        method: the engine.
        chunk_size: rows at a time.
        check: examine f first.
        strict: refuse generic treatment in Taylor mode.

    Returns:
        A function of ``x (*batch, D)`` that returns ``(*batch,)``.

    Raises:
        ShapeError: f has not as many outputs as x has columns.
        PinnderivError: as the module describes.
    """
    slopes = jacobian(f, method=method, chunk_size=chunk_size, check=check, strict=strict)

    @outside_inference_mode
    def apply(x: Tensor) -> Tensor:
        result = slopes(x)
        outputs, columns = result.shape[-2:]
        if outputs != columns:
            raise ShapeError(
                f"divergence needs as many outputs as columns, but f has {outputs} outputs and "
                f"x has {columns} columns. For Δf of a scalar f use laplacian(f)."
            )
        return result.diagonal(dim1=-2, dim2=-1).sum(-1)

    return apply


def _pair(method: Callable[..., tuple[Tensor, Tensor]]) -> Callable[..., Mapping[str, Tensor]]:
    """A method of an engine that returns (value, result), by name."""
    name = method.__name__

    def compute(engine: Engine, f: Function, x: Tensor) -> Mapping[str, Tensor]:
        value, result = getattr(engine, name)(f, x)
        return {"value": value, "result": attached(result, value)}

    return compute


def _finish(found: Mapping[str, Tensor], return_value: bool) -> Any:
    return (found["value"], found["result"]) if return_value else found["result"]
