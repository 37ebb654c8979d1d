"""What a pass starts from: directions and signed weights made into tangents and a structure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from pinnderiv.derivatives.request import Collapsed, directions_of
from pinnderiv.derivatives.taylor.run import Pairs, Structure, Sum
from pinnderiv.derivatives.transforms import inside_transform


@dataclass(frozen=True)
class Seed:
    """The start of a pass.

    Attributes:
        tangents: of the points, ``(K, 1, ..., D)`` or ``(K, *batch, D)``; None where K = 0, and
            for unit vectors.
        curvature: of the points, ``(C, 1, ..., D)`` or ``(C, *batch, D)`` for C channels, or
            C = 1 for the same in all; None for zero.
        structure: what the curvature channels will hold.
        weights: where the structure keeps the directions apart, what to sum their second
            derivatives with at the end, ``(K,)`` or ``(K, *batch)``; else None.
        columns: the coordinates, where the directions are unit vectors.
    """

    tangents: Any
    curvature: Any
    structure: Structure
    weights: Any = None
    columns: tuple[int, ...] = ()

    @property
    def channels(self) -> int:
        """K, the number of directions."""
        return len(self.columns) if self.tangents is None else self.tangents.shape[0]


def seed_of(request: Collapsed, x: Any, keeps: bool = False) -> Seed:
    """The start of a pass for Σ_k w_k v_kᵀ H v_k + b·∇f.

    Weights that are the same at every point go into the structure. Weights that differ from
    point to point are taken into the directions, √|w| v, with a sign for the structure; a
    direction whose weight changes its sign within the batch counts as two, one for either
    sign. The square root cannot be differentiated at w = 0: where a gradient with respect
    to the weights may be wanted, each direction keeps a curvature channel of its own.

    With ``keeps`` the tangents at the end of the pass are wanted too, and stay what they are.
    """
    curvature = None
    if request.first is not None:
        b = request.first
        missing = x.ndim - b.ndim
        curvature = b.reshape((1,) + (1,) * missing + tuple(b.shape))
    weights = request.weights
    columns = request.dims or ()
    if weights is None:
        # All one, known as such even where numbers cannot be looked at.
        directions = None if columns else directions_of(request, x)
        return Seed(directions, curvature, Sum(None), columns=columns)
    if weights.shape[0] == 0:
        return Seed(None, curvature, Sum(None))
    same = weights.ndim == 1
    if not same and not _may_need_gradient(weights):
        directions, signs = _into_directions(directions_of(request, x), weights)
        return Seed(directions, curvature, _same_everywhere(signs))
    count = weights.shape[0]
    directions = None if columns else directions_of(request, x)
    if same:
        return Seed(
            directions,
            curvature,
            _same_everywhere(weights, request.numbers, keeps),
            columns=columns,
        )
    if curvature is not None:
        # b·∇ gets a channel of its own, with no direction and the weight 1: in the others it
        # would be weighted with them.
        directions, columns, count = directions_of(request, x), (), count + 1
        directions = torch.cat([directions, torch.zeros_like(directions[:1])])
        nothing = torch.zeros_like(curvature).expand((count - 1, *curvature.shape[1:]))
        curvature = torch.cat([nothing, curvature])
        weights = torch.cat([weights, torch.ones_like(weights[:1])])
    apart = Pairs(range(count), range(count), count, x.device)
    return Seed(directions, curvature, apart, weights, columns)


def _same_everywhere(
    weights: Tensor, numbers: tuple[float, ...] | None = None, keeps: bool = False
) -> Sum:
    if numbers is None and _looks_constant(weights) and not _being_captured(weights):
        numbers = tuple(weights.tolist())
    if numbers is not None and all(n == 1 for n in numbers):
        return Sum(None, keeps=keeps)
    return Sum(weights, numbers, keeps)


def _looks_constant(weights: Any) -> bool:
    return isinstance(weights, Tensor) and not _may_need_gradient(weights)


def _being_captured(weights: Tensor) -> bool:
    """Whether a CUDA graph is being recorded, during which no number may be read."""
    return weights.is_cuda and torch.cuda.is_current_stream_capturing()


def _may_need_gradient(weights: Any) -> bool:
    """Whether a gradient with respect to the weights cannot be excluded."""
    return (
        not isinstance(weights, Tensor)
        or weights.requires_grad
        or inside_transform()
        or torch.compiler.is_compiling()
    )


def _into_directions(directions: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    """√|w| v for each sign that occurs, and the signs ``(K',)``."""
    positive = weights.clamp(min=0).sqrt()
    negative = (-weights).clamp(min=0).sqrt()
    count = weights.shape[0]
    over_batch = tuple(range(1, weights.ndim))
    rises = (positive > 0).sum(over_batch) > 0
    falls = (negative > 0).sum(over_batch) > 0
    # A weight that is zero everywhere still needs a direction if there is no other.
    if not bool((rises | falls).any()):
        rises = torch.ones(count, dtype=torch.bool, device=weights.device)
    made = [positive[rises].unsqueeze(-1) * directions[rises]]
    made.append(negative[falls].unsqueeze(-1) * directions[falls])
    signs = torch.cat([torch.ones(len(made[0])), -torch.ones(len(made[1]))])
    return torch.cat(made), signs.to(weights)
