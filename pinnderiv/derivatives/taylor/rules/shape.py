"""Indexing, reshaping, joining and splitting: all linear, most of them views."""

# ruff: noqa: D103 - a rule is named after its function and is a formula
from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch

from pinnderiv.derivatives.taylor.algebra import apply_linear, rule
from pinnderiv.derivatives.taylor.channels import is_spread, lift, spread
from pinnderiv.derivatives.taylor.dispatch import Unsuited, active, strip
from pinnderiv.derivatives.taylor.jet import Jet
from pinnderiv.derivatives.taylor.run import Run

_T = torch.Tensor


def behind(dim: int, ndim: int) -> int:
    """A dimension counted from the end, so that it means the same with a channel axis."""
    if ndim == 0:
        raise Unsuited  # PyTorch allows dimension 0 of a number, which channels do not have
    return dim if dim < 0 else dim - ndim


def _map(run: Run | None, z: Any, act: Callable[[Any], Any], full: bool = False) -> Any:
    """Applies ``act``, which counts dimensions from the end, to value and channels."""
    if run is None:
        return act(z)

    def stack(s: Any) -> Any:
        return None if s is None else act(spread(s, z.shape) if full else s)

    return Jet(run, act(z.value), stack(z.tangents), stack(z.curvature))


def _numbers(sizes: tuple[Any, ...]) -> tuple[int, ...]:
    """``(2, 3)`` from ``2, 3`` and from ``(2, 3)``."""
    if len(sizes) == 1 and isinstance(sizes[0], (tuple, list)):
        return tuple(sizes[0])
    return tuple(sizes)


def _only_likens(run: Run | None, z: Any) -> bool:
    """Whether z is a constant that is made like a carrier, which passes nothing on to it."""
    return run is not None and not active(run, z)


@rule("reshape", "view", kind="linear", view="perhaps")
def reshape(run: Run | None, z: Any, *shape: Any, **keywords: Any) -> Any:
    shape = shape or tuple(keywords.values())
    if run is None:
        return z.reshape(*shape)
    if isinstance(shape[0], torch.dtype):
        return apply_linear(run, torch.Tensor.view, (z, *shape), {})
    sizes = _numbers(shape)
    value = z.value.reshape(sizes)
    return _reshaped(run, z, value)


@rule("view_as", "reshape_as", kind="linear", view="perhaps")
def view_as(run: Run | None, z: Any, other: Any) -> Any:
    if _only_likens(run, z):
        return z.reshape(tuple(other.shape))
    return reshape(run, z, tuple(other.shape))


@rule("flatten", "ravel", kind="linear", view="perhaps")
def flatten(run: Run | None, z: Any, start_dim: int = 0, end_dim: int = -1) -> Any:
    if run is None:
        return torch.flatten(z, start_dim, end_dim)
    return _reshaped(run, z, torch.flatten(z.value, start_dim, end_dim))


@rule("unflatten", kind="linear", view=True)
def unflatten(run: Run | None, z: Any, dim: int, sizes: Any) -> Any:
    dim = behind(dim, z.ndim)
    return _map(run, z, lambda t: t.unflatten(dim, tuple(sizes)), full=True)


def _reshaped(run: Run, z: Any, value: Any) -> Any:
    shape = tuple(value.shape)

    def stack(s: Any) -> Any:
        if s is None:
            return None
        return spread(s, z.shape).reshape((s.shape[0], *shape))

    return Jet(run, value, stack(z.tangents), stack(z.curvature))


@rule("transpose", "swapaxes", "swapdims", kind="linear", view=True)
def transpose(run: Run | None, z: Any, dim0: int, dim1: int) -> Any:
    a, b = behind(dim0, z.ndim), behind(dim1, z.ndim)
    return _map(run, z, lambda t: t.transpose(a, b))


@rule("t", _T.T.__get__, kind="linear", view=True)
def t(run: Run | None, z: Any) -> Any:
    if z.ndim < 2:
        return _map(run, z, lambda s: s.view_as(s))
    return permute(run, z, *range(z.ndim - 1, -1, -1))


@rule(_T.mT.__get__, "adjoint", _T.mH.__get__, _T.H.__get__, kind="linear", view=True)
def matrix_transpose(run: Run | None, z: Any) -> Any:
    return _map(run, z, lambda s: s.transpose(-1, -2))


@rule("permute", kind="linear", view=True)
def permute(run: Run | None, z: Any, *dims: Any, **keywords: Any) -> Any:
    order = _numbers(dims or tuple(keywords.values()))
    if run is None:
        return z.permute(order)
    ndim = z.ndim
    inner = (0, *(d % ndim + 1 for d in order))

    def stack(s: Any) -> Any:
        return None if s is None else s.permute(inner)

    return Jet(run, z.value.permute(order), stack(z.tangents), stack(z.curvature))


@rule("movedim", "moveaxis", kind="linear", view=True)
def movedim(run: Run | None, z: Any, source: Any, destination: Any) -> Any:
    ends = []
    for dims in (source, destination):
        dims = (dims,) if isinstance(dims, int) else dims
        ends.append(tuple(behind(d, z.ndim) for d in dims))
    return _map(run, z, lambda s: s.movedim(*ends))


@rule("unsqueeze", kind="linear", view=True)
def unsqueeze(run: Run | None, z: Any, dim: int) -> Any:
    place = behind(dim, z.ndim + 1)
    return _map(run, z, lambda s: s.unsqueeze(place))


@rule("squeeze", kind="linear", view=True)
def squeeze(run: Run | None, z: Any, dim: Any = None) -> Any:
    dims = range(z.ndim) if dim is None else (dim,) if isinstance(dim, int) else dim
    single = tuple(d for d in (behind(d, z.ndim) for d in dims) if z.shape[d] == 1)
    return _map(run, z, lambda s: s.squeeze(single))


@rule("expand", kind="linear", view=True)
def expand(run: Run | None, z: Any, *sizes: Any, **keywords: Any) -> Any:
    shape = _numbers(sizes or tuple(v for k, v in keywords.items() if k != "implicit"))
    if run is None:
        return z.expand(shape)
    value = z.value.expand(shape)

    def stack(s: Any) -> Any:
        return None if s is None else lift(s, value.ndim)

    # Channels that are the same along a new dimension need not be repeated.
    return Jet(run, value, stack(z.tangents), stack(z.curvature))


@rule("expand_as", "broadcast_to", kind="linear", view=True)
def expand_as(run: Run | None, z: Any, other: Any) -> Any:
    if _only_likens(run, z):
        return z.expand(tuple(other.shape))
    shape = tuple(other.shape) if hasattr(other, "shape") else tuple(other)
    return expand(run, z, shape)


@rule("narrow", kind="linear", view=True)
def narrow(run: Run | None, z: Any, dim: int, start: Any, length: int) -> Any:
    d = behind(dim, z.ndim)
    return _map(run, z, lambda s: s.narrow(d, start, length), full=True)


@rule("select", kind="linear", view=True)
def select(run: Run | None, z: Any, dim: int, index: int) -> Any:
    d = behind(dim, z.ndim)
    return _map(run, z, lambda s: s.select(d, index), full=True)


@rule("contiguous", kind="linear", view="perhaps")
def contiguous(run: Run | None, z: Any, **keywords: Any) -> Any:
    if run is None:
        return z.contiguous(**keywords)
    return Jet(run, z.value.contiguous(**keywords), z.tangents, z.curvature)


@rule("clone", kind="linear")
def clone(run: Run, z: Any, **keywords: Any) -> Any:
    return Jet(run, torch.clone(z.value, **keywords), z.tangents, z.curvature)


def _indexes_a_view(z: Any, index: Any) -> bool:
    return all(_basic(i) for i in (index if isinstance(index, tuple) else (index,)))


@rule(_T.__getitem__, kind="linear", view=_indexes_a_view)
def getitem(run: Run | None, z: Any, index: Any) -> Any:
    if run is None:
        return z[index]
    if not active(run, z):
        # torch.compile swaps a carrier and a tensor that indexes it.
        z, index = index, z
    index = strip(run, index)
    items = index if isinstance(index, tuple) else (index,)
    if not all(_basic(i) for i in items):
        return apply_linear(run, lambda v: v[index], (z,), {})
    value = z.value[index]

    def stack(s: Any) -> Any:
        if s is None:
            return None
        if not is_spread(s, z.shape) and not _leaves_single(items, s, z.shape):
            s = spread(s, z.shape)
        return s[(slice(None), *items)]

    return Jet(run, value, stack(z.tangents), stack(z.curvature))


def _basic(item: Any) -> bool:
    if item is None or item is Ellipsis or isinstance(item, slice):
        return True
    return isinstance(item, int) and not isinstance(item, bool)


def _leaves_single(items: Sequence[Any], stack: Any, shape: Sequence[int]) -> bool:
    """Whether the index takes all of every dimension along which the stack is stored once."""
    used = sum(1 for i in items if i is not None and i is not Ellipsis)
    position = 0
    for item in items:
        if item is None:
            continue
        if item is Ellipsis:
            position += len(shape) - used
            continue
        single = stack.shape[position + 1] != shape[position]
        if single and not (isinstance(item, slice) and item == slice(None)):
            return False
        position += 1
    return True


@rule("to", "type", kind="linear", view="perhaps")
def to(run: Run | None, z: Any, *args: Any, **keywords: Any) -> Any:
    if run is None:
        return z.clone()
    if _only_likens(run, z):
        return z.to(*strip(run, args), **strip(run, keywords))
    value = z.value.to(*strip(run, args), **strip(run, keywords))
    if not (value.is_floating_point() or value.is_complex()):
        return value
    return _like(run, value, z)


@rule("type_as", kind="linear", view="perhaps")
def type_as(run: Run | None, z: Any, other: Any) -> Any:
    return to(run, z, dtype=other.dtype, device=other.device)


for _name in ("double", "float", "half", "bfloat16", "cpu", "cuda", "cdouble", "cfloat"):

    def _convert(run: Run | None, z: Any, *args: Any, _n: str = _name, **keywords: Any) -> Any:
        if run is None:
            return z.clone()
        return _like(run, getattr(z.value, _n)(*args, **keywords), z)

    rule(getattr(_T, _name), kind="linear", view="perhaps")(_convert)


def _like(run: Run, value: Any, z: Any) -> Any:
    def stack(s: Any) -> Any:
        return None if s is None else s.to(dtype=value.dtype, device=value.device)

    return Jet(run, value, stack(z.tangents), stack(z.curvature))
