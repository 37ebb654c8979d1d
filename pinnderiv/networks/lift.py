"""A smooth function with given boundary and initial values, out of those values alone."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Mapping, Sequence

import torch
from torch import Tensor, nn

from pinnderiv.errors import ArgumentError, ShapeError
from pinnderiv.networks.scaling import check_bounds
from pinnderiv.networks.sides import Wall, sides_with_values
from pinnderiv.networks.trial_solution import Lift

BoundaryData = Callable[[Tensor], Tensor]
DataByPlace = Mapping[Wall | None, BoundaryData]
"""A function for each wall, and under ``None`` the one at the start of time."""

# 3^d evaluations of the data a point: 728 in six dimensions, 2186 in seven.
MAX_LIFT_AXES = 6


def unit_coordinates(x: Tensor, lower: Tensor, upper: Tensor) -> Tensor:
    """s = (x − lower) / (upper − lower), with 0 and 1 exact at the two ends.

    The width is taken in the dtype of the bounds: rounded from a wider one, it
    would leave 1 − s at an end of the order of rounding, and no longer zero.
    """
    return (x - lower) / (upper - lower)


class TransfiniteLift(Lift):
    """Transfinite interpolation on a box, (*batch, D) -> (*batch, M).

    Gordon & Hall's Boolean sum (1973): with P_i the projector that replaces u by
    its linear interpolant between the two walls of axis i, and P_t the one that
    replaces it by u(t₀), or by u(t₀) + (t − t₀) u_t(t₀), the lift is
    (I − ∏(I − P)) u. Multiplied out, each term holds u at a point of a wall, an
    edge, a corner or of t = t₀, times a polynomial: the data are never called
    anywhere else, and all of them in one call. Of an axis with values on one wall
    alone, P takes the constant; an axis without has no P.

    Args:
        lower: lower corner of the box, one number a column.
        upper: upper corner.
        value: u on the boundary, (N, D) -> (N, M); differentiable. Or, where walls and the
            start have functions of their own, a mapping to them: each is then called at points
            of its own wall only. They must agree where two of them meet.
        time_axis: column of time, or ``None``.
        time_order: 0 without time, 1 for u at t₀, 2 for u and u_t at t₀.
        velocity: u_t at t₀, (N, D) -> (N, M); for ``time_order`` 2. On the walls
            at t₀ it must agree with the rate at which ``value`` changes there.
        periodic: columns along which u repeats: they have no walls. The lift
            repeats along them if the data do.
        walls: the walls where u is given, as pairs of a column and 0 (lower end) or
            1 (upper end); ``None`` for all.

    Raises:
        ArgumentError: more values a point than on all walls of 6 axes of space; the
            corners are not a box; a wall or an axis is none; or there are neither
            walls nor time, so that nothing is to be lifted.
    """

    lower: Tensor
    upper: Tensor

    def __init__(
        self,
        lower: Sequence[float],
        upper: Sequence[float],
        value: BoundaryData | DataByPlace,
        time_axis: int | None = None,
        time_order: int = 0,
        velocity: BoundaryData | None = None,
        periodic: Sequence[int] = (),
        walls: Iterable[Wall] | None = None,
    ) -> None:
        super().__init__()
        low, high = check_bounds(lower, upper)
        sides = sides_with_values(len(low), time_axis, periodic, walls)
        across = [len(ends) for ends in sides if ends]
        each = math.prod(1 + ends for ends in across)
        if each > 3**MAX_LIFT_AXES:
            raise ArgumentError(
                f"boundary data are lifted in at most {MAX_LIFT_AXES} dimensions of space with "
                "values on both walls, since each point needs one on every wall, edge and corner "
                f"({each - 1:,} in {len(across)}). Use a loss term for the boundary, or value=None "
                "where the data are zero."
            )
        if not across and time_axis is None:
            raise ArgumentError(
                "value is given nowhere: all axes are periodic or without walls, and there is no "
                "time. Leave it out (value=None)."
            )
        self.register_constant("lower", low)
        self.register_constant("upper", high)
        every = _terms(low, high, sides, time_axis, time_order)
        if isinstance(value, Mapping):
            value = _ByTerm(value, every["value"].pop("place"))
        # Attributes, so that data that are a module themselves move and are saved with this one.
        self.value = value
        self.velocity = velocity
        for name, terms in every.items():
            terms.pop("place", None)
            for field, values in terms.items():
                self.register_constant(f"{name}_{field}", values)

    @property
    def terms(self) -> int:
        """How many values of the data a point needs."""
        return sum(len(sign) for name, sign in self.named_buffers() if name.endswith("_sign"))

    def forward(self, x: Tensor) -> Tensor:
        s = unit_coordinates(x, self.lower, self.upper)
        lifted = self._family("value", self.value, x, s)
        if self.velocity is None:
            return lifted
        return lifted + self._family("velocity", self.velocity, x, s)

    def _family(self, name: str, function: BoundaryData, x: Tensor, s: Tensor) -> Tensor:
        """All terms that take their data from one function: Σ_k blend_k(s) · data(point_k)."""
        constants = {field: getattr(self, f"{name}_{field}") for field in _FIELDS}
        blend = constants["sign"]
        points = x.unsqueeze(-2) * constants["keep"] + constants["fixed"]
        flat = points.reshape(-1, points.shape[-1])
        data = function(flat, len(blend)) if isinstance(function, _ByTerm) else function(flat)
        if data.dim() != 2 or data.shape[0] != flat.shape[0]:
            raise ShapeError(
                f"{name} must map (N, {flat.shape[-1]}) to (N, M); for {tuple(flat.shape)} it "
                f"returned {tuple(data.shape)}."
            )
        for axis in range(s.shape[-1]):
            blend = blend * (
                constants["offset"][:, axis] + constants["slope"][:, axis] * s[..., axis, None]
            )
        return (blend.unsqueeze(-1) * data.reshape(*points.shape[:-1], data.shape[-1])).sum(dim=-2)


class _ByTerm(nn.Module):
    """Data of several functions, each at the terms whose points are on its wall.

    A point where two walls meet does not say which of them a term is about, and the functions
    agree there in their values only: their derivatives differ.

    Args:
        functions: by wall, and under ``None`` at the start.
        places: for each term where it takes its value from.

    Raises:
        ArgumentError: a wall has no function.
    """

    def __init__(self, functions: DataByPlace, places: Sequence[Wall | None]) -> None:
        super().__init__()
        missing = [place for place in places if place not in functions]
        if missing:
            where = "the start (None)" if missing[0] is None else f"the wall {missing[0]}"
            raise ArgumentError(f"value is a mapping, and has no function for {where}.")
        chosen: dict[int, tuple[BoundaryData, list[int]]] = {}
        for term, place in enumerate(places):
            function = functions[place]
            chosen.setdefault(id(function), (function, []))[1].append(term)
        self.terms = [terms for _, terms in chosen.values()]
        self.functions = [function for function, _ in chosen.values()]
        self.modules_among = nn.ModuleList(f for f in self.functions if isinstance(f, nn.Module))
        order = [term for terms in self.terms for term in terms]
        self.order = [order.index(term) for term in range(len(order))]

    def forward(self, flat: Tensor, terms: int) -> Tensor:
        points = flat.reshape(-1, terms, flat.shape[-1])
        parts = []
        for function, chosen in zip(self.functions, self.terms, strict=True):
            own = points[:, chosen]
            values = function(own.reshape(-1, flat.shape[-1]))
            # named, since of no points at all the sizes cannot be inferred
            parts.append(values.reshape(*own.shape[:2], values.shape[-1]))
        found = torch.cat(parts, dim=1)[:, self.order]
        return found.reshape(len(flat), found.shape[-1])


# A term is sign · ∏_axes (offset + slope · s) · data(x · keep + fixed).
_FIELDS = ("sign", "offset", "slope", "keep", "fixed")


def _terms(
    lower: list[float],
    upper: list[float],
    sides: Sequence[tuple[int, ...]],
    time_axis: int | None,
    time_order: int,
) -> dict[str, dict[str, list]]:
    """The terms of the Boolean sum, by the function that their data come from.

    ∏(I − P) is a sum over what happens on each axis: it stays free (from I), or
    is fixed by one summand of P, which then gives a factor and a minus sign.
    """
    # On each axis: (offset, slope, value at which x is fixed or None, is it the velocity).
    choices: list[list[tuple[float, float, float | None, bool]]] = []
    for axis, (low, high) in enumerate(zip(lower, upper, strict=True)):
        free = (1.0, 0.0, None, False)
        if axis != time_axis:
            ends = [(1.0, -1.0, low, False), (0.0, 1.0, high, False)]
            if len(sides[axis]) == 1:
                ends = [(1.0, 0.0, fixed, False) for _, _, fixed, _ in ends]
            choices.append([free, *(ends[side] for side in sides[axis])])
        elif time_order == 1:
            choices.append([free, (1.0, 0.0, low, False)])
        else:
            choices.append([free, (1.0, 0.0, low, False), (0.0, high - low, low, True)])
    families: dict[str, dict[str, list]] = {
        name: {field: [] for field in (*_FIELDS, "place")} for name in ("value", "velocity")
    }
    for term in itertools.product(*choices):
        count = sum(fixed is not None for _, _, fixed, _ in term)
        if count == 0:
            continue
        family = families["velocity" if any(is_rate for *_, is_rate in term) else "value"]
        family["sign"].append((-1.0) ** (count + 1))
        family["offset"].append([offset for offset, _, _, _ in term])
        family["slope"].append([slope for _, slope, _, _ in term])
        family["keep"].append([1.0 if fixed is None else 0.0 for _, _, fixed, _ in term])
        family["fixed"].append([fixed or 0.0 for _, _, fixed, _ in term])
        family["place"].append(_place(term, upper, time_axis))
    return {name: family for name, family in families.items() if family["sign"]}


def _place(
    term: Sequence[tuple[float, float, float | None, bool]],
    upper: Sequence[float],
    time_axis: int | None,
) -> Wall | None:
    """The first wall that a term's points are on; ``None`` for the start alone."""
    for axis, (_, _, fixed, _) in enumerate(term):
        if fixed is not None and axis != time_axis:
            return axis, int(fixed == upper[axis])
    return None
