"""What an equation is given by name: numbers, unknown numbers, and functions of the coordinates."""

from __future__ import annotations

import math
import numbers
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from pinnderiv.derivatives.shared import shared
from pinnderiv.equations.fields import GridFunction, TextField
from pinnderiv.equations.text.expression import Atom, Number
from pinnderiv.equations.text.scope import Given
from pinnderiv.errors import ArgumentError, ShapeError


class Trainable:
    """A number of the equation that is not known, and is trained with the network.

    Args:
        initial: where training starts.
        true: what it is, where that is known; for reports only.

    Raises:
        ArgumentError: a number that is not finite.
    """

    def __init__(self, initial: float, true: float | None = None) -> None:
        for name, value in (("initial", initial), ("true", true)):
            if value is not None and not math.isfinite(value):
                raise ArgumentError(f"{name} must be a finite number; got {value!r}.")
        self.true = None if true is None else float(true)
        self.parameter = nn.Parameter(torch.tensor(float(initial), dtype=torch.float64))


class Values:
    """The values of an equation.

    Args:
        coordinates: names of the columns.
        given: by name.

    Attributes:
        meanings: what a scope is told of each.
        trainable: the unknown numbers.
        networks: coefficients that are modules.
        true: the true values of unknown numbers, where known.

    Raises:
        ArgumentError: a value that is neither a number nor a function of the coordinates.
    """

    def __init__(self, coordinates: Sequence[str], given: Mapping[str, Any]) -> None:
        self.coordinates = tuple(coordinates)
        self.meanings: dict[str, Given] = {}
        self.trainable = nn.ParameterDict()
        self.networks = nn.ModuleDict()
        self.true: dict[str, float] = {}
        self._held: dict[str, Tensor] = {}
        self._columned: dict[str, _Columned] = {}
        self._functions: dict[str, Callable[[Tensor], Tensor]] = {}
        for name, value in given.items():
            self.meanings[name] = self._sort(name, value)

    def _sort(self, name: str, value: Any) -> Given:
        if isinstance(value, Trainable):
            if value.true is not None:
                self.true[name] = value.true
            return self._unknown(name, value.parameter)
        if isinstance(value, Tensor):
            if value.numel() != 1:
                raise ArgumentError(
                    f"{name} is a tensor of shape {tuple(value.shape)}; a parameter is one number. "
                    "For values on a grid use GridFunction(axes, values)."
                )
            return self._unknown(name, value) if value.requires_grad else _number(name, value)
        if isinstance(value, (str, Number)):
            return value
        if isinstance(value, TextField):
            return self._function(name, value.over(self.coordinates))
        if isinstance(value, GridFunction):
            return self._function(name, value.over(self.coordinates))
        if isinstance(value, nn.Module):
            _check_name(name, self.networks)
            self.networks[name] = value
            return self._function(name, value)
        if callable(value):
            return self._function(name, value)
        if isinstance(value, (list, tuple)):
            return tuple(self._component(f"{name}[{n}]", each) for n, each in enumerate(value))
        return _number(name, value)

    def _component(self, name: str, value: Any) -> Given:
        return value if isinstance(value, str) else _number(name, value)

    def _unknown(self, name: str, tensor: Tensor) -> Given:
        if isinstance(tensor, nn.Parameter):
            _check_name(name, self.trainable)
            self.trainable[name] = tensor
        else:
            # a tensor that was computed: its gradient belongs to what it came from
            self._held[name] = tensor
        return Atom("parameter", name)

    def _function(self, name: str, function: Callable[[Tensor], Tensor]) -> Given:
        self._functions[name] = function
        # made here, not where it is used: torch.compile needs one that exists
        self._columned[name] = _Columned(function)
        return Atom("coefficient", name)

    def of(self, atom: Atom, points: Tensor, options: Mapping[str, Any]) -> Any:
        """The value of a coordinate, parameter or coefficient at points (*batch, D).

        Args:
            atom: which.
            points: the points.
            options: of the derivatives, for coefficients that are differentiated.

        Returns:
            (*batch,), or 0-d for a parameter.

        Raises:
            ShapeError: a coefficient has not one value a point.
        """
        if atom.kind == "coordinate":
            return points[..., atom.index[0]]
        if atom.kind == "parameter":
            held = self._held.get(atom.name)
            found = getattr(self.trainable, atom.name) if held is None else held
            # a 0-d tensor takes on the dtype of what it meets
            return found.reshape(()) if found.ndim else found
        name, index = atom.name, atom.index
        function = self.networks[name] if name in self.networks else self._functions[name]
        if index and isinstance(function, (TextField, GridFunction)):
            value = function.partial(points, index)
        elif index:
            value = shared(self._columned[name], [index], **options)(points)[index]
        else:
            value = function(points)
        if value.shape == (*points.shape[:-1], 1):
            return value.squeeze(-1)
        if value.shape != points.shape[:-1]:
            raise ShapeError(
                f"the coefficient {name!r} must return one value a point, (N,) or (N, 1), for "
                f"points {tuple(points.shape)}; got {tuple(value.shape)}."
            )
        return value


class _Columned:
    """A coefficient (N,) or (N, 1) as a function with values (N, 1)."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        self.function = function

    def __call__(self, points: Tensor) -> Tensor:
        value = self.function(points)
        return value.unsqueeze(-1) if value.ndim < points.ndim else value


def _check_name(name: str, held: nn.Module) -> None:
    if hasattr(held, name) or "." in name:
        raise ArgumentError(f"{name!r} cannot be the name of something trained: choose another.")


def _number(name: str, value: Any) -> Number:
    if isinstance(value, Tensor) and value.numel() == 1:
        value = value.item()
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise ArgumentError(
            f"{name} must be a number, or a function of the coordinates (a text, a Python function "
            f"of the points, a module or a GridFunction); got {value!r}."
        )
    if not math.isfinite(value):
        raise ArgumentError(f"{name} must be finite; got {value!r}.")
    return Number(float(value))
