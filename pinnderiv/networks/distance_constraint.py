"""Dirichlet and initial conditions satisfied exactly on domains of any shape, by distances."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import reduce

import torch
from torch import Tensor, nn

from pinnderiv.errors import ArgumentError
from pinnderiv.networks.constants import ConstantsModule
from pinnderiv.networks.lift import BoundaryData
from pinnderiv.networks.trial_solution import Lift, TrialSolution

Distance = Callable[[Tensor], Tensor]
"""(*batch, D) -> (*batch, 1): zero on a part of the boundary, positive elsewhere, smooth."""

_TINY = 1e-30  # well inside the range of float32, and far below any product of distances


class DistanceConstraint(TrialSolution):
    """u(x) = lift(x) + B(x) · network(x), (*batch, D) -> (*batch, M), whatever the domain's shape.

    B = ∏ φ_k/ℓ_k over the distances φ_k to the parts of the boundary where u is given, times the
    share s of time that has passed, or s² where u_t is given too. A product is smooth where two
    parts meet, unlike the least distance and its smooth stand-ins of slope one. Where the φ_k are
    polynomials it is one, so that a smooth u makes a smooth network: ratios that level off, such
    as r/√(1 + r²), cost two to seven digits on a disc. The lift is :class:`BlendedLift`.

    Args:
        network: (*batch, D) -> (*batch, M).
        inputs: D; time is the last column.
        distances: for each condition those to the parts of the boundary that it is about.
        lengths: in the form of ``distances``, of what size each is inside.
        values: u for each condition, (N, D) -> (N, M), in all of the domain; an entry that is
            ``None`` is zero. ``None`` for all: all data are zero, those at the start too.
        duration: start and end of time; ``None`` without time, or where the start is free.
        time_order: 0 without time, 1 if u is given at the start, 2 if u_t is too.
        start: u at the start; ``None`` for zero.
        velocity: u_t at the start; ``None`` for zero.
        rates: the derivatives of ``values`` by time, for ``time_order`` 2; ``None`` for zero.

    Raises:
        ArgumentError: the arguments do not go together, or nothing is given anywhere.
    """

    times: Tensor

    def __init__(
        self,
        network: nn.Module,
        inputs: int,
        distances: Sequence[Sequence[Distance]],
        lengths: Sequence[Sequence[float]],
        values: Sequence[BoundaryData | None] | None = None,
        duration: tuple[float, float] | None = None,
        time_order: int = 0,
        start: BoundaryData | None = None,
        velocity: BoundaryData | None = None,
        rates: Sequence[BoundaryData | None] | None = None,
    ) -> None:
        super().__init__(network)
        if time_order not in ((0,) if duration is None else (1, 2)):
            raise ArgumentError(
                "time_order must be 0 without a duration, and 1 (u is given at the start) or 2 (u "
                f"and u_t are) with one; got {time_order}."
            )
        if values is not None and len(values) != len(distances):
            raise ArgumentError(
                f"values must have one entry for each of the {len(distances)} conditions; got "
                f"{len(values)}."
            )
        if not distances and duration is None:
            raise ArgumentError("there is nothing to build in: no distances and no duration.")
        self.inputs = inputs
        self.time_order = time_order
        self.rises = Rises(distances, lengths)
        self.register_constant("times", [0.0, 1.0] if duration is None else list(duration))
        initial = [] if duration is None else [start, velocity][:time_order]
        given = [*(values or ()), *initial]
        self.lift = (
            BlendedLift(self.rises, values or [], self._exact["times"][0].item(), initial, rates)
            if values is not None and any(each is not None for each in given)
            else None
        )

    @property
    def columns(self) -> int:
        return self.inputs

    def factor(self, x: Tensor) -> Tensor:
        factors = self.rises(x)
        if self.time_order:
            start, end = self.times[0], self.times[1]
            share = (x[..., -1:] - start) / (end - start)
            factors.append(share * share if self.time_order == 2 else share)
        return reduce(torch.mul, factors)

    def without_data(self, network: nn.Module, start: float, end: float) -> DistanceConstraint:
        return DistanceConstraint(
            network,
            self.inputs,
            self.rises.distances,
            self.rises.by_condition,
            duration=(start, end) if self.time_order else None,
            time_order=self.time_order,
        )


class Rises(ConstantsModule):
    """For each condition a function that is zero on its parts of the boundary and else positive.

    Args:
        distances: for each condition those to the parts of the boundary that it is about.
        lengths: in the form of ``distances``, of what size each is inside.

    Raises:
        ArgumentError: there is not one length above zero for each distance.
    """

    lengths: Tensor

    def __init__(
        self, distances: Sequence[Sequence[Distance]], lengths: Sequence[Sequence[float]]
    ) -> None:
        super().__init__()
        if [len(each) for each in lengths] != [len(each) for each in distances]:
            raise ArgumentError("lengths must have one number for each of the distances.")
        every = [length for each in lengths for length in each]
        if not all(0 < length < float("inf") for length in every):
            raise ArgumentError(f"lengths must be finite and above zero; got {every}.")
        self.distances = [list(each) for each in distances]
        self.by_condition = [list(each) for each in lengths]
        self.register_constant("lengths", every)

    def forward(self, x: Tensor) -> list[Tensor]:
        """∏ φ/ℓ for each condition, (*batch, D) -> a list of (*batch, 1)."""
        found, lengths = [], iter(self.lengths.unbind())
        for distances in self.distances:
            found.append(reduce(torch.mul, [each(x) / next(lengths) for each in distances]))
        return found


class BlendedLift(Lift):
    """A function with given values on several parts of a boundary, and at the start of time.

    G(x) = Σ w_i(x) g_i(x), w_i = ∏_(j≠i) b_j / Σ_k ∏_(j≠k) b_j, with b_i zero on part i alone: on
    part i w_i is one and the others are zero (transfinite interpolation by inverse distances:
    Rvachev, Sheiko, Shapiro and Tsukanov, Computer Aided Geometric Design 2001). At the start t₀

        lift = G + u₀ − G(t₀) + (t − t₀) (v₀ − G_t(t₀)),

    which on the boundary is G as far as the data agree where it begins.

    Args:
        rises: makes the b_i.
        values: the g_i, (N, D) -> (N, M); ``None`` for zero.
        start: t₀; time is the last column.
        initial: u₀ and, if u_t is given too, v₀; ``None`` for zero each.
        rates: the derivatives of the g_i by time, where u_t is given; ``None`` for zero.
    """

    start: Tensor

    def __init__(
        self,
        rises: Rises,
        values: Sequence[BoundaryData | None],
        start: float,
        initial: Sequence[BoundaryData | None],
        rates: Sequence[BoundaryData | None] | None = None,
    ) -> None:
        super().__init__()
        self.rises = rises
        self.order = len(initial)
        slopes = [None] * len(values) if rates is None else rates
        self.values = nn.ModuleList(_Data(each) for each in values)
        self.rates = nn.ModuleList(_Data(each) for each in slopes)
        self.initial = nn.ModuleList(_Data(each) for each in initial)
        self.register_constant("start", [start])

    @property
    def terms(self) -> int:
        every = [*self.values, *self.rates, *self.initial, *(self.values if self.order else ())]
        return max(sum(each.function is not None for each in every), 1)

    def forward(self, x: Tensor) -> Tensor:
        lifted = self._blend(self.values, x)
        if not self.order:
            return lifted
        # not in place: points may be a row inside vmap
        at_start = torch.cat([x[..., :-1], torch.zeros_like(x[..., -1:]) + self.start], dim=-1)
        given, *rates = [each(at_start) for each in self.initial]
        lifted = lifted + given - self._blend(self.values, at_start)
        for rate in rates:
            gap = rate - self._blend(self.rates, at_start)
            lifted = lifted + (x[..., -1:] - self.start) * gap
        return lifted

    def _blend(self, data: Iterable[nn.Module], x: Tensor) -> Tensor:
        """Σ w_i(x) g_i(x)."""
        functions = list(data)
        if all(each.function is None for each in functions):
            return torch.zeros_like(x[..., :1])
        if len(functions) == 1:
            return functions[0](x)
        rises = self.rises(x)
        others = [
            # where parts meet all of them are zero, and the values, which agree, weigh the same
            reduce(torch.mul, [*rises[:i], *rises[i + 1 :]]) + _TINY
            for i in range(len(rises))
        ]
        parts = [w * g(x) for w, g in zip(others, functions, strict=True) if g.function is not None]
        return reduce(torch.add, parts) / reduce(torch.add, others)


class _Data(nn.Module):
    """A function, so that data that are a module themselves move and are saved with the lift."""

    def __init__(self, function: BoundaryData | None) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return torch.zeros_like(x[..., :1]) if self.function is None else self.function(x)
