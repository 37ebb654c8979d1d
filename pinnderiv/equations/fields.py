"""Functions of the coordinates: as text, and as values on a grid."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from pinnderiv.equations.text.calculus import differentiate, replace
from pinnderiv.equations.text.expression import Atom, Expression, Number, atoms
from pinnderiv.equations.text.program import Program
from pinnderiv.equations.text.reading import read, read_scalar
from pinnderiv.equations.text.scope import Scope
from pinnderiv.errors import ArgumentError, ShapeError


class TextField:
    """A function of the coordinates, as text: ``TextField("sin(pi*x)*exp(-t)", ("x", "t"))``.

    Called with points (*batch, D) it returns (*batch, 1), in their dtype and on their device. Its
    derivatives are found symbolically; the engines can differentiate it too. It serves as an exact
    solution, a boundary value, initial data or a coefficient.

    Args:
        text: in the language of :class:`pinnderiv.equations.Equation`, without unknowns.
        coordinates: names of the columns.
        **values: numbers, and texts, that other names stand for.

    Raises:
        ArgumentError: the text cannot be read (says where), or a value is not used.
    """

    def __init__(
        self, text: str | float | Expression, coordinates: Sequence[str] = ("x", "t"), **values: Any
    ) -> None:
        self.coordinates = tuple(coordinates)
        if isinstance(text, Expression):
            self.text, self.expression = "", text
        elif isinstance(text, str):
            given = {name: _plain_value(name, value) for name, value in values.items()}
            scope = Scope(self.coordinates, (), given, read)
            self.text, self.expression = text, read_scalar(text, scope)
            unused = sorted(set(values) - scope.used)
            if unused:
                raise ArgumentError(f"the values {unused} are not used in {text!r}.")
        else:
            self.text, self.expression = str(text), Number(float(text))
        for atom in atoms(self.expression):
            if atom.kind != "coordinate":
                raise ArgumentError(f"{atom.name!r} in a function of the coordinates is not known.")
        self._inputs = atoms(self.expression)
        self._program = Program([self.expression], self._inputs)

    def __repr__(self) -> str:
        return f"TextField({self.text!r}, {self.coordinates})"

    def __call__(self, points: Tensor) -> Tensor:
        """The values, (*batch, D) -> (*batch, 1)."""
        # columns of length 1: what is computed has the shape of the result throughout
        columns = [points[..., atom.index[0] : atom.index[0] + 1] for atom in self._inputs]
        (value,) = self._program(columns)
        if isinstance(value, float):
            return torch.zeros_like(points[..., :1]) + value
        return value

    def derivative(self, *by: str) -> TextField:
        """The derivative by the named coordinates, in turn: ``.derivative("x", "x")``.

        Raises:
            ArgumentError: a name that is no coordinate.
        """
        expression = self.expression
        for name in by:
            if name not in self.coordinates:
                raise ArgumentError(f"{name!r} is none of the coordinates {self.coordinates}.")
            expression = differentiate(expression, self.coordinates.index(name))
        made = TextField(expression, self.coordinates)
        made.text = f"d({self.text}, {', '.join(by)})" if by else self.text
        return made

    def over(self, coordinates: Sequence[str]) -> TextField:
        """The same function of points whose columns are these coordinates.

        Raises:
            ArgumentError: it depends on a coordinate that is none of them.
        """
        names = tuple(coordinates)
        if names == self.coordinates:
            return self
        unknown = sorted({atom.name for atom in self._inputs} - set(names))
        if unknown:
            raise ArgumentError(f"{self!r} depends on {unknown}, and the coordinates are {names}.")

        def swap(atom: Atom) -> Expression:
            return Atom("coordinate", atom.name, (names.index(atom.name),))

        made = TextField(replace(self.expression, swap), names)
        made.text = self.text
        return made

    def partial(self, points: Tensor, index: Sequence[int]) -> Tensor:
        """The derivative by columns, (*batch, D) -> (*batch, 1)."""
        return self.derivative(*(self.coordinates[column] for column in index))(points)


class GridFunction(nn.Module):
    """A function given by values on a grid, interpolated; constant beyond the grid.

    Args:
        axes: the coordinates of the grid: a mapping from names, for a function of some of the
            coordinates, or one sequence a coordinate. Each increasing, two numbers or more.
        values: at the grid's points, one dimension for each axis, in their order.
        smooth: cubic interpolation (Catmull–Rom tangents, continuous first derivatives)
            in place of a multilinear one.

    Raises:
        ArgumentError: axes that do not increase, or numbers that are not finite.
        ShapeError: values do not fit the axes.
    """

    def __init__(
        self,
        axes: Mapping[str, Any] | Sequence[Any],
        values: Any,
        *,
        smooth: bool = False,
    ) -> None:
        super().__init__()
        self.names = tuple(axes) if isinstance(axes, Mapping) else None
        given = list(axes.values()) if isinstance(axes, Mapping) else list(axes)
        lines = [torch.as_tensor(np.asarray(axis), dtype=torch.float64) for axis in given]
        table = torch.as_tensor(np.asarray(values), dtype=torch.float64)
        for n, line in enumerate(lines):
            name = repr(self.names[n]) if self.names else str(n)
            if line.ndim != 1 or len(line) < 2 or not bool((line.diff() > 0).all()):
                raise ArgumentError(
                    f"axis {name} of the grid must hold two or more rising numbers."
                )
        if table.shape != tuple(len(line) for line in lines):
            raise ShapeError(
                f"values on the grid must be {tuple(len(line) for line in lines)}, one dimension "
                f"for each axis; got {tuple(table.shape)}."
            )
        if not bool(torch.isfinite(table).all()):
            raise ArgumentError("values on the grid must be finite.")
        self.smooth = smooth
        self.columns: tuple[int, ...] = tuple(range(len(lines)))
        self._ends = [(float(line[0]), float(line[-1])) for line in lines]
        for n, line in enumerate(lines):
            self.register_buffer(f"axis_{n}", line)
        self.register_buffer("values", table)

    @classmethod
    def from_npz(cls, path: str | Path, *, smooth: bool = False) -> GridFunction:
        """Reads an ``.npz`` file: ``values``, and one array for each coordinate by its name.

        Raises:
            ArgumentError: the file has no ``values``, or not one axis for each dimension.
        """
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        if "values" not in arrays or len(arrays) < 2:
            raise ArgumentError(
                f"{path} must hold the array 'values' and an array for each coordinate; it holds "
                f"{sorted(arrays)}."
            )
        values = arrays.pop("values")
        return cls(arrays, values, smooth=smooth)

    def over(self, coordinates: Sequence[str]) -> GridFunction:
        """The function, told the names of the columns that it will be called with.

        Raises:
            ArgumentError: it has an axis that is none of them, or not as many.
        """
        if self.names is None:
            if len(self.columns) != len(coordinates):
                raise ArgumentError(
                    f"the grid has {len(self.columns)} axes for the coordinates "
                    f"({', '.join(coordinates)}); name its axes: GridFunction({{'x': ...}}, ...)."
                )
            return self
        unknown = [name for name in self.names if name not in coordinates]
        if unknown:
            raise ArgumentError(
                f"the grid has the axes {unknown}, and the coordinates are {tuple(coordinates)}."
            )
        # not this object, which may belong to an equation with other columns
        made = copy.copy(self)
        made.columns = tuple(tuple(coordinates).index(name) for name in self.names)
        return made

    def forward(self, points: Tensor) -> Tensor:
        """The interpolated values, (*batch, D) -> (*batch, 1)."""
        return self.partial(points, ())

    def partial(self, points: Tensor, index: Sequence[int]) -> Tensor:
        """A derivative of the interpolant by columns, (*batch, D) -> (*batch, 1)."""
        table: Tensor = self.get_buffer("values")
        flat, stride = table.reshape(-1).to(points.device, points.dtype), 1
        weights: list[list[Any]] = []
        places: list[list[Tensor]] = []
        for n in range(len(self.columns) - 1, -1, -1):
            axis = self.get_buffer(f"axis_{n}").to(points.device, points.dtype)
            x, order = points[..., self.columns[n]], list(index).count(self.columns[n])
            nodes, factors = _stencil(axis, self._ends[n], x, order, self.smooth)
            places.append([node * stride for node in nodes])
            weights.append(factors)
            stride *= len(axis)
        if set(index) - set(self.columns):
            return torch.zeros_like(points[..., :1])
        total: Any = 0.0
        for corner in range(math.prod([len(each) for each in weights])):
            place: Any = 0
            factor: Any = 1.0
            for nodes, factors in zip(places, weights, strict=True):
                corner, which = divmod(corner, len(nodes))
                place, factor = place + nodes[which], factor * factors[which]
            total = total + flat[place] * factor
        return total.unsqueeze(-1)


def _stencil(
    axis: Tensor, ends: tuple[float, float], x: Tensor, order: int, smooth: bool
) -> tuple[list[Tensor], list[Tensor]]:
    """The nodes around x along one axis, and each one's weight (or derivatives of it)."""
    last = len(axis) - 1
    # not torch.searchsorted, which nothing can be carried through
    cell = (x.unsqueeze(-1) >= axis[1:-1]).sum(-1)
    left, right = axis[cell], axis[cell + 1]
    width = right - left
    inside = x.clamp(*ends) if order == 0 else x
    s = (inside - left) / width
    beyond = (x < ends[0]) | (x > ends[1])
    if not smooth:
        if order == 0:
            return [cell, cell + 1], [1 - s, s]
        slope = torch.where(beyond, torch.zeros_like(width), 1 / width)
        return [cell, cell + 1], [-slope, slope] if order == 1 else [0 * slope, 0 * slope]
    before, after = (cell - 1).clamp(min=0), (cell + 2).clamp(max=last)
    # Hermite's cubics; the slope at a node is that of the chord through its neighbours
    polynomials = ((1, 0, -3, 2), (0, 0, 3, -2), (0, 1, -2, 1), (0, 0, -1, 1))
    h00, h01, h10, h11 = (_cubic(c, s, order) for c in polynomials)
    scale = width**-order
    if order:
        scale = torch.where(beyond, torch.zeros_like(scale), scale)
    down = h10 * width / (right - axis[before])
    up = h11 * width / (axis[after] - left)
    weights = [-down, h00 - up, h01 + down, up]
    return [before, cell, cell + 1, after], [weight * scale for weight in weights]


def _cubic(coefficients: tuple[int, ...], s: Tensor, order: int) -> Tensor:
    """A polynomial in s, or its derivative of some order."""
    total = torch.zeros_like(s)
    for n in range(3, order - 1, -1):
        total = total * s + coefficients[n] * math.perm(n, order)
    return total


def _plain_value(name: str, value: Any) -> Any:
    if isinstance(value, str):
        return value
    if isinstance(value, bool) or not isinstance(value, (int, float, np.number)):
        raise ArgumentError(f"{name} must be a number or a text; got {value!r}.")
    return Number(float(value))
