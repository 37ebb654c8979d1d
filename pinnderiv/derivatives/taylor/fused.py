"""The chain rule of an elementwise function as one ``autograd.Function`` over all channels.

It works in place and keeps only z, its channels and φ(z) for the backward pass, where the
derivatives of φ are computed anew. With y_k = φ′ z_k and C_y = φ′ C_z + φ″ Q(z), and bars for
gradients with respect to what they stand on:

    C̄_z = φ′ C̄_y,    z̄_k = φ′ ȳ_k + φ″ Σ_c C̄_c ∂Q_c/∂z_k,
    z̄ = φ′ ȳ + φ″ (Σ_k ȳ_k z_k + Σ_c C̄_c C_c) + φ‴ Σ_c C̄_c Q_c.

Fresh memory is what costs most at the sizes of a training step: a temporary of a megabyte takes
longer to be mapped than to be filled.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from pinnderiv.derivatives.taylor.run import Nothing, Pairs, Run, Structure, Sum
from pinnderiv.derivatives.transforms import inside_transform, many_cotangents

# Below so many numbers a channel, one operation over all channels beats a loop over them.
_LOOP_FROM = 1 << 14


def applies(run: Run, z: Any) -> bool:
    """Whether the function may be used: ordinary real tensors, ordinary eager autograd."""
    structure = run.structure
    return (
        not torch.compiler.is_compiling()
        and z.tangents is not None
        and not (
            isinstance(structure, Sum)
            and structure.weights is not None
            and structure.numbers is None
        )
        and isinstance(z.value, Tensor)
        and not z.value.is_complex()
        and isinstance(z.tangents, Tensor)
        and not inside_transform()
    )


class Chain(torch.autograd.Function):
    """(z, tangents, curvature) -> (y, tangents, curvature) for y = φ(z)."""

    @staticmethod
    def forward(ctx: Any, v: Tensor, t: Tensor, c: Any, formula: Any, structure: Structure) -> Any:
        ctx.set_materialize_grads(False)
        y, first, second, _ = formula(v)
        curvature = None if isinstance(structure, Nothing) else _square(t, structure)
        if curvature is not None:
            curvature = _scaled(curvature, second)
            if c is not None:
                curvature.addcmul_(first, c)
        ctx.save_for_backward(v, t, c, y)
        ctx.formula, ctx.structure = formula, structure
        return y, first * t, curvature

    @staticmethod
    def backward(ctx: Any, gy: Any, gt: Any, gc: Any) -> Any:
        v, t, c, y = ctx.saved_tensors
        # many cotangents at once do not go into memory that is made for one
        if torch.is_grad_enabled() or many_cotangents(gy, gt, gc):
            return (*_again(v, t, c, ctx.formula, ctx.structure, gy, gt, gc), None, None)
        _, first, second, third = ctx.formula(v, y)
        grad_v = grad_t = grad_c = None
        if gt is not None:
            grad_t = gt * first
            grad_v = _inner(gt, t).mul_(second)
        if gc is not None:
            bend = second * gc
            grad_t = _bent_tangents(grad_t, t, bend, ctx.structure)
            bent = _inner_square(gc, t, ctx.structure).mul_(third())
            grad_v = bent if grad_v is None else grad_v.add_(bent)
            if c is not None:
                for k in range(len(gc)):
                    grad_v.addcmul_(bend[k], c[k])
                grad_c = first * gc
        if gy is not None:
            grad_v = first * gy if grad_v is None else grad_v.addcmul_(first, gy)
        return _shrink(grad_v, v), _shrink(grad_t, t), _shrink(grad_c, c), None, None


def _again(v: Any, t: Any, c: Any, formula: Any, structure: Any, gy: Any, gt: Any, gc: Any) -> Any:
    """The backward pass with a graph of its own, for gradients of gradients."""
    inputs = [v, t] if c is None else [v, t, c]
    with torch.enable_grad():
        y, first, second, _ = formula(v)
        pairs = [(y, gy), (first * t, gt)]
        square = structure.square(t)
        if square is not None:
            bent = second * square
            pairs.append((bent if c is None else bent + first * c, gc))
        # The slope of φ may be a constant, as that of z² is to constant tangents.
        live = [(o, g) for o, g in pairs if g is not None and o.requires_grad]
        wanted = [i for i in inputs if i.requires_grad]
        found = iter((None,) * len(wanted))
        if live and wanted:
            outputs, grads = zip(*live, strict=True)
            found = iter(
                torch.autograd.grad(outputs, wanted, grads, create_graph=True, allow_unused=True)
            )
    result = [next(found) if i.requires_grad else None for i in inputs]
    return result if c is not None else [*result, None]


def _scaled(stack: Tensor, factor: Tensor) -> Tensor:
    """stack · factor, in the stack's own memory where it has every entry."""
    return stack.mul_(factor) if stack.shape[1:] == factor.shape else stack * factor


def _square(t: Tensor, structure: Sum | Pairs) -> Tensor:
    """Q(t), without a temporary of the size of t where that matters."""
    if isinstance(structure, Pairs) or t[0].numel() < _LOOP_FROM:
        return structure.square(t)
    weights = structure.numbers or (1.0,) * len(t)
    result = t[0] * t[0]
    if weights[0] != 1.0:
        result.mul_(weights[0])
    for k in range(1, len(t)):
        if weights[k] != 0:
            result.addcmul_(t[k], t[k], value=weights[k])
    return result.unsqueeze(0)


def _inner_square(gc: Tensor, t: Tensor, structure: Sum | Pairs) -> Tensor:
    """Σ_c C̄_c Q_c(t), a fresh tensor."""
    if isinstance(structure, Sum):
        return _scaled(_square(t, structure), gc[0])[0]
    result = torch.zeros_like(gc[0])
    for k, (i, j) in enumerate(structure.pairs):
        result.addcmul_(t[i] * t[j], gc[k])
    return result


def _inner(g: Tensor, t: Tensor) -> Tensor:
    """Σ_k g_k t_k."""
    if g[0].numel() < _LOOP_FROM:
        return (g * t).sum(0)
    result = g[0] * t[0]
    for k in range(1, len(t)):
        result.addcmul_(g[k], t[k])
    return result


def _bent_tangents(
    grad_t: Tensor | None, t: Tensor, bend: Tensor, structure: Sum | Pairs
) -> Tensor:
    """Adds Σ_c bend_c ∂Q_c/∂t_k."""
    if isinstance(structure, Sum):
        weighted = structure.live(t)
        if structure.numbers is not None and not structure.plain:
            weights = t.new_tensor(structure.live(structure.numbers))
            weighted = weighted * weights.reshape((-1,) + (1,) * (t.ndim - 1))
        if grad_t is None and len(weighted) == len(t):
            return weighted * (2 * bend)
        if grad_t is None:
            grad_t = bend.new_zeros((len(t), *bend.shape[1:]))
        grad_t[: len(weighted)].addcmul_(weighted, bend, value=2)
        return grad_t
    if grad_t is None:
        grad_t = bend.new_zeros((len(t), *bend.shape[1:]))
    for k, (i, j) in enumerate(structure.pairs):
        grad_t[i].addcmul_(t[j], bend[k])
        grad_t[j].addcmul_(t[i], bend[k])
    return grad_t


def _shrink(grad: Tensor | None, like: Any) -> Tensor | None:
    """Sums over the dimensions along which ``like`` is stored once."""
    if grad is None or grad.shape == like.shape:
        return grad
    return grad.sum_to_size(like.shape)
