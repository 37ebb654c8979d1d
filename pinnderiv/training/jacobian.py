"""Jacobians of residuals by the parameters, a block of rows at a time.

Where each residual belongs to one point, ``vmap(grad(...))`` over the points gives all rows of a
block at once: for a linear layer that is a batch of outer products, inputs times cotangents, and
costs about one backward pass in all. For any other residual a block of rows is a batch of backward
passes through one graph, and each goes through all points.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.func import grad_and_value, jacrev, vmap

from pinnderiv.derivatives.transforms import graph_nodes

# Numbers of one block of the Jacobian while it is being computed: 16 MB in float64.
_BLOCK = 2_000_000
# How many gradients of the graph's largest tensor a backward pass holds at a time, roughly.
_ALIVE = 4


def jacobian_of_rows(
    function: Callable[..., Tensor],
    parameters: dict[str, Tensor],
    columns: Sequence[Tensor],
    outputs: int = 1,
) -> tuple[Tensor, Tensor]:
    """Residuals of single points, and their gradients.

    Args:
        function: ``function(parameters, *row)`` is the residual at one point: 0-d, or (M,) for
            more than one.
        parameters: by what the derivatives are taken.
        columns: (N, ...) each; a row of each belongs to a point.
        outputs: M.

    Returns:
        Values (N · M,) and gradients (N · M, P).
    """
    rows = max(1, _BLOCK // (outputs * sum(each.numel() for each in parameters.values())))
    over = (None, *(0 for _ in columns))
    if outputs == 1:
        together = vmap(grad_and_value(function), in_dims=over)
    else:

        def twice(parameters: dict[str, Tensor], *row: Tensor) -> tuple[Tensor, Tensor]:
            value = function(parameters, *row)
            return value, value

        together = vmap(jacrev(twice, has_aux=True), in_dims=over)
    values, gradients = [], []
    for few in zip(*(each.split(rows) for each in columns), strict=True):
        gradient, value = together(parameters, *few)
        values.append(value.reshape(-1))
        flat = [each.reshape(len(few[0]) * outputs, -1) for each in gradient.values()]
        gradients.append(torch.cat(flat, dim=1))
    return torch.cat(values), torch.cat(gradients)


def jacobian_of_graph(residual: Tensor, parameters: Sequence[Tensor]) -> Tensor:
    """The Jacobian (R, P) of a residual vector (R,) that was computed with a graph.

    It is right for whatever autograd is right for, and asks nothing of the residual. The graph
    can be used once more.
    """
    size = sum(each.numel() for each in parameters)
    # where a residual branches, it may be a constant for now
    if not residual.requires_grad:
        return residual.new_zeros(len(residual), size)
    probe = torch.autograd.grad(residual.sum(), parameters, retain_graph=True, allow_unused=True)
    used = [each for each, found in zip(parameters, probe, strict=True) if found is not None]
    if not used:
        return residual.new_zeros(len(residual), size)

    def backward(cotangent: Tensor) -> tuple[Tensor, ...]:
        return torch.autograd.grad(residual, used, cotangent, retain_graph=True)

    rows = max(1, _BLOCK // max(size, _ALIVE * _largest(residual)))
    blocks = []
    for start in range(0, len(residual), rows):
        some = residual.new_zeros(min(rows, len(residual) - start), len(residual))
        some[:, start:].fill_diagonal_(1)
        found = iter(_batch(backward, some))
        flat = [
            each.new_zeros(len(some), each.numel())
            if gradient is None
            else next(found).reshape(len(some), -1)
            for each, gradient in zip(parameters, probe, strict=True)
        ]
        blocks.append(torch.cat(flat, dim=1).detach())
    return torch.cat(blocks)


def _batch(
    backward: Callable[[Tensor], tuple[Tensor, ...]], cotangents: Tensor
) -> tuple[Tensor, ...]:
    try:
        found: tuple[Tensor, ...] = vmap(backward)(cotangents)
        return found
    except torch.OutOfMemoryError:
        raise
    except RuntimeError:
        # an operation in the graph that vmap cannot batch: one cotangent after the other
        rows = [backward(each) for each in cotangents]
        return tuple(torch.stack(parts) for parts in zip(*rows, strict=True))


def _largest(residual: Tensor) -> int:
    """Numbers of the largest gradient that a backward pass makes."""
    sizes = (
        math.prod(each.shape)
        for node in graph_nodes(residual)
        for each in getattr(node, "_input_metadata", ())
    )
    return max(sizes, default=len(residual))
