"""Equations whose residual is a Python function of derivatives, for what text cannot say."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from pinnderiv.derivatives import derivatives
from pinnderiv.derivatives.request import parse_names
from pinnderiv.equations.equation import Equation
from pinnderiv.equations.explain import Explanation
from pinnderiv.equations.text.program import Program
from pinnderiv.equations.text.reading import read, read_scalar
from pinnderiv.equations.text.scope import Scope
from pinnderiv.errors import ArgumentError, ShapeError


class FunctionEquation(Equation):
    """See :meth:`Equation.from_function`."""

    def __init__(
        self,
        function: Callable[[Mapping[str, Tensor]], Any],
        coordinates: Sequence[str],
        outputs: Sequence[str],
        request: Sequence[str],
        names: Sequence[str],
        **values: Any,
    ) -> None:
        self._begin(coordinates, outputs, values)
        if not callable(function):
            raise ArgumentError(
                f"function must be a function of the derivatives; got {function!r}."
            )
        self.function = function
        self.request = tuple(request)
        self.names = tuple(names)
        self.texts = {name: getattr(function, "__name__", "function") for name in self.names}
        self.residuals = ()
        self.linear = False
        self._wanted = parse_names(self.request, self.coordinates, self.outputs)
        if not any(index for _, index in self._wanted.values()):
            raise ArgumentError(f"request={self.request} holds no derivative, such as 'u_x'.")
        scope = Scope(self.coordinates, self.outputs, self._values.meanings, read)
        # Texts among the values are computed, everything else is handed over as it is.
        self._programs = {name: Program([read_scalar(name, scope)]) for name in values}

    @property
    def _said(self) -> str:
        return f"{self.function!r}, request={self.request}"

    def with_values(self, **values: Any) -> Equation:
        return FunctionEquation(
            self.function,
            self.coordinates,
            self.outputs,
            self.request,
            self.names,
            **{**self._given, **values},
        )

    def _derivatives(self) -> list[tuple[str, tuple[int, ...]]]:
        return [(self.outputs[output], index) for output, index in self._wanted.values()]

    def residual(
        self,
        u: Callable[[Tensor], Tensor],
        points: Tensor,
        source: Tensor | None = None,
        **options: Any,
    ) -> Tensor:
        self._check(points)
        found: dict[str, Any] = dict(
            derivatives(u, self.request, self.coordinates, self.outputs, **options)(points)
        )
        for column, name in enumerate(self.coordinates):
            found[name] = points[..., column]
        for name, program in self._programs.items():
            inputs = [self._values.of(atom, points, options) for atom in program.inputs]
            found[name] = program(inputs)[0]
        made = self.function(found)
        parts = list(made) if isinstance(made, (tuple, list)) else [made]
        if len(parts) != self.count:
            raise ShapeError(
                f"the function of the equation must return {self.count} residual(s), for "
                f"{self.names}; got {len(parts)}."
            )
        for part in parts:
            if part.shape != points.shape[:-1]:
                raise ShapeError(
                    f"the function of the equation must return {tuple(points.shape[:-1])}, one "
                    f"number a point; got {tuple(part.shape)}."
                )
        residual = torch.stack(parts, dim=-1)
        if source is None:
            return residual
        if source.shape != residual.shape:
            raise ShapeError(f"source must be {tuple(residual.shape)}; got {tuple(source.shape)}.")
        return residual - source

    def free_part(self, points: Tensor) -> Tensor:
        raise ArgumentError("a Python function cannot be looked into: use residual(u, points).")

    def explain(self) -> str:
        count = len({index for _, index in self._wanted.values() if index})
        return Explanation(
            f"a Python function of {', '.join(self.request)}: {count} derivatives from one shared "
            "pass"
        )
