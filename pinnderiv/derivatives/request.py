"""What was asked for: columns, signed weights and orders, checked and made uniform.

The public operators take several friendly forms; the engines see only what is
defined here. Everything that can be refused without running ``f`` is refused
here, before any work starts.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from pinnderiv.derivatives.transforms import (
    can_look_at_numbers,
    inside_transform,
    is_carrier,
    ordinary,
    plain,
)
from pinnderiv.errors import ArgumentError, DtypeError, ShapeError, did_you_mean

MultiIndex = tuple[int, ...]
"""Columns to differentiate by, sorted: ``(0, 0, 1)`` is ∂³/∂x₀²∂x₁, ``()`` the value."""


@dataclass(frozen=True)
class Collapsed:
    """Σ_k w_k v_kᵀ H_m v_k + b·∇f_m, summed before it leaves the engine.

    Attributes:
        dims: the columns d, where the directions v_k are the unit vectors e_d.
        directions: otherwise v, ``(K, D)`` or ``(K, *batch, D)``.
        weights: w of any sign, ``(K,)`` or ``(K, *batch)``.
        first: b, ``(D,)`` or ``(*batch, D)``, or None.
        numbers: the weights as Python numbers, where they were given as such: known even where
            a tensor may not be looked at, as in torch.compile.
    """

    dims: tuple[int, ...] | None
    directions: Tensor | None
    weights: Tensor
    first: Tensor | None = None
    numbers: tuple[float, ...] | None = None


def as_numbers(weights: Any) -> tuple[float, ...] | None:
    """A list or tuple of Python numbers as such; None for anything else."""
    if not isinstance(weights, (list, tuple)):
        return None
    if not all(isinstance(w, (int, float)) and not isinstance(w, bool) for w in weights):
        return None
    return tuple(float(w) for w in weights)


def unit_vectors(dims: Sequence[int], x: Tensor) -> Tensor:
    """Unit vectors e_d, ``(K, D)``, in the dtype and on the device of ``x (*batch, D)``."""
    columns = torch.as_tensor(list(dims), device=x.device, dtype=torch.long)
    # one_hot would check its argument once more, in kernels of its own where this is compiled
    return (columns.unsqueeze(1) == torch.arange(x.shape[-1], device=x.device)).to(x.dtype)


def directions_of(request: Collapsed, x: Tensor) -> Tensor:
    """The directions of a request as a tensor, ``(K, 1, ..., D)`` or ``(K, *batch, D)``."""
    directions = request.directions
    if directions is None:
        directions = unit_vectors(request.dims or (), x)
    if directions.ndim == 2:
        return directions.reshape(-1, *(1,) * (x.ndim - 1), x.shape[-1])
    return directions


def check_points(x: Any, *, finite: bool) -> None:
    """Refuses what cannot be a batch of points ``(*batch, D)``.

    Raises:
        DtypeError: ``x`` is no tensor, or not float32 or float64.
        ShapeError: ``x`` has no columns.
        ArgumentError: ``x`` holds no dense numbers, or ``finite`` is set and a point is NaN or
            infinite.
    """
    if not isinstance(x, Tensor) and not is_carrier(x):
        raise DtypeError(
            f"x must be a torch.Tensor of shape (*batch, D), got {type(x).__name__}: "
            f"convert it with torch.as_tensor(x, dtype={_default_dtype()})."
        )
    if isinstance(x, Tensor) and (x.layout != torch.strided or x.is_nested or x.is_meta):
        kind = "nested" if x.is_nested else "on the device 'meta'" if x.is_meta else "sparse"
        raise ArgumentError(f"x is {kind}; pass an ordinary (dense) tensor that holds its numbers.")
    if x.dtype not in (torch.float32, torch.float64):
        raise DtypeError(
            f"x has dtype {x.dtype}; derivatives need torch.float32 or torch.float64: "
            "convert it with x.float() or x.double()."
        )
    if x.ndim == 0 or x.shape[-1] == 0:
        raise ShapeError(
            f"x has shape {tuple(x.shape)}; it must be (*batch, D) with D ≥ 1 columns. "
            "For N points on a line write x.reshape(-1, 1)."
        )
    if not (finite and can_look_at_numbers()):
        return
    x = plain(x)
    if not bool(torch.isfinite(x).all()):
        rows = torch.isfinite(x).all(dim=-1).logical_not().nonzero()
        where = tuple(rows[0].tolist())
        place = f"x{list(where)}" if where else "x"
        raise ArgumentError(
            f"{rows.shape[0]} of the points are not finite (the first is {place} = "
            f"{x[where].tolist()}): every derivative there would be NaN. Remove these points."
        )


def _default_dtype() -> torch.dtype:
    """What parameters are made in, so that points of that dtype fit a network."""
    default = torch.get_default_dtype()
    return default if default in (torch.float32, torch.float64) else torch.float32


def check_dims(dims: Any) -> None:
    """Refuses points in the place of column numbers, which would go unnoticed until the call.

    Raises:
        ArgumentError: ``dims`` is a tensor of numbers that count nothing.
    """
    if is_carrier(dims) or (isinstance(dims, Tensor) and dims.is_floating_point()):
        raise ArgumentError(
            f"dims is a tensor of {dims.dtype}, but must be column numbers, such as (0, 1). Did "
            "you mean the points, laplacian(f)(x), or weights=...?"
        )


def normalise_dims(
    dims: Any, columns: int | None, *, repeat: bool = False, name: str = "dims"
) -> MultiIndex:
    """Columns as a tuple of non-negative ints; negative ones count from the end.

    Where the number of ``columns`` is not known yet (None), they stay as they are.

    Raises:
        ArgumentError: no dims, one out of range, one that is no integer, or (unless
            ``repeat``) one that is named twice.
    """
    if dims is None:
        return tuple(range(columns or 0))
    if isinstance(dims, Tensor):
        dims = dims.tolist()
    if isinstance(dims, str) or not isinstance(dims, Iterable):
        dims = (dims,)
    dims = tuple(dims)
    if any(isinstance(dim, bool) for dim in dims):
        # True and False are integers to Python, so that a mask would be read as columns 1 and 0.
        chosen = tuple(column for column, dim in enumerate(dims) if dim is True)
        hint = f"write {name}={chosen}" if chosen else f"name the columns, such as {name}=(0,)"
        raise ArgumentError(
            f"{name}={dims} is a mask of booleans; {name} holds column numbers of x: {hint}."
        )
    result = []
    for dim in dims:
        try:
            column = operator.index(dim)
        except TypeError:
            raise ArgumentError(
                f"{name} holds {dim!r}; it must hold column numbers of x, such as 0 and 1. "
                "For names such as 'u_xx' use pinnderiv.derivatives(f, [...], coordinates=...)."
            ) from None
        if columns is None:
            result.append(column)
            continue
        if not -columns <= column < columns:
            raise ArgumentError(
                f"{name} holds {column}, but x has {columns} columns: use 0 to {columns - 1}."
            )
        result.append(column % columns)
    if not result:
        raise ArgumentError(
            f"{name} is empty: name at least one column of x, for example {name}=(0,)."
        )
    if not repeat and len(set(result)) < len(result):
        raise ArgumentError(
            f"{name}={tuple(result)} names a column twice. To count a column twice use weights; "
            "for a repeated derivative use partial(f, dims)."
        )
    return tuple(result)


def as_coefficient(
    value: Any, x: Tensor, trailing: tuple[int, ...], name: str, *, finite: bool = True
) -> Tensor:
    """A coefficient of shape ``trailing`` or ``(*batch, *trailing)`` in the dtype of ``x``.

    Raises:
        DtypeError: it is not numeric, or complex.
        ShapeError: it has another shape.
        ArgumentError: it is on another device, or not finite.
    """
    numbers = as_numbers(value)
    # without tensor operations, which cost more than so few numbers are worth
    known = numbers is not None and all(map(math.isfinite, numbers))
    if not isinstance(value, Tensor):
        try:
            value = _stacked(value, x)
        except (TypeError, ValueError, RuntimeError) as error:
            raise DtypeError(
                f"{name} must be a tensor or a sequence of numbers, got {value!r}."
            ) from error
    if value.is_complex() or value.dtype == torch.bool:
        raise DtypeError(f"{name} has dtype {value.dtype}; it must be real numbers.")
    if value.device != x.device:
        raise ArgumentError(
            f"{name} is on {value.device} but x is on {x.device}: move it with .to(x.device)."
        )
    batch = tuple(x.shape[:-1])
    if tuple(value.shape) not in (trailing, batch + trailing):
        raise ShapeError(
            f"{name} has shape {tuple(value.shape)}; with x of shape {tuple(x.shape)} it must be "
            f"{trailing} (the same at every point) or {batch + trailing} (one for each point)."
        )
    if finite and can_look_at_numbers() and not known:
        known = bool(torch.isfinite(plain(value)).all())
    if finite and can_look_at_numbers() and not known:
        raise ArgumentError(f"{name} holds NaN or infinity: every result would be NaN.")
    return ordinary(value).to(x.dtype)


def _stacked(value: Any, x: Tensor) -> Tensor:
    """Numbers as a tensor; where some are tensors (a speed to be learnt) they keep their graph."""
    if isinstance(value, (list, tuple)) and any(
        isinstance(v, (Tensor, list, tuple)) for v in value
    ):
        parts = [v if isinstance(v, Tensor) else _stacked(v, x) for v in value]
        return torch.stack([part.to(x) for part in parts])
    # Python floats must not pass through float32 on their way to float64.
    return torch.as_tensor(value, dtype=x.dtype, device=x.device)


def directions_first(weights: Tensor, x: Tensor) -> Tensor:
    """Weights ``(*batch, K)`` with the directions in front, ``(K, *batch)``; ``(K,)`` stays."""
    return weights.movedim(-1, 0) if weights.ndim == x.ndim and x.ndim > 1 else weights


def diagonalise(matrix: Tensor) -> tuple[Tensor, Tensor]:
    """Directions and signed weights with Σ_k w_k v_k v_kᵀ = A, for a symmetric A.

    A constant A is diagonalised, which needs only D directions. Where a gradient with
    respect to A may be wanted, eigenvectors would give an unstable one (they are not
    differentiable where eigenvalues meet); the polarisation identity
    2 H_ij = (e_i + e_j)ᵀ H (e_i + e_j) − H_ii − H_jj keeps the directions constant and
    the weights linear in A instead.

    Args:
        matrix: A, ``(D, D)`` or ``(*batch, D, D)``.

    Returns:
        v ``(K, D)`` or ``(K, *batch, D)``, and w ``(K,)`` or ``(K, *batch)``.
    """
    if not (matrix.requires_grad or inside_transform()):
        weights, vectors = torch.linalg.eigh(matrix)
        if matrix.ndim == 2 and can_look_at_numbers():
            # Directions without weight cost as much as the others: leave them out.
            kept = weights.abs() > torch.finfo(weights.dtype).eps * weights.abs().max()
            if bool(kept.any()):
                weights, vectors = weights[kept], vectors[:, kept]
        return vectors.movedim(-1, 0), weights.movedim(-1, 0)
    columns = matrix.shape[-1]
    # So that each of A_ij and A_ji gets its half of the gradient.
    matrix = 0.5 * (matrix + matrix.mT)
    rows, cols = torch.triu_indices(columns, columns, offset=1, device=matrix.device)
    eye = torch.eye(columns, dtype=matrix.dtype, device=matrix.device)
    mixed = matrix[..., rows, cols]
    alone = 2 * matrix.diagonal(dim1=-2, dim2=-1) - matrix.sum(-1)
    directions = torch.cat([eye, eye[rows] + eye[cols]])
    return directions, torch.cat([alone, mixed], dim=-1).movedim(-1, 0)


def check_symmetric(matrix: Tensor) -> None:
    """Refuses a matrix that is not symmetric to rounding.

    Raises:
        ArgumentError: tr(A H) would not see the antisymmetric part, which is hardly meant.
    """
    if not can_look_at_numbers():
        return
    matrix = plain(matrix)
    gap = (matrix - matrix.mT).abs().amax() if matrix.numel() else matrix.new_zeros(())
    if matrix.numel() and bool(gap > 1e3 * torch.finfo(matrix.dtype).eps * matrix.abs().max()):
        raise ArgumentError(
            f"matrix is not symmetric (A and its transpose differ by up to {gap.item():.3g}). "
            "tr(A H) only sees the symmetric part: pass 0.5 * (A + A.mT) if that is meant."
        )


def parse_names(
    request: Iterable[str], coordinates: Sequence[str], outputs: Sequence[str]
) -> Mapping[str, tuple[int, MultiIndex]]:
    """Reads names such as ``"u"``, ``"u_t"``, ``"u_xx"``, ``"v_x1x2"``.

    Args:
        request: the names; the part before the underscore is an output, the part after
            it a run of coordinate names, one for each differentiation.
        coordinates: one name for each column of x.
        outputs: one name for each output of f.

    Returns:
        For each name the index of its output and the columns to differentiate by.

    Raises:
        ArgumentError: an unknown output or coordinate, an ambiguous or empty request.
    """
    for given, what in ((coordinates, "coordinates"), (outputs, "outputs")):
        if isinstance(given, str):
            raise ArgumentError(
                f"{what} is the string {given!r}; give a sequence of names, "
                f"for example {what}={tuple(given)!r}."
            )
        if not isinstance(given, Sequence) or not given:
            raise ArgumentError(
                f"{what}={given!r} must be a sequence of at least one name, such as ('x', 't')."
            )
        if not all(isinstance(n, str) and n for n in given) or len(set(given)) < len(given):
            raise ArgumentError(f"{what}={tuple(given)!r} must be distinct, non-empty names.")
    if not isinstance(request, Iterable):
        raise ArgumentError(f"the request is {request!r}; give names, such as ['u', 'u_x'].")
    names = [request] if isinstance(request, str) else list(request)
    if not names:
        raise ArgumentError("the request is empty: ask for at least one name, such as 'u_x'.")
    return {name: _parse_name(name, coordinates, outputs) for name in names}


def _parse_name(
    name: Any, coordinates: Sequence[str], outputs: Sequence[str]
) -> tuple[int, MultiIndex]:
    if not isinstance(name, str):
        raise ArgumentError(f"the request holds {name!r}; it must hold names such as 'u_xx'.")
    readings: set[tuple[int, MultiIndex]] = set()
    for position, output in enumerate(outputs):
        if name == output:
            readings.add((position, ()))
        elif name.startswith(output + "_") and name != output + "_":
            for columns in _spellings(name[len(output) + 1 :], coordinates):
                readings.add((position, tuple(sorted(columns))))
    if len(readings) == 1:
        return readings.pop()
    if readings:
        raise ArgumentError(
            f"{name!r} can be read in {len(readings)} ways with coordinates={tuple(coordinates)} "
            f"and outputs={tuple(outputs)}: rename a coordinate."
        )
    known = list(outputs) + [f"{o}_{c}" for o in outputs for c in coordinates]
    known += [f"{o}_{a}{b}" for o in outputs for a in coordinates for b in coordinates]
    hint = did_you_mean(name, known)
    raise ArgumentError(
        f"{name!r} is not a derivative of outputs {tuple(outputs)} by coordinates "
        f"{tuple(coordinates)}: write output, underscore, coordinates, such as "
        f"{outputs[0] + '_' + coordinates[0] * 2!r}.{hint}"
    )


def _spellings(text: str, coordinates: Sequence[str]) -> list[MultiIndex]:
    """Every way to read ``text`` as a run of coordinate names."""
    if not text:
        return [()]
    return [
        (column, *rest)
        for column, coordinate in enumerate(coordinates)
        if text.startswith(coordinate)
        for rest in _spellings(text[len(coordinate) :], coordinates)
    ]
