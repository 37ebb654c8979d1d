"""What f does with rows: a first run on a few of them, and whether it keeps them apart."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from pinnderiv.derivatives.engine import Function
from pinnderiv.derivatives.probe import Probe
from pinnderiv.derivatives.transforms import is_carrier, outside_transforms, plain
from pinnderiv.derivatives.watch import (
    Observation,
    first_module_that_mixes,
    last_module_entered,
    watch,
)
from pinnderiv.errors import (
    BatchMixingError,
    DtypeError,
    PinnderivError,
    ShapeError,
    UnsupportedOperationError,
)

_ROWS = 3
# How far a row may move by rounding when its neighbours change, relative to how much f varies
# from row to row, which rounding of large numbers inside f may have worn down.
_ROUNDING = {torch.float32: 1e-3, torch.float64: 1e-8}
# How many units in the last place of f itself: a call of other shape runs other code.
_SAME_SHAPE, _OTHER_SHAPE = 10, 100


@dataclass(frozen=True)
class Points:
    """Two sets of rows in general position, and the caller's own spread."""

    first: Tensor
    second: Tensor
    spread: Tensor
    free: bool


def _general_position(x: Tensor, free: bool) -> Points:
    """Points inside the convex hull of the rows of x, on no grid line, kink or corner.

    Args:
        x: ``(*batch, D)``.
        free: a few rows of our own choice, else as many as x has.
    """
    with outside_transforms():
        return _between(plain(x).reshape(-1, x.shape[-1]), tuple(x.shape[:-1]), free)


def _between(rows: Tensor, batch: tuple[int, ...], free: bool) -> Points:
    columns = rows.shape[-1]
    if rows.shape[0] == 0:
        rows = torch.linspace(-0.9, 0.7, 4 * columns).reshape(4, -1).to(rows)
    extent = rows.amax(0) - rows.amin(0)
    size = rows.abs().amax(0)
    spread = torch.where(extent > 0, extent, torch.where(size > 0, size, torch.ones_like(size)))
    if free:
        lead = (_ROWS,) if len(batch) == 1 else (2,) * len(batch)
    else:
        lead = batch
    count = math.prod(lead)
    total = rows.shape[0]
    number = torch.arange(2 * count, device=rows.device)
    a = rows[(number * 7919) % total] if free else rows[number % total]
    b = rows[(number * 104729 + total // 2) % total]
    # Irrational fractions, the same at each call: no random state is touched.
    lam = torch.frac((number + 1).to(rows.dtype) * 0.6180339887498949)[:, None]
    lam = 0.2 + 0.6 * lam if free else 0.02 + 0.05 * lam
    wobble = torch.frac((number[:, None] + 1) * torch.arange(1, columns + 1).to(rows) * 0.7548776)
    mixed = a + lam * (b - a) + 1e-2 * spread * (wobble - 0.5)
    first, second = mixed.reshape(2, *lead, columns)
    return Points(first, second, spread, free)


def first_run(f: Function, x: Tensor, names: dict[int, str]) -> tuple[Points, Probe, Observation]:
    """Runs f on a few rows, or on all of x where it only takes as many rows as x has.

    Args:
        f: the function.
        x: points ``(*batch, D)``.
        names: id of a module → its name.

    Raises:
        DtypeError, ShapeError: f cannot take x, or does not return ``(*batch, M)``.
    """
    if x.ndim > 1:
        points = _general_position(x, free=True)
        try:
            seen = watch(f, points.first, names)
            _check_output(seen.value, points.first)
            if _takes_any_rows(f, points.first, seen.value):
                return points, Probe(points.first, points.spread, free=True), seen
        except PinnderivError:
            raise
        except Exception:  # f may only work for the very rows of x: then try those
            pass
    points = _general_position(x, free=False)
    try:
        seen = watch(f, points.first, names)
    except (RuntimeError, IndexError, ValueError) as error:
        explained = _explained(error, f, x, names)
        if explained is None:
            raise
        raise explained from error
    _check_output(seen.value, points.first)
    _check_batch(seen.value, x)
    return points, Probe(points.first, points.spread, free=False), seen


def _takes_any_rows(f: Function, points: Tensor, value: Tensor) -> bool:
    """Whether f, which took some rows, also takes fewer: it may hold data for just so many."""
    if value.shape[:-1] != points.shape[:-1]:
        return False
    fewer = points[:-1]
    with torch.no_grad():
        return f(fewer.clone()).shape[:-1] == fewer.shape[:-1]


_MISFITS = """
cannot be multiplied|must match the|size mismatch|sizes of tensors|too many indices|out of range
out of bounds|to be of size|to have size|shape|expanded size|input.size|the last dimension
"""


def _explained(
    error: Exception, f: Function, x: Tensor, names: dict[int, str]
) -> PinnderivError | None:
    """What torch's complaint about x means to the caller; None where it is about something else."""
    first = next(iter(str(error).strip().splitlines()), "")
    what = f"f cannot take x of shape {tuple(x.shape)} and dtype {x.dtype} ({first[:200]})"
    part, got = last_module_entered(f, x)
    name = names.get(id(part), type(part).__name__)
    weight = getattr(part, "weight", None)
    if isinstance(weight, Tensor) and isinstance(got, Tensor) and weight.is_floating_point():
        if weight.dtype != got.dtype:
            return DtypeError(
                f"{what}: {name} has dtype {weight.dtype}. Bring both to one, with "
                f"net.to({x.dtype}) or x.to({weight.dtype})."
            )
        fits = not isinstance(part, torch.nn.Linear) or got.shape[-1:] == weight.shape[1:]
        if not fits and got.shape == x.shape:
            return ShapeError(
                f"{what}: {name} takes {weight.shape[1]} columns and x has {x.shape[-1]}. "
                f"x must be (*batch, D) = (*batch, {weight.shape[1]})."
            )
    text = str(error).lower()
    if "can't call numpy()" in text:
        return UnsupportedOperationError(
            f"f leaves PyTorch for NumPy, where no derivative can follow ({first[:200]}). Write "
            "that part with torch functions; or as a torch.autograd.Function with a backward of "
            "its own, for method='reverse'; or, if it is meant to be constant, give it x.detach()."
        )
    if "same dtype" in text or "scalar type" in text:
        return DtypeError(f"{what}: let f compute in the dtype of x, for example net.to(x.dtype).")
    if any(words in text for words in _MISFITS.replace("\n", "|").strip("|").split("|")):
        return ShapeError(
            f"{what}. f must map (*batch, D) to (*batch, M): does it take D = {x.shape[-1]} "
            "columns, and this many batch dimensions?"
        )
    return None


def check_returned(value: Any, x: Tensor) -> None:
    """Refuses what is no tensor, or carrier, with a row for each of x.

    Raises:
        DtypeError, ShapeError: so it is.
    """
    _check_kind(value)
    _check_batch(value, x)


def _check_kind(value: Any) -> None:
    if not isinstance(value, Tensor) and not is_carrier(value):
        raise DtypeError(
            f"f(x) returned {type(value).__name__}, but must return one tensor of shape "
            "(*batch, M). If f returns several, stack them: torch.cat([...], dim=-1)."
        )


def _check_output(value: Any, x: Tensor) -> None:
    _check_kind(value)
    if value.ndim and value.shape[-1] == 0:
        raise ShapeError(f"f(x) has shape {tuple(value.shape)}: it has no outputs, M = 0.")
    if value.dtype != x.dtype:
        raise DtypeError(
            f"f(x) has dtype {value.dtype} but x has {x.dtype}: let f keep the dtype of x "
            f"(net.to({x.dtype}))."
        )


def _check_batch(value: Tensor, x: Tensor) -> None:
    batch = tuple(x.shape[:-1])
    if value.ndim != x.ndim or tuple(value.shape[:-1]) != batch:
        hint = ""
        if tuple(value.shape) == batch:
            hint = " Did f squeeze its last dimension? Return f(x).unsqueeze(-1)."
        raise ShapeError(
            f"f(x) has shape {tuple(value.shape)} for x of shape {tuple(x.shape)}; it must be "
            f"(*batch, M) = ({', '.join(map(str, (*batch, 'M')))}).{hint}"
        )


def check_rows(
    f: Function, points: Points, probe: Probe, seen: Observation, names: dict[int, str]
) -> None:
    """Raises where a row of f moves when another row of x does, or f is random."""
    here, there = points.first, points.second
    with torch.no_grad():
        value = plain(f(here.clone()))
        _check_random(value, plain(seen.value), seen)
        last = tuple(length - 1 for length in here.shape[:-1])
        if not value.numel() or max(last) < 1:
            return
        allowed = _by_rounding(value, _SAME_SHAPE)
        for row in ((0,) * len(last), last):
            moved = there.clone()
            moved[row] = here[row]
            _compare_rows(f, here, moved, row, value, allowed, names)
        if probe.free and len(last) == 1:
            fewer = plain(f(here[:2].clone()))
            expected = value[..., :2, :]
            allowed = _by_rounding(value, _OTHER_SHAPE)
            if fewer.shape != expected.shape or _moved(fewer, expected, allowed):
                raise BatchMixingError(
                    "f(x) changes at a row when x has fewer rows, so f is not a function of "
                    "each row alone (does it divide by the number of rows, or cumulate?). "
                    "Derivatives are per row: write f so that each row stands for itself."
                )


def _check_random(again: Tensor, first: Tensor, seen: Observation) -> None:
    if torch.equal(again.isnan(), first.isnan()) and torch.equal(
        again.nan_to_num(), first.nan_to_num()
    ):
        return
    if not _moved(again, first, _by_rounding(first, _OTHER_SHAPE)):
        return
    random = [
        f"{n} in {m}" if m else n
        for n, m in seen.operations.items()
        if any(word in n for word in ("dropout", "bernoulli", "rand", "normal", "uniform"))
        and "norm." not in n
    ]
    named = f" ({', '.join(random[:3])})" if random else ""
    raise UnsupportedOperationError(
        f"f is random: two calls at the same points differ{named}. Call net.eval() first, "
        "or pass check=False to differentiate one draw."
    )


def _compare_rows(
    f: Function,
    here: Tensor,
    moved: Tensor,
    row: tuple[int, ...],
    value: Tensor,
    allowed: Tensor,
    names: dict[int, str],
) -> None:
    other = plain(f(moved.clone()))
    # Under an outer vmap there may be dimensions in front of those of x.
    index: Any = (..., *row, slice(None))
    if other.shape == value.shape and not _moved(other[index], value[index], allowed):
        return
    culprit = first_module_that_mixes(f, here, moved, row, names)
    where = f" ({culprit})" if culprit else ""
    advice = (
        "call net.eval(), or use LayerNorm"
        if "training" in culprit
        else "write f so that row i of f(x) only uses row i of x"
    )
    raise BatchMixingError(
        f"row {row[0] if len(row) == 1 else row} of f(x) changes when other rows of x "
        f"change{where}. Derivatives are per row: {advice}."
    )


def _by_rounding(values: Tensor, units: int) -> Tensor:
    """How far each output may move by rounding, ``(M,)``: a small one may stand beside a large
    one, and both may come out of the same large numbers. An offset, the same at all rows, must
    not hide what moves beside it.
    """
    known = torch.isfinite(values)
    rows = torch.where(known, values, torch.zeros_like(values)).reshape(-1, values.shape[-1])
    known = known.reshape(rows.shape)
    inf = torch.full_like(rows, math.inf)
    extent = torch.where(known, rows, -inf).amax(0) - torch.where(known, rows, inf).amin(0)
    size = rows.abs().amax(0)
    extent = torch.minimum(extent.clamp(min=0), 2 * size)
    return _ROUNDING[values.dtype] * extent + units * torch.finfo(values.dtype).eps * size.amax()


def _moved(new: Tensor, old: Tensor, allowed: Tensor) -> bool:
    both = torch.isfinite(new)
    if not torch.equal(both, torch.isfinite(old)):
        return True
    return bool((both & ((new - old).abs() > allowed)).any())
