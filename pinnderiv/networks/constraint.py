"""Dirichlet and initial conditions satisfied exactly, by construction."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import reduce

import torch
from torch import Tensor, nn

from pinnderiv.errors import ArgumentError
from pinnderiv.networks.lift import (
    BoundaryData,
    DataByPlace,
    TransfiniteLift,
    unit_coordinates,
)
from pinnderiv.networks.options import check_axes
from pinnderiv.networks.scaling import check_bounds
from pinnderiv.networks.sides import Wall, sides_with_values
from pinnderiv.networks.trial_solution import TrialSolution


class HardConstraint(TrialSolution):
    """u(x) = lift(x) + B(x) · network(x) on a box, (*batch, D) -> (*batch, M).

    The lift takes the boundary and initial values (:class:`TransfiniteLift`),
    and B vanishes where they are given: 4 s (1 − s) for each axis of space,
    with s from 0 to 1 across the box (s or 1 − s where one wall alone has
    values), times t/T, or (t/T)² where u_t is given too. So whatever the network,
    u fulfils every condition to rounding, and B is of order one inside the box.

    Args:
        network: (*batch, D) -> (*batch, M); scales its own inputs, and is itself
            periodic along the axes in ``periodic``, as networks with
            ``periodic_axes`` are.
        lower: lower corner of the box, one number a column of x.
        upper: upper corner.
        value: u on the walls and at t = lower[time_axis], (N, D) -> (N, M),
            differentiable; only ever called at points there. A mapping from walls (and
            ``None``, the start) to functions gives each its own. ``None``: all data are
            zero, and there is no lift.
        time_axis: column of time; ``None`` for a problem without.
        time_order: 0 without time, 1 if u is given at t₀, 2 if u_t is too.
        velocity: u_t at t₀, (N, D) -> (N, M); with ``value`` and
            ``time_order=2``. Must agree with ``value`` where walls meet t₀.
        periodic: columns of space along which u repeats over the box: no values are
            given at their ends.
        walls: the walls where u is given, as pairs of a column and 0 (lower end) or
            1 (upper end); ``None`` for all that are not across a periodic axis. On
            the others u is free.

    Raises:
        ArgumentError: the box is none; ``time_axis``, ``time_order`` and
            ``velocity`` do not go together; a wall or an axis is none; the network
            is not periodic where it has to be; or ``value`` is given in more than 6
            dimensions of space, since a lift needs up to 3^d values a point.
    """

    lower: Tensor
    upper: Tensor

    def __init__(
        self,
        network: nn.Module,
        lower: Sequence[float],
        upper: Sequence[float],
        value: BoundaryData | DataByPlace | None,
        time_axis: int | None = None,
        time_order: int = 0,
        velocity: BoundaryData | None = None,
        periodic: Sequence[int] = (),
        walls: Iterable[Wall] | None = None,
    ) -> None:
        super().__init__(network)
        low, high = check_bounds(lower, upper)
        time_axis = _check_time(len(low), time_axis, time_order, value, velocity)
        walls = None if walls is None else tuple(walls)
        self.sides = sides_with_values(len(low), time_axis, periodic, walls)
        self.periodic, self.walls = check_axes("periodic", periodic, len(low)), walls
        self.time_axis = time_axis
        self.time_order = time_order
        self.register_constant("lower", low)
        self.register_constant("upper", high)
        check_repeats(network, low, high, self.periodic)
        self.lift = (
            None
            if value is None
            else TransfiniteLift(low, high, value, time_axis, time_order, velocity, periodic, walls)
        )

    def factor(self, x: Tensor) -> Tensor:
        """B(x), (*batch, D) -> (*batch, 1): zero where u is given, of order one inside."""
        s = unit_coordinates(x, self.lower, self.upper)
        factors = []
        for axis, sides in enumerate(self.sides):
            along = s[..., axis, None]
            if axis == self.time_axis:
                factors.append(along * along if self.time_order == 2 else along)
            elif sides == (0, 1):
                factors.append(4 * along * (1 - along))
            elif sides:
                factors.append(along if sides == (0,) else 1 - along)
        # nothing is given anywhere if all axes are periodic or without values
        return reduce(torch.mul, factors) if factors else torch.ones_like(x[..., :1])

    @property
    def columns(self) -> int:
        return self.lower.shape[0]

    def without_data(self, network: nn.Module, start: float, end: float) -> HardConstraint:
        lower, upper = (self._exact[name].tolist() for name in ("lower", "upper"))
        if self.time_axis is not None:
            lower[self.time_axis], upper[self.time_axis] = start, end
        return HardConstraint(
            network,
            lower,
            upper,
            None,
            self.time_axis,
            self.time_order,
            periodic=self.periodic,
            walls=self.walls,
        )


def _check_time(
    columns: int,
    time_axis: int | None,
    time_order: int,
    value: BoundaryData | DataByPlace | None,
    velocity: BoundaryData | None,
) -> int | None:
    """The time axis as a column from 0, once the arguments about time go together."""
    if time_axis is None:
        if time_order != 0:
            raise ArgumentError(
                f"time_order={time_order} needs time_axis, the column of time; without time "
                "leave both out."
            )
    elif not -columns <= time_axis < columns:
        raise ArgumentError(f"time_axis must be a column from 0 to {columns - 1}; got {time_axis}.")
    elif time_order not in (1, 2):
        raise ArgumentError(
            "with a time_axis, time_order must be 1 (u is given at t0) or 2 (u and u_t are); got "
            f"{time_order}."
        )
    if velocity is not None and (time_order != 2 or value is None):
        raise ArgumentError("velocity goes with value and time_order=2, and is unused otherwise.")
    if velocity is None and value is not None and time_order == 2:
        raise ArgumentError("time_order=2 needs velocity, u_t at t0, beside value.")
    return None if time_axis is None else time_axis % columns


def check_repeats(
    network: nn.Module, lower: list[float], upper: list[float], axes: Sequence[int]
) -> None:
    """Compares the network's values at both ends of the axes, at a few fixed points."""
    like = next(network.parameters(), torch.empty(0))
    if not axes or like.is_meta:
        return
    low, high = (
        torch.tensor(bound, dtype=like.dtype, device=like.device) for bound in (lower, upper)
    )
    inside = low + torch.tensor([[0.137], [0.5], [0.871]]).to(like) * (high - low)
    column = torch.arange(len(lower), device=like.device)
    for axis in axes:
        with torch.no_grad():
            left = network(torch.where(column == axis, low, inside))
            right = network(torch.where(column == axis, high, inside))
        gap = (left - right).abs().max()
        if gap > torch.finfo(like.dtype).eps ** 0.5 * (1 + left.abs().max()):
            raise ArgumentError(
                f"the network must repeat along column {axis}, which is periodic; its values at "
                f"both ends differ by {gap.item():.2g}. Make it with periodic_axes={list(axes)}."
            )
