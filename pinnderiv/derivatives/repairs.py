"""Exact formulas in place of those of PyTorch that are wrong, or that cannot be differentiated.

While an engine runs f, some functions of `torch` are computed by elementary operations
instead. The values are the same to rounding; the derivatives become right at every order,
in forward and in reverse mode, gradients with respect to parameters included. Without
this the loss of a PINN with a LayerNorm has gradients that are wrong by tens of per cent,
silently, in every mode (the second backward pass drops a term).
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.overrides import TorchFunctionMode

_EXACT: dict[Callable[..., Any], Callable[..., Any]] = {}


@contextlib.contextmanager
def exact_formulas() -> Iterator[None]:
    """Within it, functions that a torch formula would get wrong are computed exactly."""
    if torch.compiler.is_compiling():
        yield
        return
    fastpath = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        # Fused attention kernels have no second derivative; the plain one is exact.
        with sdpa_kernel(SDPBackend.MATH), _ExactFormulas():
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fastpath)


class _ExactFormulas(TorchFunctionMode):
    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        exact = _EXACT.get(func)
        if exact is not None:
            result = exact(*args, **(kwargs or {}))
            if result is not NotImplemented:
                return result
        return func(*args, **(kwargs or {}))


def _replaces(*functions: Callable[..., Any]) -> Callable[[Callable[..., Any]], Any]:
    """Registers a formula; it returns NotImplemented for arguments it does not cover."""

    def register(formula: Callable[..., Any]) -> Callable[..., Any]:
        for function in functions:
            _EXACT[function] = formula
        return formula

    return register


@_replaces(F.layer_norm)
def _layer_norm(
    input: Tensor,
    normalized_shape: Any,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:
    dims = tuple(range(-len(tuple(normalized_shape)), 0))
    return _affine(_standardise(input, dims, eps), weight, bias)


@_replaces(torch.layer_norm)
def _torch_layer_norm(
    input: Tensor,
    normalized_shape: Any,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
    cudnn_enable: bool = True,
) -> Tensor:
    return _layer_norm(input, normalized_shape, weight, bias, eps)


@_replaces(F.instance_norm)
def _instance_norm(
    input: Tensor,
    running_mean: Tensor | None = None,
    running_var: Tensor | None = None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    use_input_stats: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Any:
    if not use_input_stats or running_mean is not None or running_var is not None:
        return NotImplemented
    shape = (-1, *(1,) * (input.ndim - 2))
    scaled = _standardise(input, tuple(range(2, input.ndim)), eps)
    return _affine(
        scaled,
        None if weight is None else weight.reshape(shape),
        None if bias is None else bias.reshape(shape),
    )


def _standardise(x: Tensor, dims: tuple[int, ...], eps: float) -> Tensor:
    centred = x - x.mean(dims, keepdim=True)
    return centred * torch.rsqrt((centred * centred).mean(dims, keepdim=True) + eps)


def _affine(x: Tensor, weight: Tensor | None, bias: Tensor | None) -> Tensor:
    if weight is not None:
        x = x * weight
    return x if bias is None else x + bias


@_replaces(F.glu)
def _glu(input: Tensor, dim: int = -1) -> Tensor:
    value, gate = input.chunk(2, dim)
    return value * torch.sigmoid(gate)


@_replaces(F.hardsigmoid)
def _hardsigmoid(input: Tensor, inplace: bool = False) -> Any:
    return NotImplemented if inplace else F.relu6(input + 3) / 6


@_replaces(torch.sinc, Tensor.sinc, torch.special.sinc)
def _sinc(input: Tensor, *, out: Tensor | None = None) -> Any:
    if out is not None or not input.is_floating_point():
        return NotImplemented
    z = math.pi * input
    near = z.abs() < 0.5
    square = z * z
    # Taylor series of sin(z)/z; at |z| < 0.5 twelve terms are exact to float64 rounding,
    # and so are their first derivatives.
    series = torch.zeros_like(z)
    for k in range(11, -1, -1):
        series = series * square + (-1) ** k / math.factorial(2 * k + 1)
    safe = torch.where(near, torch.ones_like(z), z)
    return torch.where(near, series, torch.sin(safe) / safe)


@_replaces(torch.abs, Tensor.abs, torch.absolute, Tensor.absolute)
def _abs(input: Tensor, *, out: Tensor | None = None) -> Any:
    # The formula for complex numbers drops a term where one of them is zero.
    if out is not None or not input.is_complex():
        return NotImplemented
    parts = torch.view_as_real(input.resolve_conj())
    return torch.sqrt((parts * parts).sum(-1))


@_replaces(torch.prod, Tensor.prod)
def _prod(
    input: Tensor,
    dim: int | None = None,
    keepdim: bool = False,
    *,
    dtype: torch.dtype | None = None,
    out: Tensor | None = None,
) -> Any:
    if out is not None or dtype is not None or not input.is_floating_point():
        return NotImplemented
    # Pairwise, so that no formula divides by a factor that may be zero.
    factors = input.reshape(-1) if dim is None else input.movedim(dim, -1)
    if input.ndim == 0 or factors.shape[-1] == 0:
        return NotImplemented
    while factors.shape[-1] > 1:
        half = factors.shape[-1] // 2
        rest = factors[..., 2 * half :]
        factors = torch.cat([factors[..., :half] * factors[..., half : 2 * half], rest], dim=-1)
    product = factors.squeeze(-1)
    if not keepdim:
        return product
    return product.reshape((1,) * input.ndim) if dim is None else product.unsqueeze(dim)


@_replaces(torch.linalg.vector_norm)
def _vector_norm(
    x: Tensor,
    ord: Any = 2,
    dim: Any = None,
    keepdim: bool = False,
    *,
    dtype: Any = None,
    out: Any = None,
) -> Any:
    if ord != 2 or dtype is not None or out is not None or not x.is_floating_point():
        return NotImplemented
    dims = tuple(range(x.ndim)) if dim is None else dim
    return torch.sqrt((x * x).sum(dims, keepdim=keepdim))


@_replaces(torch.norm, Tensor.norm)
def _norm(
    input: Tensor,
    p: Any = "fro",
    dim: Any = None,
    keepdim: bool = False,
    out: Any = None,
    dtype: Any = None,
) -> Any:
    if p not in (2, "fro", None):
        return NotImplemented
    return _vector_norm(input, 2, dim, keepdim, dtype=dtype, out=out)


@_replaces(torch.std, Tensor.std)
def _std(input: Tensor, *args: Any, **kwargs: Any) -> Any:
    # The gradient of std taken twice stops with an in-place error.
    return torch.sqrt(torch.var(input, *args, **kwargs)) if "out" not in kwargs else NotImplemented


@_replaces(torch.cdist)
def _cdist(x1: Tensor, x2: Tensor, p: float = 2.0, compute_mode: str | None = None) -> Any:
    if p != 2 or x1.ndim < 2 or x2.ndim < 2:
        return NotImplemented
    return _vector_norm(x1.unsqueeze(-2) - x2.unsqueeze(-3), 2, -1)


@_replaces(torch.det, torch.linalg.det, Tensor.det)
def _det(input: Tensor, *, out: Tensor | None = None) -> Any:
    size = input.shape[-1] if input.ndim >= 2 else 0
    if out is not None or not 1 <= size <= 3 or input.shape[-2] != size:
        return NotImplemented
    return _leibniz(input)


def _leibniz(a: Tensor) -> Tensor:
    """Expansion along the first row: a polynomial, so exact where a is singular too."""
    size = a.shape[-1]
    if size == 1:
        return a[..., 0, 0]
    columns = range(size)
    terms = [
        (-1) ** j * a[..., 0, j] * _leibniz(a[..., 1:, [k for k in columns if k != j]])
        for j in columns
    ]
    return sum(terms[1:], start=terms[0])
