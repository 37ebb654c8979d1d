"""From an operator's request to numbers: check, choose the engine, go through the rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from numbers import Integral
from typing import Any

import torch
from torch import Tensor

from pinnderiv.derivatives import engines, safety
from pinnderiv.derivatives.engine import Engine, Function
from pinnderiv.derivatives.recompute import recomputed
from pinnderiv.derivatives.request import check_points
from pinnderiv.derivatives.rows import check_returned
from pinnderiv.derivatives.transforms import (
    can_look_at_numbers,
    inside_transform,
    is_carrier,
    leaves,
    ordinary,
)
from pinnderiv.derivatives.work import Work
from pinnderiv.errors import ArgumentError, DtypeError, ShapeError

Compute = Callable[..., Mapping[Any, Tensor]]
"""Takes (engine, f, x, **coefficients), returns named tensors ``(*batch, ...)``."""


@dataclass(frozen=True)
class Coefficient:
    """A coefficient of an operator.

    Attributes:
        value: ``trailing`` or ``(*batch, *trailing)``.
        trailing: how many dimensions it has at one point.
    """

    value: Tensor
    trailing: int

    def of_rows(self, batch: int) -> Tensor:
        """One for each row, ``(N, *trailing)``, for ``batch`` batch dimensions; or as it is."""
        if self.value.ndim == self.trailing or batch == 0:
            return self.value
        return self.value.reshape(-1, *self.value.shape[batch:])


@dataclass
class Options:
    """What every transform is told, checked when the transform is made; never changed.

    Not frozen: torch.compile cannot rebuild a frozen instance, as it must where transforms nest.

    Raises:
        DtypeError: f cannot be called.
        ArgumentError: an unknown method, or a chunk_size that is no positive integer.
        UnsupportedOperationError: a method that this version does not have.
    """

    f: Function
    method: str
    chunk_size: int | None
    check: bool
    strict: bool = False

    def __post_init__(self) -> None:
        if not callable(self.f):
            raise DtypeError(
                f"f must be a function or a torch.nn.Module, got {type(self.f).__name__}. "
                "Transforms take the function first and the points second: laplacian(f)(x)."
            )
        if isinstance(self.f, type):
            raise DtypeError(
                f"f is the class {self.f.__name__}; give an instance of it, {self.f.__name__}(...)."
            )
        engines.check_method(self.method)
        size = self.chunk_size
        count = isinstance(size, Integral) and not isinstance(size, bool)
        if size is not None and (not count or size < 1):
            raise ArgumentError(
                f"chunk_size={size!r} must be a positive number of rows, or None for all at once."
            )

    @property
    def guarded(self) -> bool:
        """Whether f is examined, which needs numbers to look at."""
        return self.check and can_look_at_numbers()

    @property
    def recomputes(self) -> bool:
        """Whether chunks are run again in the backward pass, so that their graphs do not add up."""
        return (
            self.chunk_size is not None
            and torch.is_grad_enabled()
            and not inside_transform()
            and can_look_at_numbers()
        )


def evaluate(
    options: Options,
    x: Tensor,
    work: Work,
    compute: Compute,
    coefficients: Mapping[str, Coefficient] | None = None,
) -> Mapping[Any, Tensor]:
    """Runs an operator on points.

    Args:
        options: the function and how to treat it.
        x: points ``(*batch, D)``, of checked shape and dtype.
        work: what is asked for.
        compute: does it with an engine, on some rows.
        coefficients: what ``compute`` needs besides, by name.

    Returns:
        What ``compute`` returned, for all rows.
    """
    f = options.f
    engine = engines.choose(f, x, work, options.method, options.check, options.strict)
    known = safety.profile(f, x) if options.guarded else None
    if known is None or known.modified_input:
        f = _on_a_copy(f, examined=known is not None)
    coefficients = coefficients or {}
    size = options.chunk_size
    if known is not None and size is not None and x.ndim > 1 and not known.probe.free:
        count = x[..., 0].numel()
        if count > size:
            raise ShapeError(
                f"chunk_size={size} gives f so many rows at a time, but f only takes all {count} "
                "rows of x (does it hold a tensor with one entry for each?). Call it without "
                "chunk_size, or make such data columns of x."
            )
    with engine.formulas():
        if size is None or x.ndim == 1:
            return compute(engine, f, x, **{n: c.value for n, c in coefficients.items()})
        return _in_chunks(options, size, x, engine, f, compute, coefficients)


def points(x: Any, check: bool) -> Tensor:
    """The points of a call, checked; inference tensors become ordinary ones.

    Raises:
        DtypeError, ShapeError, ArgumentError: see :func:`request.check_points`.
    """
    check_points(x, finite=check)
    return ordinary(x)


def _on_a_copy(f: Function, examined: bool) -> Function:
    """f on a copy of its argument, so that its in-place operations touch nobody's points.

    What the guard has not looked at is looked at here: what f returns must be a tensor with
    the rows of its argument.
    """

    def apply(y: Tensor) -> Tensor:
        value = f(y.clone())
        if not examined and can_look_at_numbers():
            check_returned(value, y)
        return value

    return apply


def _in_chunks(
    options: Options,
    size: int,
    x: Tensor,
    engine: Engine,
    f: Function,
    compute: Compute,
    coefficients: Mapping[str, Coefficient],
) -> Mapping[Any, Tensor]:
    batch = x.shape[:-1]
    rows = x.reshape(-1, x.shape[-1])
    flat = {n: c.of_rows(len(batch)) for n, c in coefficients.items()}

    def run(y: Tensor, some: Mapping[str, Tensor]) -> Mapping[Any, Tensor]:
        with engine.formulas():  # also when the backward pass runs it again
            return compute(engine, f, y, **some)

    # Carriers of Taylor mode are outside of what an autograd.Function can see.
    again = options.recomputes and not is_carrier(x)
    parameters = leaves(f(rows[:1].detach())) if again else []
    parts: list[Mapping[Any, Tensor]] = []
    # An empty batch still makes one (empty) chunk, which gives the result its shape.
    for start in range(0, max(len(rows), 1), size):
        some = {
            n: t[start : start + size] if t.ndim > coefficients[n].trailing else t
            for n, t in flat.items()
        }
        chunk = rows[start : start + size]
        parts.append(recomputed(run, chunk, some, parameters) if again else run(chunk, some))
    return {
        name: torch.cat([p[name] for p in parts]).reshape(*batch, *parts[0][name].shape[1:])
        for name in parts[0]
    }
