"""SymPy's expressions as ours. SymPy is never imported here: whoever has one, has it."""

from __future__ import annotations

from typing import Any

from pinnderiv.equations.text.calculus import differentiate
from pinnderiv.equations.text.expression import (
    Expression,
    Number,
    add,
    combine,
    function,
    multiply,
    power,
)
from pinnderiv.equations.text.functions import CONSTANTS, FUNCTIONS
from pinnderiv.equations.text.parser import DEEPEST
from pinnderiv.equations.text.scope import Scope
from pinnderiv.equations.text.tokens import did_you_mean
from pinnderiv.errors import ArgumentError

_NAMES = {
    "Abs": "abs",
    "Min": "min",
    "Max": "max",
    "Heaviside": "heaviside",
    "ln": "log",
}


def is_sympy(item: Any) -> bool:
    """Whether something is an object of SymPy."""
    return type(item).__module__.partition(".")[0] == "sympy" or any(
        base.__module__.startswith("sympy.core") for base in type(item).__mro__
    )


def read_sympy(item: Any, scope: Scope) -> Expression:
    """A SymPy expression, or ``Eq(left, right)``, as an expression.

    Unknowns are functions ``u(x, t)`` or symbols ``u``; derivatives are ``Derivative`` or symbols
    such as ``u_xx``.

    Raises:
        ArgumentError: a name or a function that is not known.
    """
    if type(item).__name__ == "Equality":
        left, right = (read_sympy(side, scope) for side in item.args)
        return combine([(left, 1.0), (right, -1.0)])
    return _read(item, scope, 0)


def _read(item: Any, scope: Scope, depth: int) -> Expression:
    if depth > 4 * DEEPEST:
        raise ArgumentError("the expression is nested too deeply.")
    kind = type(item).__name__
    if getattr(item, "is_Symbol", False):
        return _named(str(item.name), scope)
    if getattr(item, "is_number", False) and not item.args:
        try:
            return Number(float(item))
        except TypeError as error:
            raise ArgumentError(f"{item} in the SymPy expression is no real number.") from error
    parts = item.args
    if kind == "Derivative":
        result = _read(item.expr, scope, depth + 1)
        for variable, times in item.variable_count:
            column = scope.column(str(variable))
            if column is None:
                raise ArgumentError(
                    f"{item} differentiates by {variable}, which is none of {scope.coordinates}."
                )
            for _ in range(int(times)):
                result = differentiate(result, column)
        return result
    if getattr(item, "is_Function", False) and kind in (*scope.outputs, *scope.values):
        return _named(kind, scope)
    made = [_read(part, scope, depth + 1) for part in parts]
    if kind == "Add":
        return add(made)
    if kind == "Mul":
        return multiply(made)
    if kind == "Pow":
        return power(*made)
    name = _NAMES.get(kind, kind)
    if name not in FUNCTIONS:
        raise ArgumentError(f"the function {kind} of SymPy is not known to equations.")
    while len(made) > FUNCTIONS[name].arity and name in ("min", "max"):
        made = [function(name, (made[0], made[1])), *made[2:]]
    if name == "heaviside":
        made = made[:1]  # SymPy adds the value at zero, which is 1/2 there as here
    if len(made) != FUNCTIONS[name].arity:
        raise ArgumentError(f"{item} has {len(made)} arguments.")
    return function(name, tuple(made))


def _named(name: str, scope: Scope) -> Expression:
    found = scope.meaning(name)
    if isinstance(found, Expression):
        return found
    if found is not None:
        raise ArgumentError(f"{name!r} is a vector, which SymPy's expressions cannot hold.")
    hint = did_you_mean(name, [*scope.names(), *CONSTANTS])
    raise ArgumentError(f"unknown name {name!r} in the SymPy expression. {hint}".rstrip())
