"""The solution over slabs of time, as one function: in each slab the network of that slab."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from pinnderiv.derivatives import partial
from pinnderiv.networks.trial_solution import Lift


class Piecewise(nn.Module):
    """u over all of time, (*batch, D) -> (*batch, 1); the last column is time.

    Slab k reaches from above t_k up to and with t_(k+1); before the first and after the last, the
    nearest one's formula goes on. With networks alone, u is the network of the slab. With hard
    constraints the networks v_k vanish on the walls and at the start of their slab, and

        u = lift + Σ_(j<k) [v_j + (t − t_(j+1)) ∂_t v_j](x, t_(j+1)) + v_k(x, t)   in slab k:

    what a slab has added is continued in time by its tangent (first order in time: by its value),
    so that u and u_t join to rounding, whatever the networks, and no slab's formula holds that of
    another.

    Args:
        slabs: the trained part of each slab, in their order.
        joins: the times between them, one fewer.
        continued: derivatives that join: 0 for none (networks alone), 1 for u, 2 for u_t too.
        lift: has the boundary values of all times and the initial values; None for zero.
    """

    def __init__(
        self,
        slabs: Sequence[nn.Module],
        joins: Sequence[float],
        continued: int,
        lift: Lift | None = None,
    ) -> None:
        super().__init__()
        self.slabs = nn.ModuleList(slabs)
        self.joins = list(joins)
        self.continued = continued
        self.lift = lift

    def forward(self, x: Tensor) -> Tensor:
        time = x[..., -1:]
        # a choice for each row, not of rows: so every transform of torch.func can follow
        slab = torch.stack([time > join for join in self.joins]).sum(dim=0)
        total = torch.zeros_like(time) if self.lift is None else self.lift(x)
        for k, part in enumerate(self.slabs):
            total = total + torch.where(slab == k, part(x), 0.0)
            if self.continued and k < len(self.joins):
                total = total + torch.where(slab > k, self.tangent(k, x), 0.0)
        return total

    def tangent(self, k: int, x: Tensor) -> Tensor:
        """What slab k adds to all later ones."""
        time = x[..., -1:]
        at_end = torch.cat([x[..., :-1], 0.0 * time + self.joins[k]], dim=-1)
        value = self.slabs[k](at_end)
        if self.continued == 1:
            return value
        # the network was examined when it was trained
        rate = partial(self.slabs[k], (x.shape[-1] - 1,), check=False)(at_end)
        return value + (time - self.joins[k]) * rate


class Past(nn.Module):
    """What is known in a slab before it is trained: all of :class:`Piecewise` but its own part.

    Args:
        whole: the solution.
        slab: index of the slab.
    """

    def __init__(self, whole: Piecewise, slab: int) -> None:
        super().__init__()
        self.whole = whole
        self.slab = slab

    @property
    def terms(self) -> int:
        """Evaluations a point: of the data, and of the networks before."""
        lift = self.whole.lift
        return (0 if lift is None else lift.terms) + self.whole.continued * self.slab

    def forward(self, x: Tensor) -> Tensor:
        lift = self.whole.lift
        total = torch.zeros_like(x[..., -1:]) if lift is None else lift(x)
        for before in range(self.slab):
            total = total + self.whole.tangent(before, x)
        return total
