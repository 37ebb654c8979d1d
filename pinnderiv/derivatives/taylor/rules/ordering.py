"""Maxima, minima, sorting and clamping: piecewise linear, they pick entries."""

# ruff: noqa: D103 - a rule is named after its function and is a formula
from __future__ import annotations

from typing import Any

import torch

from pinnderiv.derivatives.taylor.algebra import apply_linear, composite, parts, rule
from pinnderiv.derivatives.taylor.channels import spread, total
from pinnderiv.derivatives.taylor.dispatch import Unsuited, strip
from pinnderiv.derivatives.taylor.jet import Jet
from pinnderiv.derivatives.taylor.rules.reductions import dims_of
from pinnderiv.derivatives.taylor.rules.shape import behind
from pinnderiv.derivatives.taylor.run import Run


def _pair(run: Run, value: Any, a: Any, b: Any, left: Any, right: Any) -> Any:
    """left·a + right·b for the derivatives, where left and right are weights."""
    ta, ca = parts(run, a, value.ndim)
    tb, cb = parts(run, b, value.ndim)

    def weighted(weight: Any, stack: Any) -> Any:
        # A weight of zero keeps out what is infinite or undefined on the other side.
        return None if stack is None else torch.where(weight != 0, weight * stack, 0.0)

    return Jet(
        run,
        value,
        total(weighted(left, ta), weighted(right, tb)),
        total(weighted(left, ca), weighted(right, cb)),
    )


def _extreme(function: Any, larger: bool) -> Any:
    def apply(run: Run, a: Any, b: Any) -> Any:
        va, vb = strip(run, a), strip(run, b)
        value = function(va, vb)
        first = (va > vb) if larger else (va < vb)
        # Ties share their derivative, which is autograd's convention.
        tie = torch.where(va == vb, 0.5, 0.0).to(value.dtype)
        left = torch.where(first, 1.0, tie).to(value.dtype)
        return _pair(run, value, a, b, left, 1 - left)

    return apply


rule("maximum", kind="linear")(_extreme(torch.maximum, True))
rule("minimum", kind="linear")(_extreme(torch.minimum, False))


def _f_extreme(function: Any, larger: bool) -> Any:
    def apply(run: Run, a: Any, b: Any) -> Any:
        va, vb = strip(run, a), strip(run, b)
        value = function(va, vb)
        first = (va >= vb) if larger else (va <= vb)
        left = (first | torch.isnan(vb)).to(value.dtype)
        return _pair(run, value, a, b, left, 1 - left)

    return apply


rule("fmax", kind="linear")(_f_extreme(torch.fmax, True))
rule("fmin", kind="linear")(_f_extreme(torch.fmin, False))


def _of_ties(function: Any) -> Any:
    """amax and amin: entries that tie share the derivative."""

    def apply(run: Run, z: Any, dim: Any = (), keepdim: bool = False) -> Any:
        dims = dims_of(dim, z.ndim)
        value = function(z.value, dims, keepdim)
        if not dims:
            return z
        top = function(z.value, dims, True)
        chosen = (z.value == top).to(z.dtype)
        chosen = chosen / torch.sum(chosen, dims, True)

        def stack(s: Any) -> Any:
            if s is None:
                return None
            picked = torch.where(chosen != 0, chosen * spread(s, z.shape), 0.0)
            return torch.sum(picked, dims, keepdim)

        return Jet(run, value, stack(z.tangents), stack(z.curvature))

    return apply


rule("amax", kind="linear")(_of_ties(torch.amax))
rule("amin", kind="linear")(_of_ties(torch.amin))


def _picked(run: Run, z: Any, index: Any, dim: int) -> Any:
    return apply_linear(run, lambda v: torch.gather(v, dim, index), (z,), {})


def _with_index(function: Any, whole: Any, pairwise: Any) -> Any:
    """max, min, median, …: along a dimension with indices, over everything, or of two tensors."""

    def apply(run: Run, z: Any, *args: Any, **keywords: Any) -> Any:
        if z.ndim == 0:
            raise Unsuited
        other = args[0] if args else keywords.get("other")
        if hasattr(other, "dtype"):
            return pairwise(z, other)
        if not args and "dim" not in keywords:
            if whole is None:
                raise Unsuited
            return whole(z)
        keywords = dict(keywords)
        dim = keywords.pop("dim", None)
        rest = list(args)
        if dim is None:
            dim = rest.pop(0)
        keepdim = keywords.pop("keepdim", rest.pop(0) if rest else False)
        found = function(z.value, dim, True)
        d = behind(dim, z.ndim)
        chosen = _picked(run, z, found.indices, d)
        values = chosen if keepdim else torch.squeeze(chosen, d)
        indices = found.indices if keepdim else found.indices.squeeze(d)
        return type(found)((values, indices))

    return apply


def _median_of_all(function: Any) -> Any:
    def whole(z: Any) -> Any:
        flat = torch.flatten(z)
        return function(flat, 0).values

    return whole


rule("max", kind="linear")(_with_index(torch.max, lambda z: torch.amax(z), torch.maximum))
rule("min", kind="linear")(_with_index(torch.min, lambda z: torch.amin(z), torch.minimum))
for _name in ("median", "nanmedian"):
    _function = getattr(torch, _name)
    rule(_name, kind="linear")(_with_index(_function, _median_of_all(_function), None))
rule("mode", kind="linear")(_with_index(torch.mode, None, None))


def _by_index(function: Any) -> Any:
    """Functions that return values and the indices they were taken from, same rank."""

    def apply(run: Run, z: Any, *args: Any, **keywords: Any) -> Any:
        found = function(z.value, *args, **keywords)
        d = behind(_dim_of(function, args, keywords), z.ndim)
        return type(found)((_picked(run, z, found.indices, d), found.indices))

    return apply


def _dim_of(function: Any, args: Any, keywords: Any) -> int:
    if "dim" in keywords:
        return keywords["dim"]
    position = 1 if function is torch.topk else 0
    integers = [a for a in args if isinstance(a, int) and not isinstance(a, bool)]
    return integers[position] if len(integers) > position else -1


rule("cummax", kind="linear")(_by_index(torch.cummax))
rule("cummin", kind="linear")(_by_index(torch.cummin))
rule("sort", kind="linear")(_by_index(torch.sort))
rule("topk", kind="linear")(_by_index(torch.topk))


@composite("kthvalue")
def kthvalue(z: Any, k: int, dim: int = -1, keepdim: bool = False) -> Any:
    found = torch.kthvalue(z.detach(), k, dim, True)
    chosen = torch.gather(z, dim, found.indices)
    if keepdim:
        return type(found)((chosen, found.indices))
    return type(found)((torch.squeeze(chosen, dim), found.indices.squeeze(dim)))


@composite("msort")
def msort(z: Any) -> Any:
    return torch.sort(z, 0).values


@composite("clamp", "clip")
def clamp(z: Any, min: Any = None, max: Any = None) -> Any:
    # At an edge the entry itself is taken, as in autograd.
    if min is not None:
        z = torch.where(strip_all(z) < strip_all(min), min, z)
    if max is not None:
        z = torch.where(strip_all(z) > strip_all(max), max, z)
    return z


def strip_all(item: Any) -> Any:
    """The plain numbers, for comparisons."""
    return item.detach() if hasattr(item, "detach") else item


@composite("clamp_min")
def clamp_min(z: Any, min: Any) -> Any:
    return clamp(z, min)


@composite("clamp_max")
def clamp_max(z: Any, max: Any) -> Any:
    return clamp(z, None, max)


@composite("quantile", "nanquantile")
def quantile(
    z: Any, q: Any, dim: int | None = None, keepdim: bool = False, *, interpolation: str = "linear"
) -> Any:
    if z.ndim == 0:
        raise Unsuited
    if interpolation != "linear" or bool(torch.isnan(strip_all(z)).any()):
        raise Unsuited
    if dim is None:
        z, dim = torch.flatten(z), 0
        if keepdim:
            raise Unsuited
    ordered = torch.sort(z, dim).values
    last = z.shape[dim] - 1
    several = isinstance(q, torch.Tensor) and q.ndim == 1
    lines = []
    for portion in q.tolist() if several else [float(q)]:
        low = min(int(portion * last), last)
        high = min(low + 1, last)
        a, b = (torch.narrow(ordered, dim, i, 1) for i in (low, high))
        line = a + (portion * last - low) * (b - a)
        lines.append(line if keepdim else torch.squeeze(line, dim))
    return torch.stack(lines) if several else lines[0]


@composite("renorm")
def renorm(z: Any, p: float, dim: int, maxnorm: float) -> Any:
    others = tuple(d for d in range(z.ndim) if d != dim % z.ndim)
    length = torch.linalg.vector_norm(z, p, others, True)
    return torch.where(strip_all(length) > maxnorm, z * (maxnorm / (length + 1e-7)), z)


@composite("aminmax")
def aminmax(z: Any, *, dim: int | None = None, keepdim: bool = False) -> Any:
    dims = () if dim is None else dim
    return torch.amin(z, dims, keepdim), torch.amax(z, dims, keepdim)
