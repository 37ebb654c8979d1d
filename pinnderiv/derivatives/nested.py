"""Engine "nested": torch.func.jvp inside jvp, vmapped over directions.

Forward mode along v gives ∂_v f beside f; forward mode of that along w gives ∂_w∂_v f.
n levels carry 2ⁿ numbers for each direction tuple and give every mixed derivative of
order up to n. This is the reference engine: short, exact, and of any order. Where the
formulas of PyTorch's forward mode are wrong it is wrong too; `safety.py` watches that.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.func import jvp, vmap

from pinnderiv.derivatives.engine import Engine, Function
from pinnderiv.derivatives.request import Collapsed, MultiIndex, directions_of, unit_vectors
from pinnderiv.derivatives.transforms import attached


class NestedEngine(Engine):
    """Exact derivatives of any order by nested forward mode."""

    name = "nested"

    def jacobian(self, f: Function, x: Tensor) -> tuple[Tensor, Tensor]:
        value, slope = _along(f, x, [unit_vectors(range(x.shape[-1]), x)])
        return value[0], slope.movedim(0, -1)

    def second_derivatives(self, f: Function, x: Tensor) -> tuple[Tensor, Tensor]:
        basis = unit_vectors(range(x.shape[-1]), x)
        value, _, _, second = _along(f, x, [basis, basis])
        return value[0], second.movedim(0, -1)

    def hessian(self, f: Function, x: Tensor) -> tuple[Tensor, Tensor]:
        columns = x.shape[-1]
        rows, cols = torch.triu_indices(columns, columns, device=x.device)
        basis = unit_vectors(range(columns), x)
        value, _, _, second = _along(f, x, [basis[rows], basis[cols]])
        place = torch.empty(columns, columns, dtype=torch.long, device=x.device)
        pairs = torch.arange(len(rows), device=x.device)
        place[rows, cols] = pairs
        place[cols, rows] = pairs
        return value[0], second.movedim(0, -1)[..., place]

    def collapsed(self, f: Function, x: Tensor, request: Collapsed) -> tuple[Tensor, Tensor]:
        directions = directions_of(request, x)
        weights = request.weights
        if request.first is not None:
            # b·∇ rides along as one more direction whose second derivative is not used.
            b = request.first.expand_as(x)[None]
            directions = torch.cat([directions.expand(-1, *x.shape), b])
        value, slope, _, second = _along(f, x, [directions, directions])
        count = weights.shape[0]
        shape = (count, *(1,) * (second.ndim - 2), 1)
        if weights.ndim > 1:
            shape = (*weights.shape, 1)
        result = (weights.reshape(shape) * second[:count]).sum(0)
        if request.first is not None:
            result = result + slope[-1]
        return value[0], result

    def partials(
        self, f: Function, x: Tensor, indices: Sequence[MultiIndex]
    ) -> dict[MultiIndex, Tensor]:
        tuples = _cover(indices)
        order = len(tuples[0])
        if order == 0:
            return {(): f(x)}
        basis = unit_vectors(range(x.shape[-1]), x)
        levels = [basis[[t[level] for t in tuples]] for level in range(order)]
        carried = _along(f, x, levels)
        result = {}
        for index in indices:
            row, mask = next(
                (row, mask)
                for row, t in enumerate(tuples)
                if (mask := _submask(index, t)) is not None
            )
            result[index] = carried[mask][row]
        return result

    def hvp(self, f: Function, x: Tensor, v: Tensor) -> Tensor:
        basis = unit_vectors(range(x.shape[-1]), x)
        _, _, _, second = _along(f, x, [basis, v[None].expand(len(basis), *v.shape)])
        return second.movedim(0, -1)


def _along(f: Function, x: Tensor, levels: Sequence[Tensor]) -> tuple[Tensor, ...]:
    """Every mixed derivative along K tuples of directions, in one call of ``f``.

    Args:
        f: the function.
        x: points ``(*batch, D)``.
        levels: one tensor of directions for each order, ``(K, D)`` or ``(K, *batch, D)``.

    Returns:
        2ⁿ tensors ``(K, *batch, M)``; bit j of the position says whether level j was used,
        so position 0 is the value and position 2ⁿ − 1 the derivative along all levels.
    """

    def nest(y: Tensor, directions: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        if not directions:
            return (f(y),)
        *inner, last = directions
        pair = jvp(lambda z: nest(z, tuple(inner)), (y,), (last.expand_as(y),))
        return pair[0] + pair[1]

    # Forward mode refuses memory that several rows share, as expand() leaves it.
    x = x.contiguous()
    # randomness="same": a function that draws random numbers draws them once for all
    # directions, so that what comes back belongs to one function.
    carried = vmap(lambda *directions: nest(x, directions), randomness="same")(*levels)
    return (carried[0], *(attached(tensor, carried[0]) for tensor in carried[1:]))


def _cover(indices: Sequence[MultiIndex]) -> list[MultiIndex]:
    """Few tuples of equal length such that each index is a part of one of them.

    A tuple of n directions yields all derivatives by its parts, so (0, 0) serves () and
    (0,) too, and left-over lower orders share a tuple where they fit.
    """
    order = max(len(index) for index in indices)
    tuples: list[Counter[int]] = []
    for index in sorted(indices, key=len, reverse=True):
        wanted = Counter(index)
        if any(wanted <= t for t in tuples):
            continue
        for position, t in enumerate(tuples):
            if (t | wanted).total() <= order:
                tuples[position] = t | wanted
                break
        else:
            tuples.append(wanted)
    padded = []
    for t in tuples:
        columns = sorted(t.elements())
        padded.append(tuple(columns + columns[-1:] * (order - len(columns))))
    return padded


def _submask(index: MultiIndex, columns: MultiIndex) -> int | None:
    """The bits of ``columns`` that spell ``index``, or None where it is no part of it."""
    mask, left = 0, Counter(index)
    for position, column in enumerate(columns):
        if left[column] > 0:
            left[column] -= 1
            mask |= 1 << position
    return mask if left.total() == 0 else None
