"""A polygon cut into horizontal slabs, as a deterministic image of the unit square."""

from __future__ import annotations

import torch
from torch import Tensor


class Slabs:
    """The slabs between neighbouring heights of vertices: in each, the inside is trapezoids.

    One column of a unit point gives the height, by the area below it; the other the place
    across, by the width at that height (Rosenblatt 1952). So the map is uniform, and near
    points have near images.

    Args:
        starts: (edges, 2), where the edges of a simple polygon begin.
        ends: (edges, 2), where they end.
    """

    def __init__(self, starts: Tensor, ends: Tensor) -> None:
        heights = starts[:, 1].unique()
        self._bottom, self._top = heights[:-1], heights[1:]
        low = torch.minimum(starts[:, 1], ends[:, 1])
        high = torch.maximum(starts[:, 1], ends[:, 1])
        crossing = (low <= self._bottom[:, None]) & (high >= self._top[:, None])
        crossing &= (high > low)[None, :]
        # Edges that cross a slab do not cross each other in it: sort them by their middle.
        slope = torch.where(
            high > low, (ends - starts)[:, 0] / torch.where(high > low, (ends - starts)[:, 1], 1), 0
        )
        middle = (self._bottom + self._top)[:, None] / 2
        place = starts[:, 0] + slope * (middle - starts[:, 1])
        order = torch.where(crossing, place, torch.inf).argsort(dim=1)
        count = crossing.sum(dim=1)
        most = int(count.max())
        edges = order[:, :most]
        valid = torch.arange(most) < count[:, None]

        def across(height: Tensor) -> Tensor:
            """Widths (slabs, pairs) of the parts inside, at one height a slab."""
            at = starts[edges, 0] + slope[edges] * (height[:, None] - starts[edges, 1])
            at = torch.where(valid, at, 0.0)
            return (at[:, 1::2] - at[:, 0::2]).clamp(min=0)

        self._pairs = count // 2
        self._left = (starts[edges[:, 0::2]], slope[edges[:, 0::2]])
        self._low_widths, self._high_widths = across(self._bottom), across(self._top)
        self._low, self._high = self._low_widths.sum(dim=1), self._high_widths.sum(dim=1)
        areas = (self._low + self._high) / 2 * (self._top - self._bottom)
        self._ends = areas.cumsum(0)

    def fill(self, unit: Tensor) -> Tensor:
        """Maps float64 unit points (N, 2) into the polygon, uniformly in area."""
        device = unit.device
        area = unit[:, 0].cpu().contiguous() * self._ends[-1]
        slab = torch.bucketize(area, self._ends[:-1].contiguous(), right=True)
        below = torch.where(slab > 0, self._ends[(slab - 1).clamp(min=0)], 0.0)
        thick = (self._top - self._bottom)[slab]
        low, high = self._low[slab], self._high[slab]
        # low·s + (high − low)·s²/2 = area/thick for the share s of the height, in the form of
        # the root that does not cancel.
        target = ((area - below) / thick).clamp(min=0)
        square = (low * low + 2 * (high - low) * target).clamp(min=0)
        share = (2 * target / (low + square.sqrt()).clamp(min=1e-300)).clamp(0, 1)
        height = self._bottom[slab] + share * thick

        widths = (1 - share)[:, None] * self._low_widths[slab] + share[:, None] * (
            self._high_widths[slab]
        )
        along = unit[:, 1].cpu() * widths.sum(dim=1)
        reach = widths.cumsum(dim=1)
        pair = (along[:, None] >= reach[:, :-1]).sum(dim=1)
        # Rounding can carry the place past the last part, where padding begins.
        pair = torch.minimum(pair, self._pairs[slab] - 1)
        rows = torch.arange(len(unit))
        before = torch.where(pair > 0, reach[rows, (pair - 1).clamp(min=0)], 0.0)
        (start, slope) = self._left[0][slab, pair], self._left[1][slab, pair]
        place = start[:, 0] + slope * (height - start[:, 1]) + (along - before)
        return torch.stack([place, height], dim=1).to(device)
