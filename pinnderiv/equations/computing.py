"""From a plan to numbers: the derivatives of one pass, and the arithmetic on them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from pinnderiv.derivatives import laplacian, linear_operator
from pinnderiv.derivatives.shared import OPERATOR, Operator, shared
from pinnderiv.equations.plan import Channel, Plan
from pinnderiv.equations.text.calculus import affine
from pinnderiv.equations.text.expression import (
    ZERO,
    Atom,
    Expression,
    Number,
    combine,
)
from pinnderiv.equations.text.program import Program
from pinnderiv.equations.values import Values
from pinnderiv.errors import ShapeError

Field = Callable[[Tensor], Tensor]
Options = Mapping[str, Any]
Slot = Any
"""What a derivative is found under: its columns, or the name of an operator."""
SQUARED = "squared"
_OF_UNKNOWNS = ("output", "operator", "squared")


class Computing:
    """Computes residuals by a plan.

    Args:
        plan: what is computed.
        free: the parts of the residuals without unknowns.
        linear: whether the residuals are affine in the unknowns.
        outputs: names of the unknowns.
        values: of the equation.
    """

    def __init__(
        self,
        plan: Plan,
        free: Sequence[Expression],
        linear: bool,
        outputs: Sequence[str],
        values: Values,
    ) -> None:
        self._plan = plan
        self._values = values
        self._outputs = tuple(outputs)
        self._squared: tuple[tuple[int, ...], Any] | None = None
        if plan.squared:
            weights = tuple(plan.squared.values())
            even = all(weight == 1.0 for weight in weights)
            self._squared = (tuple(plan.squared), None if even else weights)
        self._is_free = all(each == ZERO for each in free)
        self._free = Program(free)
        self._coefficients = _Coefficients(plan.channel, values) if plan.channel else None
        # One linear equation of one unknown is applied to all outputs of u at once.
        self._terms: list[tuple[Slot, Expression]] | None = None
        if linear and len(plan.residuals) == len(outputs) == 1:
            part = affine(plan.residuals[0], lambda atom: atom.kind in _OF_UNKNOWNS)
            self._terms = [(_slot(atom), c) for atom, c in part.coefficients.items()]
            self._factors = Program([factor for _, factor in self._terms])
            return
        self._whole = Program(plan.residuals)
        pairs = zip(plan.residuals, free, strict=True)
        self._linear = (
            Program([combine([(a, 1.0), (b, -1.0)]) for a, b in pairs]) if linear else None
        )

    def residual(self, u: Field, points: Tensor, options: Options) -> Tensor:
        """The residual, (*batch, count)."""
        if self._terms is None:
            return self._run(self._whole, self._found(u, points, options), points, options)
        applied = self.apply(u, points, options)
        return applied if self._is_free else applied + self.free(points)

    def apply(self, u: Field, points: Tensor, options: Options) -> Tensor:
        """L u of a linear equation."""
        if self._terms is None:
            if self._linear is None:
                raise ShapeError("a nonlinear equation has no operator.")
            return self._run(self._linear, self._found(u, points, options), points, options)
        if self._plan.whole and self._coefficients is not None:
            return linear_operator(u, **self._coefficients.parts(points, options), **options)(
                points
            )
        found = self._found(u, points, options)
        factors = self._factors([self._values.of(a, points, options) for a in self._factors.inputs])
        total = None
        for (slot, _), factor in zip(self._terms, factors, strict=True):
            each = found[slot]
            if isinstance(factor, Tensor) and factor.ndim:
                factor = factor.unsqueeze(-1)
            term = each if isinstance(factor, float) and factor == 1.0 else factor * each
            total = term if total is None else total + term
        return total  # type: ignore[return-value]

    def free(self, points: Tensor) -> Tensor:
        """The part without unknowns, (*batch, count)."""
        return self._run(self._free, {}, points, {})

    def _found(self, u: Field, points: Tensor, options: Options) -> dict[Slot, Tensor]:
        """Every derivative and operator of the plan, (*batch, M)."""
        plan = self._plan
        found: dict[Slot, Tensor] = {}
        operator = self._coefficients.operator(points, options) if self._coefficients else None
        if plan.indices or operator is not None:
            found.update(shared(u, plan.indices, operator, **options)(points))
        if self._squared is not None:
            columns, weights = self._squared
            found[SQUARED] = _squared(u, columns, weights, points, options)
        return found

    def _run(
        self, program: Program, found: Mapping[Slot, Tensor], points: Tensor, options: Options
    ) -> Tensor:
        inputs = []
        count = len(self._outputs)
        for atom in program.inputs:
            if atom.kind not in _OF_UNKNOWNS:
                inputs.append(self._values.of(atom, points, options))
                continue
            each = found[_slot(atom)]
            if each.shape[-1] != count:
                raise ShapeError(
                    f"u has {each.shape[-1]} outputs, and the equation has the unknowns "
                    f"({', '.join(self._outputs)}): give one output for each."
                )
            inputs.append(each[..., self._outputs.index(atom.name)])
        shape = points.shape[:-1]
        columns = []
        for value in program(inputs):
            if not isinstance(value, Tensor) or value.shape != shape:
                value = torch.zeros_like(points[..., 0]) + value
            columns.append(value)
        return columns[0].unsqueeze(-1) if len(columns) == 1 else torch.stack(columns, dim=-1)


def _squared(
    u: Field, columns: tuple[int, ...], weights: Any, points: Tensor, options: Options
) -> Tensor:
    """(Σ w_i ∂²/∂x_i²)² u, (*batch, M)."""
    if not torch.compiler.is_compiling():
        inner = {name: value for name, value in options.items() if name != "chunk_size"}
        once = laplacian(u, columns, weights, **inner)
        return laplacian(once, columns, weights, **options)(points)
    # torch.compile cannot follow the guard into a transform of a transform made here
    pairs = [(i, j) for i in range(len(columns)) for j in range(i, len(columns))]
    indices = [(columns[i], columns[i], columns[j], columns[j]) for i, j in pairs]
    w = (1.0,) * len(columns) if weights is None else weights
    found = shared(u, indices, **options)(points)
    terms = [
        (1 if i == j else 2) * w[i] * w[j] * found[index]
        for (i, j), index in zip(pairs, indices, strict=True)
    ]
    return sum(terms[1:], start=terms[0])


class _Coefficients:
    """The coefficients of a channel, as numbers where they are numbers."""

    def __init__(self, channel: Channel, values: Values) -> None:
        self._channel = channel
        self._values = values
        self._size = len(values.coordinates)
        self._second = [channel.second.get(c, ZERO) for c in range(self._size)]
        self._first = [channel.first.get(c, ZERO) for c in range(self._size)]
        self._mixed = list(channel.mixed.values())
        self._columns = tuple(sorted(channel.second))
        groups = (self._second, self._first, self._mixed, [channel.zeroth])
        self._fixed = [_numbers(group) for group in groups]
        self._programs = [Program(group) for group in groups]

    def operator(self, points: Tensor, options: Options) -> Operator:
        """The channel for :func:`shared`, second derivatives by their columns alone."""
        second = self._of(0, points, options)
        if isinstance(second, Tensor):
            second = torch.stack([second[..., c] for c in self._columns], -1)
        else:
            second = tuple(second[c] for c in self._columns)
        first = self._of(1, points, options) if self._channel.first else None
        return Operator(self._columns, second, first)

    def parts(self, points: Tensor, options: Options) -> dict[str, Any]:
        """The channel as the arguments of :func:`pinnderiv.linear_operator`."""
        made: dict[str, Any] = {}
        if self._channel.mixed:
            made["matrix"] = self._matrix(points, options)
        if self._channel.second:
            made["second"] = self._of(0, points, options)
        if self._channel.first:
            made["first"] = self._of(1, points, options)
        if self._channel.zeroth != ZERO:
            zeroth = self._of(3, points, options)
            made["zeroth"] = zeroth[..., 0] if isinstance(zeroth, Tensor) else zeroth[0]
        return made

    def _of(self, group: int, points: Tensor, options: Options) -> Any:
        """A group of coefficients: numbers, or a tensor (K,) or (*batch, K)."""
        fixed = self._fixed[group]
        if fixed is not None:
            return fixed
        program = self._programs[group]
        found = program([self._values.of(atom, points, options) for atom in program.inputs])
        varies = any(isinstance(each, Tensor) and each.ndim for each in found)
        start = torch.zeros_like(points[..., 0]) if varies else points.new_zeros(())
        return torch.stack([start + each for each in found], -1)

    def _matrix(self, points: Tensor, options: Options) -> Tensor:
        mixed = self._of(2, points, options)
        if not isinstance(mixed, Tensor):
            mixed = torch.tensor(mixed, dtype=points.dtype, device=points.device)
        nothing = torch.zeros_like(mixed[..., 0])
        rows = []
        pairs = list(self._channel.mixed)
        for i in range(self._size):
            row = []
            for j in range(self._size):
                pair = (min(i, j), max(i, j))
                # tr(A H) meets the mixed derivative twice
                row.append(mixed[..., pairs.index(pair)] / 2 if pair in pairs else nothing)
            rows.append(torch.stack(row, -1))
        return torch.stack(rows, -2)


def _numbers(group: Sequence[Expression]) -> tuple[float, ...] | None:
    if all(isinstance(each, Number) for each in group):
        return tuple(each.value for each in group if isinstance(each, Number))
    return None


def _slot(atom: Atom) -> Slot:
    return {"operator": OPERATOR, "squared": SQUARED}.get(atom.kind, atom.index)
