"""Spot checks on a few rows: is what an engine computes the derivative of what f computes?

The engine is run on g(s) = f(p + s₁v + s₂w) at s = 0, with v and w dense directions, so
that two variables stand for all columns at once. Two witnesses are asked:

* central differences of g, and of each order that the engine gives for the next one.
  They share no formula with any engine, and find a derivative that is missing or wrong
  (a Bessel function, a backward pass that detaches), to a few digits;
* another engine, which agrees to rounding or not at all.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations_with_replacement

import torch
from torch import Tensor

from pinnderiv.derivatives.engine import Engine, Function
from pinnderiv.derivatives.request import Collapsed, MultiIndex
from pinnderiv.derivatives.reverse import ReverseEngine
from pinnderiv.derivatives.transforms import plain
from pinnderiv.derivatives.watch import largest_number

# Steps of the central differences, relative to the spread of the points. The right step
# depends on the length scale of f, which is not known: any one that agrees will do.
_STEPS = {torch.float32: (1e-1, 1e-2, 1e-3, 1e-4), torch.float64: (1e-1, 1e-2, 1e-3, 1e-4, 1e-5)}
# How far differences may be off (truncation at the best step), and two engines (rounding).
_DIFFERENCE_TOLERANCE = {torch.float32: 5e-2, torch.float64: 1e-3}
# With so few steps of rounding left in its values, nothing is known of higher derivatives.
_STAIRS = {torch.float32: 1e3, torch.float64: 1e5}
_AGREEMENT_TOLERANCE = {torch.float32: 2e-3, torch.float64: 1e-8}


@dataclass(frozen=True)
class Probe:
    """A few rows on which a function is tried.

    Attributes:
        points: p, ``(*rows, D)``, in general position.
        spread: how far the points of the caller lie apart in each column, ``(D,)``.
        free: f accepts any number of rows, so that many shifts can be tried in one call.
    """

    points: Tensor
    spread: Tensor
    free: bool

    def along_two(self, f: Function) -> tuple[Function, Tensor]:
        """g(s) = f(p + s₁v + s₂w) and its origin s = 0, ``(*rows, 2)``."""
        points = self.points
        columns = points.shape[-1]
        # Fixed irrational multiples: dense, of both signs, and reproducible without
        # touching anybody's random state.
        phase = torch.arange(1, 2 * columns + 1, dtype=torch.float64).reshape(2, columns)
        unit = 0.6 + 0.8 * torch.frac(phase * math.sqrt(2))
        sign = torch.where(torch.frac(phase * math.sqrt(3)) < 0.5, -1.0, 1.0)
        directions = (unit * sign / math.sqrt(columns)).to(points) * self.spread
        return (
            lambda s: f(_tiled(points, s) + s @ directions),
            points.new_zeros(*points.shape[:-1], 2),
        )


def _tiled(points: Tensor, s: Tensor) -> Tensor:
    """``points`` repeated along the first dimension to the number of rows of ``s``."""
    if s.ndim == 1 or s.shape[0] == points.shape[0]:
        return points
    return points.repeat(s.shape[0] // points.shape[0], *(1,) * (points.ndim - 1))


def indices_up_to(order: int) -> list[MultiIndex]:
    """All partial derivatives in two variables up to an order, the value first."""
    return [i for n in range(order + 1) for i in combinations_with_replacement((0, 1), n)]


def sample(
    engine: Engine, probe: Probe, f: Function, order: int, shift: Tensor | None = None
) -> dict[MultiIndex, Tensor]:
    """All derivatives up to ``order`` along the two probe directions, by ``engine``.

    Args:
        engine: computes them.
        probe: where.
        f: the function.
        order: the highest order.
        shift: points s to take instead of the origin, ``(S, 2)``.

    Returns:
        For each index a tensor ``(S, *rows, M)``, S = 1 without a shift. Dimensions of an
        outer vmap stand in front of the rows.
    """
    g, origin = probe.along_two(f)
    indices = indices_up_to(order)
    if shift is None:
        shift = origin.new_zeros(1, 2)
    with engine.formulas():
        if not probe.free:
            parts = [engine.partials(g, s.expand_as(origin), indices) for s in shift]
            return {i: torch.stack([plain(p[i]) for p in parts]) for i in indices}
        found = engine.partials(g, _repeat(shift, origin), indices)
    return {i: _split(plain(t), len(shift), origin) for i, t in found.items()}


@dataclass(frozen=True)
class Rounding:
    """What f is rounded with where it is little more than the rounding of larger numbers.

    1 − tanh(30 x) is 10⁻²⁴ at x = 1, and 0 to float64. What an engine gives there for its
    derivatives may be right and too small to be seen in differences, or rounding as well.

    Attributes:
        step: the height of the stairs that f climbs beside the probe, or 0, ``(*rows, M)``.
        relative: that height relative to the change of f beside the probe.
        drowned: no more than a few such stairs are left of f, ``(*rows, M)``.
    """

    step: Tensor
    relative: Tensor
    drowned: Tensor


def rounding_of(probe: Probe, f: Function) -> Rounding:
    """Finds where f is a staircase beside the probe: all its changes are multiples of one."""
    values = _beside(ReverseEngine(), probe, f, 0)[()].flatten(0, 2).sort(0).values
    eps = torch.finfo(values.dtype).eps
    stairs = values.diff(dim=0)
    inf = torch.full_like(stairs, math.inf)
    step = torch.where(stairs > 0, stairs, inf).amin(0)
    count = stairs / step
    regular = ((count - count.round()).abs() < 0.02).all(0)
    if not bool(regular.any()):
        return Rounding(torch.zeros_like(step), torch.zeros_like(step), regular)
    limit = torch.full_like(step, eps * largest_number(f, probe.points))
    step = torch.where(step.isinf(), limit, step)
    # Higher stairs are meant, such as those of round().
    step = torch.where(regular & (step <= 2 * limit), step, torch.zeros_like(step))
    extent = values[-1] - values[0]
    relative = (step / torch.where(extent > 0, extent, torch.ones_like(extent))).clamp(max=1)
    return Rounding(step, relative, extent < _STAIRS[values.dtype] * step)


def agree(
    first: dict[MultiIndex, Tensor],
    second: dict[MultiIndex, Tensor],
    rounding: Rounding | None = None,
) -> bool:
    """Whether the first engine computed what the second did, to rounding.

    Each output (last dimension) is measured by its own size: a small one may stand beside
    a large one. Where the second engine failed (NaN) nothing is known, nor where f has drowned.
    """
    for index, a in first.items():
        a, b = torch.broadcast_tensors(a, second[index])
        finite = torch.isfinite(b)
        if rounding is not None:
            finite = finite & ~rounding.drowned
        if bool((finite & ~torch.isfinite(a)).any()):
            return False
        level = _scale(first, range(len(index) + 1))
        noise = torch.finfo(a.dtype).eps * (100 * level + level.amax())
        allowed = _AGREEMENT_TOLERANCE[a.dtype] * torch.maximum(_largest(a), _largest(b))
        if bool((finite & ((a - b).abs() > allowed + noise)).any()):
            return False
    return True


def order_that_fails(
    engine: Engine,
    probe: Probe,
    f: Function,
    found: dict[MultiIndex, Tensor],
    gradient: dict[MultiIndex, Tensor] | None,
    rounding: Rounding,
) -> int | None:
    """The lowest order that is not the derivative of the order below it, by differences.

    Args:
        engine: gave ``found``, and gives the same beside the probe.
        probe: where.
        f: the function.
        found: what :func:`sample` returned for all orders up to some order.
        gradient: what :func:`gradients_of` returned, if training is to be judged as well.
        rounding: what :func:`rounding_of` returned.

    Returns:
        The order (one more than the highest for the gradient in training), or None where
        every one is right as far as differences can tell.
    """
    order = max(len(index) for index in found)
    steps = _STEPS[probe.points.dtype]
    beside = _beside(engine, probe, f, order if gradient else order - 1)
    for n in range(1, order + 1):
        claims = {
            (index, column): found[tuple(sorted((*index, column)))][0]
            for index in indices_up_to(n - 1)
            if len(index) == n - 1
            for column in (0, 1)
        }
        level = _scale(beside, range(n))
        # Rounding of that size is in the values; in what is derived from them it is anything.
        # Derivatives inherit the relative error of the values.
        inherited = _scale(beside, (n - 1,)) * rounding.relative if n > 1 else rounding.step
        level = torch.maximum(level, inherited / torch.finfo(level.dtype).eps)
        right = _follows(claims, beside, steps, level)
        if bool((~right & (~rounding.drowned | (n == 1))).any()):
            return n
    if gradient:
        shares = _shares(found, order)
        summed = {i: (t * shares).sum(-1, keepdim=True) for i, t in beside.items()}
        claims = {(i, c): g[..., c : c + 1] for i, g in gradient.items() for c in (0, 1)}
        right = _follows(claims, summed, steps, _scale(summed, range(order + 1)))
        if bool((~right & ~rounding.drowned.any(-1, keepdim=True)).any()):
            return order + 1
    return None


def _beside(engine: Engine, probe: Probe, f: Function, order: int) -> dict[MultiIndex, Tensor]:
    """Derivatives beside the probe, ``(steps, sign, direction, *rows, M)``."""
    steps = _STEPS[probe.points.dtype]
    unit = torch.eye(2, dtype=probe.points.dtype, device=probe.points.device)
    shift = torch.cat([sign * h * unit for h in steps for sign in (1, -1)])
    beside = sample(engine, probe, f, order, shift)
    return {i: t.unflatten(0, (len(steps), 2, 2)) for i, t in beside.items()}


def _follows(
    claims: dict[tuple[MultiIndex, int], Tensor],
    beside: dict[MultiIndex, Tensor],
    steps: Sequence[float],
    level: Tensor,
) -> Tensor:
    """Where each claim may be the derivative of ``beside[index]`` along a column.

    A claim is refuted where differences have converged, to something else. Where f varies
    faster than the smallest step they never do, and nothing is known.

    ``level`` is the size of the numbers that the differences are rounded with: that of all
    lower orders, since where a derivative vanishes only the rounding of f is left of it.
    Each output (last dimension) has its own.
    """
    right = torch.ones((), dtype=torch.bool, device=level.device)
    scale = torch.stack([_largest(claim) for claim in claims.values()]).amax(0)
    for (index, column), claim in claims.items():
        values = beside[index]
        eps = torch.finfo(values.dtype).eps
        differences = [
            (values[k, 0, column] - values[k, 1, column]) / (2 * h) for k, h in enumerate(steps)
        ]
        tolerance = _DIFFERENCE_TOLERANCE[values.dtype]
        rounding = [10 * eps * level / h for h in steps]
        close = torch.stack(
            [
                (d - claim).abs() <= tolerance * scale + r
                for d, r in zip(differences, rounding, strict=True)
            ]
        ).any(0)
        converged = torch.stack(
            [
                (d - e).abs() <= tolerance * torch.minimum(d.abs(), e.abs()) + r
                for d, e, r in zip(differences, differences[1:], rounding[1:], strict=False)
            ]
        ).any(0)
        right = right & (close | ~converged)
    return right


def _shares(found: dict[MultiIndex, Tensor], order: int) -> Tensor:
    """What makes outputs of different sizes count alike in a sum of derivatives, ``(M,)``."""
    size = _scale(found, (order,))
    return 1 / torch.where(size > 0, size, torch.ones_like(size))


def gradients_of(
    engine: Engine, probe: Probe, f: Function, found: dict[MultiIndex, Tensor], order: int
) -> dict[MultiIndex, Tensor]:
    """Reverse-mode gradients of the derivatives of one order, as training takes them.

    Args:
        engine: computes the derivatives.
        probe: where.
        f: the function.
        found: what :func:`sample` returned.
        order: the order.

    Returns:
        For each index of length ``order`` the gradient ``(*rows, 2)`` of the sum over the
        outputs, each divided by its size.
    """
    shares = _shares(found, order)
    g, origin = probe.along_two(f)
    top = [i for i in indices_up_to(order) if len(i) == order]

    def stacked(s: Tensor) -> Tensor:
        derivatives = engine.partials(g, s, indices_up_to(order))
        return torch.stack([(derivatives[i] * shares).sum(-1) for i in top], dim=-1)

    with engine.formulas():
        _, jacobian = ReverseEngine().jacobian(stacked, origin)
    return {i: plain(jacobian[..., k, :]) for k, i in enumerate(top)}


def sums_alike(
    engine: Engine,
    probe: Probe,
    f: Function,
    found: dict[MultiIndex, Tensor],
    rounding: Rounding,
) -> bool:
    """Whether the engine, asked for a sum of second derivatives, gives that of ``found``.

    That is what most operators ask for, and Taylor mode has other formulas for it.
    """
    g, origin = probe.along_two(f)
    with engine.formulas():
        result = plain(engine.collapsed(g, origin, Collapsed((0, 1), None, origin.new_ones(2)))[1])
    expected = (found[0, 0] + found[1, 1])[0]
    # At the end of an index of their own: measured by the size of what is summed, too.
    both = (0, 0, 1, 1)
    return agree({**found, both: result}, {**found, both: expected}, rounding)


def _repeat(shift: Tensor, origin: Tensor) -> Tensor:
    """Every shift at every row, as rows ``(S * R, ..., 2)``."""
    tail = (1,) * (origin.ndim - 1)
    spread = shift.reshape(len(shift), *tail, 2).expand(len(shift), *origin.shape)
    return spread.reshape(-1, *origin.shape[1:])


def _split(values: Tensor, shifts: int, origin: Tensor) -> Tensor:
    """``(..., S * R, ..., M)`` to ``(S, ..., R, ..., M)``."""
    dim = values.ndim - origin.ndim
    return values.unflatten(dim, (shifts, origin.shape[0])).movedim(dim, 0)


def _largest(tensor: Tensor) -> Tensor:
    """The largest finite number of each output, ``(M,)``."""
    size = torch.where(torch.isfinite(tensor), tensor, torch.zeros_like(tensor)).abs()
    return size.reshape(-1, tensor.shape[-1]).amax(0)


def _scale(found: dict[MultiIndex, Tensor], orders: Sequence[int] | range) -> Tensor:
    """The largest number of each output among the derivatives of the given orders."""
    return torch.stack([_largest(t) for i, t in found.items() if len(i) in orders]).amax(0)
