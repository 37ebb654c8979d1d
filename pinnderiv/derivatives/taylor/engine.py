"""Engine "taylor": collapsed Taylor mode."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from pinnderiv.derivatives.blame import told
from pinnderiv.derivatives.engine import Engine, Function
from pinnderiv.derivatives.request import Collapsed, MultiIndex, unit_vectors
from pinnderiv.derivatives.taylor import rules  # noqa: F401  (registers the rules)
from pinnderiv.derivatives.taylor.channels import spread
from pinnderiv.derivatives.taylor.dispatch import Operation
from pinnderiv.derivatives.taylor.jet import Jet, Points
from pinnderiv.derivatives.taylor.run import (
    Nothing,
    Pairs,
    Run,
    Structure,
    enter_level,
    leave_level,
)
from pinnderiv.derivatives.taylor.seed import Seed, seed_of
from pinnderiv.errors import PinnderivError, UnsupportedOperationError


@dataclass(frozen=True)
class Carried:
    """What a pass brings back.

    Attributes:
        value: f(x), ``(*batch, M)``.
        tangents: ``(K, *batch, M)``, or None where they are zero.
        curvature: ``(C, *batch, M)``, or None where it is zero.
    """

    value: Any
    tangents: Any
    curvature: Any


class TaylorEngine(Engine):
    """Exact derivatives of first and second order in one forward pass.

    Args:
        strict: refuse operations that have no rule instead of treating them generically.
        log: a list that the operations of every pass are appended to, for `explain`.
    """

    name = "taylor"

    def __init__(self, strict: bool = False, log: list[Any] | None = None) -> None:
        self.strict = strict
        self.log = log

    def formulas(self) -> AbstractContextManager[None]:
        """Rules have formulas of their own; nothing is to be replaced."""
        return nullcontext()

    def jacobian(self, f: Function, x: Tensor) -> tuple[Tensor, Tensor]:
        seed = Seed(None, None, Nothing(), columns=tuple(range(x.shape[-1])))
        carried = self._pass(f, x, seed)
        return carried.value, _outputs_first(carried.tangents, carried.value, x.shape[-1])

    def second_derivatives(self, f: Function, x: Tensor) -> tuple[Tensor, Tensor]:
        columns = x.shape[-1]
        structure = Pairs(range(columns), range(columns), columns, x.device)
        carried = self._pass(f, x, Seed(None, None, structure, columns=tuple(range(columns))))
        return carried.value, _outputs_first(carried.curvature, carried.value, columns)

    def hessian(self, f: Function, x: Tensor) -> tuple[Tensor, Tensor]:
        columns = x.shape[-1]
        pairs = [(i, j) for i in range(columns) for j in range(i, columns)]
        structure = Pairs([i for i, _ in pairs], [j for _, j in pairs], columns, x.device)
        carried = self._pass(f, x, Seed(None, None, structure, columns=tuple(range(columns))))
        packed = _outputs_first(carried.curvature, carried.value, len(pairs))
        place = {pair: number for number, pair in enumerate(pairs)}
        order = [place[min(i, j), max(i, j)] for i in range(columns) for j in range(columns)]
        index = torch.tensor(order, device=x.device)
        full = torch.index_select(packed, -1, index)
        return carried.value, full.reshape((*tuple(carried.value.shape), columns, columns))

    def collapsed(self, f: Function, x: Tensor, request: Collapsed) -> tuple[Tensor, Tensor]:
        seed = seed_of(request, x)
        carried = self._pass(f, x, seed)
        return carried.value, _collapsed(carried, seed)

    def collapsed_with_slopes(
        self, f: Function, x: Tensor, request: Collapsed
    ) -> tuple[Tensor, Tensor, Tensor]:
        if request.weights.ndim > 1:
            # Weights that differ from point to point are a part of the directions.
            return super().collapsed_with_slopes(f, x, request)
        seed = seed_of(request, x, keeps=True)
        carried = self._pass(f, x, seed)
        slopes = _outputs_first(carried.tangents, carried.value, seed.channels)
        return carried.value, slopes, _collapsed(carried, seed)

    def partials(
        self, f: Function, x: Tensor, indices: Sequence[MultiIndex]
    ) -> dict[MultiIndex, Tensor]:
        if max([0, *[len(i) for i in indices]]) > 2:
            return self._of_higher_order(f, x, indices)
        columns = sorted({column for index in indices for column in index})
        row = {column: number for number, column in enumerate(columns)}
        pairs = sorted({index for index in indices if len(index) == 2})
        structure: Structure = Nothing()
        if pairs:
            first, second = ([row[p[side]] for p in pairs] for side in (0, 1))
            structure = Pairs(first, second, len(columns), x.device)
        carried = self._pass(f, x, Seed(None, None, structure, columns=tuple(columns)))
        result: dict[MultiIndex, Tensor] = {}
        for index in indices:
            if not index:
                result[index] = carried.value
                continue
            stack = carried.tangents if len(index) == 1 else carried.curvature
            where = row[index[0]] if len(index) == 1 else pairs.index(index)
            result[index] = torch.zeros_like(carried.value) if stack is None else stack[where]
        return result

    def _of_higher_order(
        self, f: Function, x: Tensor, indices: Sequence[MultiIndex]
    ) -> dict[MultiIndex, Tensor]:
        """Taylor mode of Taylor mode: two orders for each level."""
        wanted = [index for index in indices if index]
        inner = sorted({index[-2:] for index in wanted})
        outer = sorted({index[:-2] for index in wanted})
        values: list[Any] = []

        def second_order(y: Tensor) -> Tensor:
            found = self.partials(f, y, [(), *inner])
            values[:] = [found[()]]
            return torch.cat([found[i] for i in inner], -1)

        found = self.partials(second_order, x, outer)
        value = values[0]
        width = value.shape[-1]
        # The value as it was before the passes around the innermost one, which are over.
        while isinstance(value, Jet) and (value.run.root or value.run).over:
            value = value.value
        lowest = {(): value} if () in indices else {}
        return lowest | {
            index: found[index[:-2]][..., start : start + width]
            for index in wanted
            for start in (inner.index(index[-2:]) * width,)
        }

    def hvp(self, f: Function, x: Tensor, v: Tensor) -> Tensor:
        columns = x.shape[-1]
        basis = unit_vectors(tuple(range(columns)), x)
        basis = basis.reshape((columns,) + (1,) * (x.ndim - 1) + (columns,))
        directions = torch.cat([basis.expand((columns, *x.shape)), v[None]])
        structure = Pairs(range(columns), [columns] * columns, columns + 1, x.device)
        carried = self._pass(f, x, Seed(directions, None, structure))
        return _outputs_first(carried.curvature, carried.value, columns)

    def operations(self, f: Function, x: Tensor) -> list[Operation]:
        """What f runs on carriers, in order, each operation once for every line that calls it.

        Args:
            f: the function.
            x: points ``(*batch, D)``.

        Returns:
            Name, kind of rule ("fallback" for generic treatment, which costs several times a
            rule), and the user's line.

        Raises:
            UnsupportedOperationError: f holds an operation that is refused.
        """
        log: list[Operation] = []
        TaylorEngine(self.strict, log).second_derivatives(f, x)
        return list(dict.fromkeys(log))

    def _pass(self, f: Function, x: Tensor, seed: Seed) -> Carried:
        """Calls ``f`` once, on a carrier."""
        level = enter_level()
        recording = torch.is_grad_enabled()
        run = Run(level, seed.channels, seed.structure, recording, self.strict, self.log)
        try:
            try:
                if seed.columns:
                    out = f(Points(run, x, seed.columns, seed.curvature))
                else:
                    out = f(Jet(run, x, seed.tangents, seed.curvature))
            except PinnderivError:
                raise
            except Exception as error:
                if torch.compiler.is_compiling():
                    raise
                raise _explained(f, x, error) from error
            return _unpacked(run, out, x)
        finally:
            run.over = True
            leave_level()


def _collapsed(carried: Carried, seed: Seed) -> Any:
    """The one curvature channel, or those that were kept apart, summed with their weights."""
    value, curvature = carried.value, carried.curvature
    if curvature is None:
        return torch.zeros_like(value)
    if seed.weights is None:
        return curvature.squeeze(0)
    weights = seed.weights.reshape(
        tuple(seed.weights.shape) + (1,) * (curvature.ndim - seed.weights.ndim)
    )
    return (curvature * weights).sum(0)


def _unpacked(run: Run, out: Any, x: Any) -> Carried:
    if isinstance(out, Jet):
        from pinnderiv.derivatives.taylor.aliasing import refresh

        refresh(out)
    if not (isinstance(out, Jet) and (out.run is run or out.run.root is run)):
        return Carried(out, None, None)
    shape = tuple(out.value.shape)
    stacks = [None if s is None else spread(s, shape) for s in (out.tangents, out.curvature)]
    return Carried(out.value, *stacks)


def _outputs_first(stack: Any, value: Any, channels: int) -> Any:
    """``(K, *batch, M) -> (*batch, M, K)``, zeros for None."""
    if stack is None:
        return torch.zeros_like(value).unsqueeze(-1).expand((*tuple(value.shape), channels))
    return stack.movedim(0, -1)


def _explained(f: Function, x: Any, error: Exception) -> Exception:
    """An error of f's own as it is; one that only carriers meet, as what it means."""
    try:
        f(x)
    except Exception:  # f does not run on plain points either: its own error is the one to see
        return error
    return UnsupportedOperationError(
        f"method='taylor' cannot follow f ({told(error)}), which runs on plain tensors. "
        "Use method='auto', 'nested' or 'reverse'."
    )
