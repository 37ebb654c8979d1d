"""The table of rules: which formula carries derivatives through which PyTorch function."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional

from pinnderiv.errors import ArgumentError

Apply = Callable[..., Any]
"""Called as ``apply(run, *args, **kwargs)`` with carriers among the arguments."""


@dataclass(frozen=True)
class Rule:
    """How one PyTorch function acts on carriers.

    Attributes:
        kind: the algebraic class ("linear", "elementwise", "bilinear", …).
        apply: the formula.
        view: the result shares memory with the first argument; "perhaps" if that depends on
            how the argument lies in memory, a function if it depends on the arguments.
    """

    kind: str
    apply: Apply
    view: bool | str | Callable[..., bool] = False


RULES: dict[Any, Rule] = {}
METHODS: dict[str, Rule] = {}
"""The rules of what torch.Tensor has in Python (``__rsub__``, ``norm``), by name: torch.compile
hands these over as functions of its own, which are equal in name only."""

_NAMESPACES = (
    torch,
    torch.Tensor,
    torch.nn.functional,
    torch.special,
    torch.linalg,
    torch.fft,
    torch._C._nn,
    torch._C._VariableFunctions,
)


def named(name: str) -> list[Any]:
    """Every public PyTorch function of that name: ``named("exp")`` is torch.exp, Tensor.exp, …

    Raises:
        ArgumentError: there is none.
    """
    found: list[Any] = []
    for space in _NAMESPACES:
        function = getattr(space, name, None)
        if callable(function) and not any(function is f for f in found):
            found.append(function)
    if not found:
        raise ArgumentError(f"PyTorch has no function named {name!r}.")
    return found


def _expand(targets: tuple[Any, ...]) -> Iterator[Any]:
    for target in targets:
        if isinstance(target, str):
            yield from named(target)
        elif callable(target):
            yield target
        else:
            raise ArgumentError(
                f"a rule is registered for functions or names of PyTorch functions, got {target!r}."
            )


def register(rule: Rule, *targets: Any) -> None:
    """Enters a rule for functions, or for every PyTorch function of a name.

    Args:
        rule: the rule.
        targets: functions, or names such as ``"exp"``.

    Raises:
        ArgumentError: a function has a rule already, so that one of the two would be
            ignored in silence.
    """
    functions: list[Any] = []
    for function in _expand(targets):
        if function in RULES:
            raise ArgumentError(
                f"{readable(function)} has a rule already ({RULES[function].kind}). Remove it "
                "with pinnderiv.taylor.unregister first if it is to be replaced."
            )
        if function not in functions:
            functions.append(function)
    for function in functions:
        RULES[function] = rule
        if getattr(function, "__module__", None) == "torch._tensor":
            METHODS[function.__name__] = rule


def unregister(*targets: Any) -> None:
    """Removes the rules of functions, or of every PyTorch function of a name.

    Raises:
        ArgumentError: a function has no rule.
    """
    functions = list(_expand(targets))
    for function in functions:
        if function not in RULES:
            raise ArgumentError(f"{readable(function)} has no rule.")
    for function in functions:
        RULES.pop(function, None)
        if getattr(function, "__module__", None) == "torch._tensor":
            METHODS.pop(function.__name__, None)


def readable(function: Any) -> str:
    """A name for a PyTorch function in messages: ``torch.linalg.det``."""
    name = torch.overrides.resolve_name(function)
    if name is None:
        module = getattr(function, "__module__", "") or ""
        name = getattr(function, "__qualname__", None) or getattr(function, "__name__", None)
        name = str(function) if name is None else f"{module}.{name}".lstrip(".")
    return name.removesuffix(".__get__")
