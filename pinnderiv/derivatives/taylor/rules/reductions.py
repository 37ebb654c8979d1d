"""Sums, means, norms, products and their relatives along dimensions."""

# ruff: noqa: D103 - a rule is named after its function and is a formula
from __future__ import annotations

import math
from typing import Any

import torch

from pinnderiv.derivatives.taylor.algebra import composite, linear, rule
from pinnderiv.derivatives.taylor.channels import spread, total
from pinnderiv.derivatives.taylor.dispatch import Unsuited, strip
from pinnderiv.derivatives.taylor.jet import Jet
from pinnderiv.derivatives.taylor.rules.shape import behind
from pinnderiv.derivatives.taylor.run import Run

Dims = int | tuple[int, ...] | list[int] | None


def dims_of(dim: Dims, ndim: int) -> tuple[int, ...]:
    """The dimensions meant by ``dim``, counted from the end; all for None or ()."""
    if ndim == 0 or dim is None or (isinstance(dim, (tuple, list)) and not dim):
        return tuple(range(-ndim, 0))
    return tuple(behind(d, ndim) for d in ((dim,) if isinstance(dim, int) else dim))


def _count(z: Any, dims: tuple[int, ...]) -> int:
    return math.prod(z.shape[d] for d in dims)


def _reduction(run: Run, z: Any, function: Any, dim: Dims, keepdim: bool, dtype: Any) -> Any:
    if dtype is not None:
        z = z.to(dtype)
    dims = dims_of(dim, z.ndim)
    if not dims:
        return z

    def stack(s: Any) -> Any:
        return None if s is None else function(spread(s, z.shape), dims, keepdim)

    return Jet(run, function(z.value, dims, keepdim), stack(z.tangents), stack(z.curvature))


@rule("sum", kind="linear")
def sum_(
    run: Run, z: Any, dim: Dims = None, keepdim: bool = False, *, dtype: Any = None, **k: Any
) -> Any:
    return _reduction(run, z, torch.sum, k.get("axis", dim), k.get("keepdims", keepdim), dtype)


@rule("mean", kind="linear")
def mean(
    run: Run, z: Any, dim: Dims = None, keepdim: bool = False, *, dtype: Any = None, **k: Any
) -> Any:
    return _reduction(run, z, torch.mean, k.get("axis", dim), k.get("keepdims", keepdim), dtype)


@composite("nansum")
def nansum(z: Any, dim: Dims = None, keepdim: bool = False, *, dtype: Any = None) -> Any:
    return torch.sum(torch.where(torch.isnan(z), 0.0, z), dims_of(dim, z.ndim), keepdim)


@composite("nanmean")
def nanmean(z: Any, dim: Dims = None, keepdim: bool = False, *, dtype: Any = None) -> Any:
    missing = torch.isnan(z)
    dims = dims_of(dim, z.ndim)
    count = (~missing).sum(dims, keepdim)
    return torch.sum(torch.where(missing, 0.0, z), dims, keepdim) / count


linear("cumsum", "diff")


@composite("trapezoid", "trapz")
def trapezoid(y: Any, x: Any = None, *, dx: float = 1.0, dim: int = -1) -> Any:
    length = y.shape[dim]
    mean_of_neighbours = (
        torch.narrow(y, dim, 1, length - 1) + torch.narrow(y, dim, 0, length - 1)
    ) / 2
    if x is None:
        return torch.sum(mean_of_neighbours * dx, dim)
    along = dim if x.ndim > 1 else -1
    steps = torch.narrow(x, along, 1, length - 1) - torch.narrow(x, along, 0, length - 1)
    if x.ndim == 1 and y.ndim > 1:
        shape = [1] * y.ndim
        shape[dim] = length - 1
        steps = steps.reshape(shape)
    return torch.sum(mean_of_neighbours * steps, dim)


def _deviations(z: Any, dims: tuple[int, ...]) -> tuple[Any, Any]:
    centre = torch.mean(z, dims, True)
    return z - centre, centre


def _variance(z: Any, dim: Any, correction: Any, keepdim: bool) -> tuple[Any, Any]:
    dims = dims_of(dim, z.ndim)
    off, centre = _deviations(z, dims)
    divisor = max(_count(z, dims) - correction, 0)
    squares = torch.sum(off * off, dims, keepdim)
    return squares / divisor, centre if keepdim else torch.squeeze(centre, dims)


def _options(args: tuple[Any, ...], keywords: dict[str, Any]) -> tuple[Any, Any, bool]:
    """dim, correction and keepdim from the two signatures of torch.var."""
    keywords = dict(keywords)
    args = list(args)
    dim = keywords.pop("dim", keywords.pop("axis", None))
    unbiased = keywords.pop("unbiased", True)
    keepdim = keywords.pop("keepdim", False)
    correction = keywords.pop("correction", None)
    if args and isinstance(args[0], bool):
        unbiased = args.pop(0)
    elif args:
        dim = args.pop(0)
        if args:
            unbiased = args.pop(0)
    if args:
        keepdim = args.pop(0)
    if correction is None:
        correction = 1 if unbiased else 0
    return dim, correction, keepdim


@composite("var")
def var(z: Any, *args: Any, **keywords: Any) -> Any:
    return _variance(z, *_options(args, keywords))[0]


@composite("std")
def std(z: Any, *args: Any, **keywords: Any) -> Any:
    return torch.sqrt(_variance(z, *_options(args, keywords))[0])


@composite("var_mean")
def var_mean(z: Any, *args: Any, **keywords: Any) -> Any:
    return _variance(z, *_options(args, keywords))


@composite("std_mean")
def std_mean(z: Any, *args: Any, **keywords: Any) -> Any:
    spread_, centre = _variance(z, *_options(args, keywords))
    return torch.sqrt(spread_), centre


@composite("logsumexp")
def logsumexp(z: Any, dim: Dims, keepdim: bool = False) -> Any:
    dims = dims_of(dim, z.ndim)
    top = torch.amax(z.detach(), dims, True)
    top = torch.where(torch.isfinite(top), top, 0.0)
    result = torch.log(torch.sum(torch.exp(z - top), dims, keepdim))
    return result + (top if keepdim else torch.squeeze(top, dims))


@rule("softmax", kind="own formula")
def softmax(run: Run, z: Any, dim: Any = None, *args: Any, **keywords: Any) -> Any:
    dtype = keywords.get("dtype") or next((a for a in args if isinstance(a, torch.dtype)), None)
    if dtype is not None:
        z = z.to(dtype)
    if dim is None:
        dim = 0 if z.ndim in (0, 1, 3) else 1
    d = behind(dim, z.ndim)
    y = torch.softmax(z.value, d)
    return _softmax_channels(run, y, z, d)


def _softmax_channels(run: Run, y: Any, z: Any, d: int) -> Any:
    """With centred channels t̂ = t − Σ y t: y_k = y t̂, and C_y = y (ĉ + Q̂ − Σ y Q̂)."""

    def centred(stack: Any) -> Any:
        return stack - torch.sum(y * stack, d, keepdim=True)

    tangents = bent = None
    if z.tangents is not None:
        off = centred(spread(z.tangents, z.shape))
        tangents = y * off
        bent = run.structure.square(off)
    both = z.curvature if bent is None else bent if z.curvature is None else z.curvature + bent
    return Jet(run, y, tangents, None if both is None else y * centred(spread(both, z.shape)))


@composite("softmin")
def softmin(z: Any, dim: Any = None, *args: Any, **keywords: Any) -> Any:
    return softmax(z.run, -z, dim, *args, **keywords)


@composite(torch.ops.aten._safe_softmax.default)
def safe_softmax(z: Any, dim: int, dtype: Any = None) -> Any:
    # A row that is masked everywhere becomes zero.
    masked = torch.all(z == -math.inf, dim, keepdim=True)
    y = torch.softmax(torch.where(masked, torch.zeros_like(z), z), dim, dtype=dtype)
    return torch.where(masked, torch.zeros_like(y), y)


@composite("log_softmax")
def log_softmax(z: Any, dim: Any = None, *args: Any, **keywords: Any) -> Any:
    dtype = keywords.get("dtype") or next((a for a in args if isinstance(a, torch.dtype)), None)
    if dtype is not None:
        z = z.to(dtype)
    if dim is None:
        dim = 0 if z.ndim in (0, 1, 3) else 1
    return z - torch.logsumexp(z, dim, True)


@composite("cumprod")
def cumprod(z: Any, dim: int, *, dtype: Any = None) -> Any:
    if z.ndim == 0:
        raise Unsuited
    z = z if dtype is None else z.to(dtype)
    return torch.stack(_running(list(torch.unbind(z, dim))), dim)


def _running(factors: list[Any]) -> list[Any]:
    products = factors[:1]
    for factor in factors[1:]:
        products.append(products[-1] * factor)
    return products


@composite("prod")
def prod(z: Any, dim: int | None = None, keepdim: bool = False, *, dtype: Any = None) -> Any:
    if z.ndim == 0:
        raise Unsuited
    z = z if dtype is None else z.to(dtype)
    if dim is None:
        z, dim = torch.flatten(z), 0
    # A tree of products: exact where factors are zero, and log₂ n deep.
    while z.shape[dim] > 1:
        half = z.shape[dim] // 2
        paired = torch.narrow(z, dim, 0, half) * torch.narrow(z, dim, half, half)
        rest = z.shape[dim] - 2 * half
        z = torch.cat([paired, torch.narrow(z, dim, 2 * half, rest)], dim) if rest else paired
    if z.shape[dim] == 0:
        return torch.prod(strip(z.run, z), dim, keepdim)
    return z if keepdim else torch.squeeze(z, dim)


@composite("logcumsumexp")
def logcumsumexp(z: Any, dim: int) -> Any:
    if z.ndim == 0:
        raise Unsuited
    # One maximum for the whole line would underflow where the line starts far below it.
    items = list(torch.unbind(z, dim))
    sums = items[:1]
    for item in items[1:]:
        sums.append(torch.logaddexp(sums[-1], item))
    return torch.stack(sums, dim)


@composite("vector_norm")
def vector_norm(
    z: Any, ord: Any = 2, dim: Dims = None, keepdim: bool = False, *, dtype: Any = None
) -> Any:
    z = z if dtype is None else z.to(dtype)
    dims = dims_of(dim, z.ndim)
    size = torch.abs(z) if z.is_complex() or ord not in (2, 2.0) else z
    if ord == math.inf:
        return torch.amax(size, dims, keepdim)
    if ord == -math.inf:
        return torch.amin(size, dims, keepdim)
    if ord == 0:
        return torch.sum((z != 0).to(z.dtype), dims, keepdim)
    if ord == 1:
        return torch.sum(size, dims, keepdim)
    if ord == 2 and not z.is_complex():
        return _euclidean(z.run, z, dims, keepdim)
    if ord == 2:
        return torch.sqrt(torch.sum(size * size, dims, keepdim))
    return torch.pow(torch.sum(torch.pow(size, ord), dims, keepdim), 1 / ord)


def _euclidean(run: Run, z: Any, dims: tuple[int, ...], keepdim: bool) -> Any:
    """y = |z|: y y_k = z·z_k and y C_y = z·C_z + Q(z) − Q(y).

    At 0 there is a kink, which a z that stays there does not see: then all are zero.
    """
    if not dims:
        return torch.abs(z)
    y = torch.sqrt(torch.sum(z.value * z.value, dims, True))
    inverse = 1 / torch.where(y == 0, 1.0, y)
    zero = y == 0
    moves = torch.zeros_like(zero)
    tangents = curvature = None
    if z.tangents is not None:
        t = spread(z.tangents, z.shape)
        tangents = torch.sum(z.value * t, dims, True) * inverse
        moves = (t != 0).sum(0).sum(dims, True) > 0
        squares = run.structure.square(t)
        if squares is not None:
            curvature = torch.sum(squares, dims, True) - run.structure.square(tangents)
    if z.curvature is not None:
        c = spread(z.curvature, z.shape)
        moves = moves | ((c != 0).sum(0).sum(dims, True) > 0)
        curvature = total(curvature, torch.sum(z.value * c, dims, True))
    if curvature is not None:
        curvature = curvature * inverse

    def finished(stack: Any) -> Any:
        if stack is None:
            return None
        stack = torch.where(zero & moves, math.nan, stack)
        return stack if keepdim else torch.squeeze(stack, dims)

    value = y if keepdim else torch.squeeze(y, dims)
    return Jet(run, value, finished(tangents), finished(curvature))


@composite("cdist")
def cdist(
    a: Any, b: Any, p: float = 2.0, compute_mode: str = "use_mm_for_euclid_dist_if_necessary"
) -> Any:
    return torch.linalg.vector_norm(torch.unsqueeze(a, -2) - torch.unsqueeze(b, -3), p, -1)


@composite("pdist")
def pdist(z: Any, p: float = 2.0) -> Any:
    rows, columns = torch.triu_indices(z.shape[0], z.shape[0], offset=1, device=z.device)
    return torch.linalg.vector_norm(z[rows] - z[columns], p, -1)


@composite(torch.norm, torch.Tensor.norm)
def norm(
    z: Any, p: Any = "fro", dim: Dims = None, keepdim: bool = False, dtype: Any = None, **k: Any
) -> Any:
    if p is None or p == "fro":
        p = 2
    if p == "nuc":
        return torch.linalg.matrix_norm(z, "nuc", dim=dim or (-2, -1), keepdim=keepdim)
    return vector_norm(z, p, dim, keepdim, dtype=dtype)
