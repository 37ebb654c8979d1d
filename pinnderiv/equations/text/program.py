"""From expressions to a program: a short list of PyTorch calls, each made once.

Equal parts of expressions are computed once, numbers are folded into the call that uses them,
and small whole powers are products. A program works on tensors of any shape, dtype and device,
under torch.compile and torch.func, and on the carriers of Taylor mode.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch

from pinnderiv.equations.text.expression import (
    Atom,
    Expression,
    Function,
    Number,
    Product,
    Sum,
    atoms,
    walk,
)
from pinnderiv.equations.text.functions import FUNCTIONS

Value = Any
"""A tensor, or a Python number where an expression is constant."""


class Program:
    """Computes some expressions from the values of their atoms.

    Args:
        roots: the expressions.
        inputs: atoms, in the order in which their values are given; by default those that
            occur.

    Attributes:
        inputs: the atoms, in that order.
    """

    def __init__(self, roots: Sequence[Expression], inputs: Sequence[Atom] | None = None) -> None:
        self._roots = tuple(roots)
        self.inputs = list(atoms(*roots)) if inputs is None else list(inputs)
        self._steps: list[tuple[Callable[..., Any], tuple[int, ...]]] = []
        self._places: dict[object, int] = {atom: n for n, atom in enumerate(self.inputs)}
        for node in walk(*roots):
            # numbers inside of others are folded into the calls that use them
            if node not in self._places and (not isinstance(node, Number) or node in roots):
                self._places[node] = self._write(node)
        self._results = [self._places[root] for root in roots]

    def __reduce__(self) -> tuple[object, ...]:
        return Program, (self._roots, self.inputs)

    def __call__(self, values: Sequence[Value]) -> list[Value]:
        """The value of each root, for the values of the inputs."""
        held = list(values)
        for call, places in self._steps:
            if len(places) == 1:
                held.append(call(held[places[0]]))
            elif len(places) == 2:
                held.append(call(held[places[0]], held[places[1]]))
            else:
                held.append(call())
        return [held[place] for place in self._results]

    def _emit(self, call: Callable[..., Any], *places: int) -> int:
        self._steps.append((call, places))
        return len(self.inputs) + len(self._steps) - 1

    def _write(self, node: Expression) -> int:
        if isinstance(node, Number):
            return self._emit(_constant(node.value))
        if isinstance(node, Sum):
            return self._sum(node)
        if isinstance(node, Product):
            return self._product(node)
        if isinstance(node, Function):
            return self._function(node)
        raise KeyError(node)

    def _sum(self, node: Sum) -> int:
        # A term with factor 1 first, so that a − b is one call.
        terms = sorted(node.terms, key=lambda item: item[1] != 1.0)
        (first, factor), *rest = terms
        place = self._places[first]
        if factor != 1.0:
            place = self._emit(_scaled(factor), place)
        for term, factor in rest:
            place = self._emit(_added(factor), place, self._places[term])
        return self._emit(_shifted(node.constant), place) if node.constant else place

    def _product(self, node: Product) -> int:
        above = [(base, e) for base, e in node.powers if e > 0]
        below = [(base, -e) for base, e in node.powers if e < 0]
        place = None
        for base, exponent in above:
            raised = self._raised(base, exponent)
            place = raised if place is None else self._emit(_times, place, raised)
        for base, exponent in below:
            raised = self._raised(base, exponent)
            if place is None:
                place = self._emit(_inverse, raised)
            else:
                place = self._emit(_over, place, raised)
        return place if place is not None else self._emit(_constant(1.0))

    def _raised(self, base: Expression, exponent: float) -> int:
        place = self._places[base]
        if exponent == 1:
            return place
        key = (base, exponent)
        if key not in self._places:
            self._places[key] = self._power(place, exponent)
        return self._places[key]

    def _power(self, place: int, exponent: float) -> int:
        if exponent == 2:
            return self._emit(_times, place, place)
        if exponent == 3:
            return self._emit(_times, self._emit(_times, place, place), place)
        if exponent == 4:
            square = self._emit(_times, place, place)
            return self._emit(_times, square, square)
        if exponent == 0.5:
            return self._emit(torch.sqrt, place)
        return self._emit(_to_the(exponent), place)

    def _function(self, node: Function) -> int:
        call, arguments = FUNCTIONS[node.name].tensor, node.arguments
        fixed = [isinstance(argument, Number) for argument in arguments]
        if any(fixed):
            # A number stays one: as a tensor it would need a dtype.
            where = fixed.index(True)
            number = arguments[where]
            value = number.value if isinstance(number, Number) else 0.0
            bound = _first_bound(call, value) if where == 0 else _second_bound(call, value)
            return self._emit(bound, self._places[arguments[1 - where]])
        return self._emit(call, *(self._places[argument] for argument in arguments))


def _constant(value: float) -> Callable[[], float]:
    return lambda: value


def _scaled(factor: float) -> Callable[[Any], Any]:
    if factor == -1.0:
        return lambda a: -a
    return lambda a: factor * a


def _shifted(constant: float) -> Callable[[Any], Any]:
    return lambda a: a + constant


def _added(factor: float) -> Callable[[Any, Any], Any]:
    if factor == 1.0:
        return lambda a, b: a + b
    if factor == -1.0:
        return lambda a, b: a - b
    return lambda a, b: torch.add(a, b, alpha=factor)


def _to_the(exponent: float) -> Callable[[Any], Any]:
    return lambda a: a**exponent


def _first_bound(call: Callable[..., Any], value: float) -> Callable[[Any], Any]:
    return lambda b: call(value, b)


def _second_bound(call: Callable[..., Any], value: float) -> Callable[[Any], Any]:
    return lambda a: call(a, value)


def _times(a: Any, b: Any) -> Any:
    return a * b


def _over(a: Any, b: Any) -> Any:
    return a / b


def _inverse(a: Any) -> Any:
    return 1.0 / a
