"""Manufactured solutions: the source that makes a given function the solution."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from pinnderiv.equations.fields import TextField
from pinnderiv.equations.text.calculus import differentiate, replace
from pinnderiv.equations.text.expression import Atom, Expression
from pinnderiv.equations.text.program import Program
from pinnderiv.errors import ArgumentError

if TYPE_CHECKING:
    from pinnderiv.equations.equation import Equation

Source = Callable[[Tensor], Tensor]
"""Maps points (*batch, D) to the source, (*batch, count)."""


class TextSolution:
    """Several functions of the coordinates as one, (*batch, D) -> (*batch, M).

    Args:
        fields: one for each unknown.
    """

    def __init__(self, fields: tuple[TextField, ...]) -> None:
        self.fields = fields

    def __repr__(self) -> str:
        return f"TextSolution({', '.join(repr(field.text) for field in self.fields)})"

    def __call__(self, points: Tensor) -> Tensor:
        """The values of all, (*batch, M)."""
        return torch.cat([field(points) for field in self.fields], dim=-1)


def solution_of(equation: Equation, solution: Any, **values: Any) -> TextSolution:
    """A solution given as text: one text for each unknown, in a sequence or by name.

    Args:
        equation: has the unknowns and the coordinates.
        solution: a text or a field for one unknown; several in a sequence or a dict.
        **values: numbers and texts that other names stand for.

    Raises:
        ArgumentError: there is not one text for each unknown, or one that cannot be read.
    """
    if isinstance(solution, TextSolution):
        texts: list[Any] = list(solution.fields)
    elif isinstance(solution, Mapping):
        if set(solution) != set(equation.outputs):
            raise ArgumentError(
                f"a solution must be given for each of {equation.outputs}; got {sorted(solution)}."
            )
        texts = [solution[name] for name in equation.outputs]
    else:
        single = isinstance(solution, (str, int, float, TextField))
        texts = [solution] if single else list(solution)
    if len(texts) != len(equation.outputs):
        raise ArgumentError(
            f"a solution must be given for each of {equation.outputs}; got {len(texts)}."
        )
    fields = tuple(
        text.over(equation.coordinates)
        if isinstance(text, TextField)
        else _field(text, equation.coordinates, values)
        for text in texts
    )
    return TextSolution(fields)


def _field(text: Any, coordinates: tuple[str, ...], values: Mapping[str, Any]) -> TextField:
    """A field, given those of the values that its text uses."""
    if not isinstance(text, str):
        return TextField(text, coordinates)
    from pinnderiv.equations.text.tokens import tokens_of

    names = {token.text for token in tokens_of(text) if token.kind == "name"}
    inner = [v for v in values.values() if isinstance(v, str)]
    for each in inner:
        names |= {token.text for token in tokens_of(each) if token.kind == "name"}
    return TextField(text, coordinates, **{n: v for n, v in values.items() if n in names})


def source_of(equation: Equation, solution: Any) -> Source:
    """See :meth:`Equation.source_for`; the equation has no unknown numbers."""
    if callable(solution) and not isinstance(solution, (TextField, TextSolution)):
        return _Differentiated(equation, solution)
    if not equation.residuals:
        return _Differentiated(equation, solution_of(equation, solution))
    return _Symbolic(equation, solution_of(equation, solution))


class _Differentiated:
    """The residual of a function, by the engines."""

    def __init__(self, equation: Equation, solution: Callable[[Tensor], Tensor]) -> None:
        self.equation, self.solution = equation, solution
        self.double = not isinstance(solution, nn.Module) and not equation.networks

    def __call__(self, points: Tensor) -> Tensor:
        # Second derivatives in float32 would put 1e-4 of noise into the right-hand side.
        x = points.double() if self.double else points
        return self.equation.residual(self.solution, x, check=False).to(points.dtype)


class _Symbolic:
    """The residual of a text, by its derivatives as text."""

    def __init__(self, equation: Equation, solution: TextSolution) -> None:
        self.equation = equation
        known: dict[Atom, Expression] = {}

        def swap(atom: Atom) -> Expression:
            if atom.kind != "output":
                return atom
            if atom not in known:
                if atom.index:
                    lower = swap(Atom("output", atom.name, atom.index[:-1]))
                    known[atom] = differentiate(lower, atom.index[-1])
                else:
                    known[atom] = solution.fields[equation.outputs.index(atom.name)].expression
            return known[atom]

        self.expressions = tuple(replace(each, swap) for each in equation.residuals)
        self.program = Program(self.expressions)

    def __call__(self, points: Tensor) -> Tensor:
        # Terms that are large and cancel would leave noise in float32.
        x = points if self.equation.networks else points.double()
        values = [self.equation._values.of(atom, x, {}) for atom in self.program.inputs]
        found = [torch.zeros_like(x[..., 0]) + each for each in self.program(values)]
        return torch.stack(found, dim=-1).to(points.dtype)
