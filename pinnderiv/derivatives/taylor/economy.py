"""First-layer economy: fewer directions, where there are more than the layer is wide.

A weighted sum of second derivatives depends on the tangents only through Σ_k w_k t_k t_kᵀ.
Behind the first linear layer the tangents are the same at every point: K columns of its
weight matrix, of length n, the layer's width. Where K > n they are replaced by n others of
the same Gram matrix, the rows of R in V = Q R (one such factorisation for positive, one for
negative weights). From there on the pass costs n + 2 channels instead of K + 2, exactly.

A carrier behind that point belongs to a pass of its own, whose `root` is the original one.
Where it meets a carrier with the original directions its tangents are turned back by Q.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from pinnderiv.derivatives.taylor.jet import Jet
from pinnderiv.derivatives.taylor.run import Run, Sum
from pinnderiv.derivatives.transforms import inside_transform

# A factorisation runs at a fraction of the speed of the matrix products that it saves.
_FACTORISATION_COST = 10


def economise(jet: Any) -> Any:
    """The carrier with fewer directions, where that pays; else as it is."""
    run = jet.run
    if not _pays(run, jet):
        return jet
    tangents = jet.tangents.reshape(run.channels, jet.shape[-1])
    structure = run.structure
    numbers = structure.numbers or (1.0,) * run.channels
    turns: list[Turn] = []
    kept: list[Tensor] = []
    weights: list[float] = []
    for sign in (1.0, -1.0):
        rows = [k for k, w in enumerate(numbers) if w * sign > 0]
        if not rows:
            continue
        whole = len(rows) == run.channels
        index = None if whole else torch.tensor(rows, device=tangents.device)
        v = tangents if index is None else tangents.index_select(0, index)
        if structure.numbers is not None and any(abs(numbers[k]) != 1 for k in rows):
            scale = v.new_tensor([abs(numbers[k]) ** 0.5 for k in rows]).unsqueeze(-1)
        else:
            scale = None
        v = v if scale is None else v * scale
        if len(rows) > v.shape[-1]:
            rotation, v = _Factor.apply(v)
        else:
            rotation = None
        turns.append(Turn(v.shape[0], index, scale, rotation))
        kept.append(v)
        weights += [sign] * v.shape[0]
    stack = kept[0] if len(kept) == 1 else torch.cat(kept)
    constant = None if all(w == 1 for w in weights) else stack.new_tensor(weights)
    inner = Run(
        run.level,
        len(weights),
        Sum(constant, None if constant is None else tuple(weights)),
        run.grad_enabled,
        run.strict,
        run.log,
        root=run,
        turns=tuple(turns),
    )
    run.shared = True
    shape = (len(weights), *(1,) * (jet.ndim - 1), jet.shape[-1])
    return Jet(inner, jet.value, stack.reshape(shape), jet.curvature)


def _pays(run: Run, jet: Any) -> bool:
    if run.root is not None or not isinstance(run.structure, Sum) or jet.tangents is None:
        return False
    if run.structure.keeps:
        return False
    width, count = jet.shape[-1], run.channels
    rows = jet.numel() // max(width, 1)
    return (
        rows * (count - width) > _FACTORISATION_COST * count
        and jet.tangents.numel() == count * width
        and (run.structure.weights is None or run.structure.numbers is not None)
        and isinstance(jet.tangents, Tensor)
        and isinstance(jet.value, Tensor)
        and not inside_transform()
    )


@dataclass(frozen=True)
class Turn:
    """How some of the original directions follow from new ones: t_k = (Q t′)_k / √|w_k|.

    Attributes:
        count: how many new directions it takes.
        index: which of the original directions, ``(k,)``; None for all.
        scale: √|w|, ``(k, 1)``; None where all are one.
        rotation: Q, ``(k, count)``; None where nothing was factorised.
    """

    count: int
    index: Tensor | None
    scale: Tensor | None
    rotation: Tensor | None


def restored(jet: Any) -> Any:
    """The carrier with the original directions of its root pass."""
    run = jet.run
    root = run.root
    if jet.tangents is None:
        return Jet(root, jet.value, None, jet.curvature)
    flat = jet.tangents.reshape(run.channels, -1)
    made = flat.new_zeros((root.channels, flat.shape[1]))
    start = 0
    for turn in run.turns:
        part = flat[start : start + turn.count]
        start += turn.count
        if turn.rotation is not None:
            part = turn.rotation @ part
        if turn.scale is not None:
            part = part / turn.scale
        made = part if turn.index is None else made.index_copy(0, turn.index, part)
    made = made.reshape((root.channels, *jet.tangents.shape[1:]))
    return Jet(root, jet.value, made, jet.curvature)


def restore_in_place(run: Run, jet: Any) -> None:
    """Gives a carrier that is about to be changed in place the directions of ``run``."""
    if jet.run is not run and jet.run.root is run:
        whole = restored(jet)
        jet.run, jet.tangents = run, whole.tangents


class _Factor(torch.autograd.Function):
    """V = Q R, ``(K, n) -> (K, n), (n, n)``, for uses that do not see a rotation of R.

    The pass uses R through RᵀR, and Q only together with R. Such a use does not change under
    (Q, R) -> (Q Ωᵀ, Ω R), so of the derivative of the factorisation only
    dR = Qᵀ dV and dQ = (1 − Q Qᵀ) dV R⁻¹ is seen, which unlike the whole is defined for
    every V as long as Q is not differentiated.
    """

    @staticmethod
    def forward(ctx: Any, v: Tensor) -> tuple[Tensor, Tensor]:
        q, r = torch.linalg.qr(v)
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(q, r)
        return q, r

    @staticmethod
    def backward(ctx: Any, gq: Any, gr: Any) -> Any:
        q, r = ctx.saved_tensors
        grad = None if gr is None else q @ gr
        if gq is not None:
            outside = gq - q @ (q.mT @ gq)
            # No triangular solver: R turns out of its triangle as V moves.
            turned = torch.linalg.solve(r, outside.mT).mT
            grad = turned if grad is None else grad + turned
        return grad
