"""Joining, splitting, selecting and rearranging: all linear."""

# ruff: noqa: D103 - a rule is named after its function and is a formula
from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F

from pinnderiv.derivatives.taylor.algebra import apply_linear, composite, linear, rule
from pinnderiv.derivatives.taylor.channels import lift
from pinnderiv.derivatives.taylor.dispatch import Unsuited, active, strip
from pinnderiv.derivatives.taylor.jet import Jet
from pinnderiv.derivatives.taylor.rules.shape import behind
from pinnderiv.derivatives.taylor.run import Run

_T = torch.Tensor


@rule("cat", "concat", "concatenate", kind="linear")
def cat(run: Run, tensors: Any, dim: int = 0, **keywords: Any) -> Any:
    dim = keywords.get("axis", dim)
    tensors = list(tensors)
    value = torch.cat([strip(run, item) for item in tensors], dim)
    dim = behind(dim, value.ndim)
    return Jet(
        run,
        value,
        _joined(run, tensors, "tangents", value, dim),
        _joined(run, tensors, "curvature", value, dim),
    )


def _joined(run: Run, tensors: Sequence[Any], name: str, value: Any, dim: int) -> Any:
    stacks = [getattr(item, name) if active(run, item) else None for item in tensors]
    held = [s for s in stacks if s is not None]
    if not held:
        return None
    count = held[0].shape[0]
    ndim = value.ndim
    lengths = [0] * ndim
    for d in range(-ndim, 0):
        lengths[d] = max(s.shape[d] for s in held)
    joined = []
    for item, s in zip(tensors, stacks, strict=True):
        if item.ndim != ndim:
            continue  # cat ignores empty one-dimensional tensors
        shape = list(lengths)
        shape[dim] = item.shape[dim]
        if s is None:
            s = torch.zeros((1,) * (ndim + 1), dtype=value.dtype, device=value.device)
        joined.append(s.expand((count, *shape)))
    return torch.cat(joined, dim)


@composite("stack")
def stack(tensors: Any, dim: int = 0) -> Any:
    return torch.cat([torch.unsqueeze(item, dim) for item in tensors], dim)


@composite("hstack")
def hstack(tensors: Any) -> Any:
    tensors = [torch.atleast_1d(item) for item in tensors]
    return torch.cat(tensors, 0 if tensors[0].ndim == 1 else 1)


@composite("column_stack")
def column_stack(tensors: Any) -> Any:
    columns = [t.reshape(-1, 1) if t.ndim < 2 else t for t in tensors]
    return torch.cat(columns, 1)


@composite("vstack", "row_stack")
def vstack(tensors: Any) -> Any:
    return torch.cat([torch.atleast_2d(item) for item in tensors], 0)


@composite("dstack")
def dstack(tensors: Any) -> Any:
    return torch.cat([torch.atleast_3d(item) for item in tensors], 2)


@composite("unbind", _T.__iter__)
def unbind(z: Any, dim: int = 0) -> Any:
    return tuple(torch.select(z, dim, i) for i in range(z.shape[dim]))


@composite("split", "split_with_sizes")
def split(z: Any, split_size: Any = None, dim: int = 0, **keywords: Any) -> Any:
    size = keywords.get("split_size_or_sections", keywords.get("split_sizes", split_size))
    length = z.shape[dim]
    if isinstance(size, int):
        size = [min(size, length - i) for i in range(0, max(length, 1), size)]
    starts = [sum(size[:i]) for i in range(len(size))]
    return tuple(torch.narrow(z, dim, s, n) for s, n in zip(starts, size, strict=True))


@composite("chunk", "unsafe_chunk")
def chunk(z: Any, chunks: int, dim: int = 0) -> Any:
    return torch.split(z, max(-(-z.shape[dim] // chunks), 1), dim)


@composite("tensor_split")
def tensor_split(z: Any, indices_or_sections: Any, dim: int = 0, **keywords: Any) -> Any:
    indices = keywords.get("indices", keywords.get("sections", indices_or_sections))
    length = z.shape[dim]
    indices = indices.tolist() if isinstance(indices, torch.Tensor) else indices
    if isinstance(indices, int):
        small, extra = divmod(length, indices)
        sizes = [small + 1] * extra + [small] * (indices - extra)
        return torch.split(z, sizes, dim)
    edges = [0, *(min(int(i) % (length + 1) if i < 0 else int(i), length) for i in indices), length]
    pairs = pairwise(edges)
    return tuple(torch.narrow(z, dim, a, max(b - a, 0)) for a, b in pairs)


linear("diagonal", view=True)
linear("flip", "fliplr", "flipud", "roll", "rot90", "tril", "triu", "diag", "diag_embed")
linear("diagflat", "repeat", "tile", "repeat_interleave", "gather", "index_select", "take")
linear(_T.unfold, "masked_select", "take_along_dim", "constant_pad_nd", "trace")
linear("real", _T.real.__get__, "imag", _T.imag.__get__, "view_as_real", "view_as_complex")
linear("conj", "resolve_conj", "conj_physical", "resolve_neg")
linear("atleast_1d", "atleast_2d", "atleast_3d", "complex", positions=(0, 1, 2))
linear("scatter_add", "index_add", positions=(0, 3))
linear("index_copy", positions=(0, 3))


@rule("scatter", kind="linear")
def scatter(run: Run, z: Any, dim: int, index: Any, src: Any = None, **keywords: Any) -> Any:
    src = keywords.pop("value", src)
    if keywords:
        raise Unsuited  # with reduce= it is no longer linear
    if not hasattr(src, "dtype"):
        src = torch.full(tuple(index.shape), src, dtype=z.dtype, device=z.device)
    return apply_linear(run, torch.scatter, (z, dim, index, src), {}, (0, 3))


linear("masked_scatter", positions=(0, 2))
linear(F.pixel_shuffle, F.pixel_unshuffle, F.channel_shuffle)


@rule("where", kind="linear")
def where(run: Run, condition: Any, a: Any = None, b: Any = None, **keywords: Any) -> Any:
    if getattr(condition, "dtype", None) != torch.bool and getattr(a, "dtype", None) == torch.bool:
        condition, a = a, condition  # a.where(condition, b)
    condition = strip(run, condition)
    if a is None and b is None:
        return torch.where(condition)
    if isinstance(condition, Jet):
        condition = condition != 0
    value = torch.where(condition, strip(run, a), strip(run, b))

    def chosen(name: str) -> Any:
        sides = [getattr(s, name) if active(run, s) else None for s in (a, b)]
        if sides[0] is None and sides[1] is None:
            return None
        lifted = [0.0 if s is None else lift(s, value.ndim) for s in sides]
        stack = torch.where(condition, *lifted)
        return stack if stack.dtype == value.dtype else stack.to(value.dtype)

    return Jet(run, value, chosen("tangents"), chosen("curvature"))


def _where_method(z: Any, condition: Any, other: Any) -> Any:
    return torch.where(condition, z, other)


@composite("masked_fill")
def masked_fill(z: Any, mask: Any, value: Any) -> Any:
    return torch.where(mask, value, z)


@composite("index_fill")
def index_fill(z: Any, dim: int, index: Any, value: Any) -> Any:
    if z.ndim == 0:
        raise Unsuited
    shape = [1] * z.ndim
    shape[dim] = z.shape[dim]
    mask = torch.zeros(z.shape[dim], dtype=torch.bool, device=z.device)
    mask[index] = True
    return torch.where(mask.reshape(shape), value, z)


@composite(F.pad)
def pad(z: Any, pad: Any, mode: str = "constant", value: Any = None) -> Any:
    if mode == "constant":
        filled = _pad_linear(z, tuple(pad))
        if not value:
            return filled
        ones = torch.ones(tuple(z.shape), dtype=z.dtype, device=z.device)
        return filled + value * (1 - F.pad(ones, tuple(pad)))
    return _pad_linear(z, tuple(pad), mode)


def _pad_linear(z: Any, widths: tuple[int, ...], mode: str = "constant") -> Any:
    return apply_linear(z.run, lambda v: F.pad(v, widths, mode), (z,), {})
