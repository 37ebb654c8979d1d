"""What a PDE is to the rest: coordinates, unknowns, a plan, and its residual."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from torch import Tensor, nn

from pinnderiv.equations.computing import Computing
from pinnderiv.equations.explain import explained
from pinnderiv.equations.manufactured import Source, source_of
from pinnderiv.equations.plan import plan_of
from pinnderiv.equations.text.calculus import affine
from pinnderiv.equations.text.expression import ZERO, Expression, atoms
from pinnderiv.equations.text.from_sympy import is_sympy, read_sympy
from pinnderiv.equations.text.reading import read, read_equation
from pinnderiv.equations.text.scope import Scope
from pinnderiv.equations.values import Values
from pinnderiv.errors import ArgumentError, ShapeError

E = TypeVar("E", bound="Equation")


class Equation:
    """A PDE, or a system of them, as people write it.

    ``Equation("u_t + u*u_x - nu*u_xx", coordinates=("x", "t"), nu=0.01)``. The language is
    described in docs/equations.md.

    Args:
        text: the residual, or ``"left = right"``; a sympy expression; or several of these, in a
            sequence or a dict with a name for each equation.
        coordinates: names of the columns; ``"t"`` is time, the others are space.
        outputs: names of the unknowns, in the order of the network's outputs.
        **values: what other names stand for: numbers; :class:`Trainable` or ``nn.Parameter`` for
            numbers to be found; functions of the coordinates as text, as a Python function
            (N, D) -> (N,) or (N, 1), as a module (which may be trained), or as a
            :class:`GridFunction`; a list of numbers or texts for a vector.

    Attributes:
        coordinates: names of the columns.
        outputs: names of the unknowns.
        names: of the equations.
        residuals: of each equation, as an expression.
        linear: whether all equations are affine in the unknowns together.
        trainable: the unknown numbers, by name.
        networks: coefficients that are modules, by name.
        unknowns: a module that holds both.
        true: true values of unknown numbers, where known.

    Raises:
        ArgumentError: the text cannot be read (says where), a value is not used, an unknown does
            not occur, or an equation has no derivative.
    """

    def __init__(
        self,
        text: Any,
        coordinates: Sequence[str] = ("x", "t"),
        outputs: Sequence[str] = ("u",),
        **values: Any,
    ) -> None:
        self._begin(coordinates, outputs, values)
        scope = Scope(self.coordinates, self.outputs, self._values.meanings, read)
        self.texts = _by_name(text)
        self.names = tuple(self.texts)
        self.residuals = tuple(_read(name, each, scope) for name, each in self.texts.items())
        unused = sorted(set(values) - scope.used)
        if unused:
            raise ArgumentError(
                f"the values {unused} do not occur in the equation: remove them, or correct it."
            )
        self._require_unknowns()
        parts = [affine(each, lambda atom: atom.kind == "output") for each in self.residuals]
        self.linear = all(part.other == ZERO for part in parts)
        self._free = tuple(part.free for part in parts)
        self._plan = plan_of(self.residuals, self.outputs)
        self._computing = Computing(self._plan, self._free, self.linear, self.outputs, self._values)

    def _begin(
        self, coordinates: Sequence[str], outputs: Sequence[str], values: Mapping[str, Any]
    ) -> None:
        # before anything is read, so that a single name is refused rather than taken apart
        Scope(coordinates, outputs, {}, read)
        self.coordinates, self.outputs = tuple(coordinates), tuple(outputs)
        self._given = dict(values)
        self._values = Values(self.coordinates, values)
        self.trainable, self.networks = self._values.trainable, self._values.networks
        self.true = self._values.true
        self.unknowns = nn.ModuleDict({"numbers": self.trainable, "functions": self.networks})

    def _require_unknowns(self) -> None:
        for name, residual in zip(self.names, self.residuals, strict=True):
            found = [atom for atom in atoms(residual) if atom.kind == "output"]
            if not any(atom.index for atom in found):
                what = "no derivative of an unknown" if found else "no unknown"
                raise ArgumentError(
                    f"{name!r} is no differential equation: it holds {what} "
                    f"({', '.join(self.outputs)}) that does not cancel."
                )
        held = {a.name for each in self.residuals for a in atoms(each) if a.kind == "output"}
        missing = [name for name in self.outputs if name not in held]
        if missing:
            raise ArgumentError(
                f"the unknowns {missing} do not occur in any equation; outputs={self.outputs}."
            )

    @staticmethod
    def from_function(
        function: Callable[[Mapping[str, Tensor]], Any],
        coordinates: Sequence[str] = ("x", "t"),
        outputs: Sequence[str] = ("u",),
        request: Sequence[str] = (),
        names: Sequence[str] = ("equation",),
        **values: Any,
    ) -> Equation:
        """An equation whose residual is a Python function, for what text cannot say.

        ``Equation.from_function(lambda d: d["u_t"] - d["u_xx"] + torch.relu(d["u"]),
        request=["u", "u_t", "u_xx"])``.

        Args:
            function: takes a mapping from each requested name, coordinate and value to
                (*batch,), and returns the residual (*batch,), or a sequence of one for each of
                ``names``.
            coordinates: names of the columns.
            outputs: names of the unknowns.
            request: the derivatives, by name as in :func:`pinnderiv.derivatives`.
            names: of the equations.
            **values: as for :class:`Equation`.

        Returns:
            The equation; it counts as nonlinear, since a function cannot be looked into.

        Raises:
            ArgumentError: a name that cannot be read.
        """
        from pinnderiv.equations.by_function import FunctionEquation

        return FunctionEquation(function, coordinates, outputs, request, names, **values)

    def __repr__(self) -> str:
        given = ", ".join(f"{name}={value!r}" for name, value in self._given.items())
        return (
            f"{type(self).__name__}({self._said}, {self.coordinates}, {self.outputs}"
            + f", {given}" * bool(given)
            + ")"
        )

    @property
    def _said(self) -> str:
        texts = list(self.texts.values())
        return repr(str(texts[0]) if len(texts) == 1 else [str(text) for text in texts])

    @property
    def count(self) -> int:
        """The number of equations."""
        return len(self.names)

    @property
    def space(self) -> tuple[str, ...]:
        """The coordinates without time."""
        return tuple(name for name in self.coordinates if name != "t")

    @property
    def time_order(self) -> int:
        """How many initial conditions the equation needs; 0 without time."""
        return self.order("t") if "t" in self.coordinates else 0

    def order(self, coordinate: str, output: str | None = None) -> int:
        """The highest number of derivatives by one coordinate, of one unknown or of any.

        Raises:
            ArgumentError: a coordinate or an unknown that the equation does not have.
        """
        if coordinate not in self.coordinates:
            raise ArgumentError(f"{coordinate!r} is none of the coordinates {self.coordinates}.")
        if output is not None and output not in self.outputs:
            raise ArgumentError(f"{output!r} is none of the outputs {self.outputs}.")
        column = self.coordinates.index(coordinate)
        return max(
            (
                index.count(column)
                for name, index in self._derivatives()
                if output is None or name == output
            ),
            default=0,
        )

    def _derivatives(self) -> list[tuple[str, tuple[int, ...]]]:
        return [
            (a.name, a.index) for each in self.residuals for a in atoms(each) if a.kind == "output"
        ]

    def residual(
        self,
        u: Callable[[Tensor], Tensor],
        points: Tensor,
        source: Tensor | None = None,
        **options: Any,
    ) -> Tensor:
        """The residual at the points: left minus right minus the source.

        Args:
            u: (*batch, D) -> (*batch, M), an output for each unknown. One linear equation takes
                any number of them, each as a solution of its own.
            points: (*batch, D), columns in the order of :attr:`coordinates`.
            source: what is subtracted, (*batch, count); ``None`` for zero.
            **options: ``method``, ``chunk_size`` and ``check`` of the derivatives.

        Returns:
            (*batch, count).

        Raises:
            ShapeError: ``points``, ``source`` or the values of ``u`` have another shape.
        """
        self._check(points)
        found = self._computing.residual(u, points, options)
        if source is None:
            return found
        if source.shape != found.shape:
            # (N, M) − (N,) would broadcast to a matrix without complaint.
            raise ShapeError(
                f"source must be {tuple(found.shape)}, one value a point and output; got "
                f"{tuple(source.shape)}."
            )
        return found - source

    def apply(self, u: Callable[[Tensor], Tensor], points: Tensor, **options: Any) -> Tensor:
        """L u: the residual of a linear equation without the part that is free of u.

        Args:
            u: as for :meth:`residual`.
            points: (*batch, D).
            **options: as for :meth:`residual`.

        Returns:
            (*batch, count); (*batch, M) for one equation and an u with M outputs.

        Raises:
            ArgumentError: the equation is not linear.
            ShapeError: as for :meth:`residual`.
        """
        self._check(points)
        if not self.linear:
            raise ArgumentError(
                "the equation is not linear in its unknowns, so it has no operator to apply: use "
                "residual(u, points)."
            )
        return self._computing.apply(u, points, options)

    def free_part(self, points: Tensor) -> Tensor:
        """The part of the residual without unknowns, (*batch, count): residual − apply."""
        self._check(points)
        return self._computing.free(points)

    def __call__(self, u: Callable[[Tensor], Tensor]) -> Callable[..., Tensor]:
        """The residual of ``u`` as a function of the points: ``equation(net)(points)``."""

        def residual(points: Tensor, source: Tensor | None = None, **options: Any) -> Tensor:
            return self.residual(u, points, source, **options)

        return residual

    def estimates(self) -> dict[str, float]:
        """The present values of the unknown numbers."""
        return {name: float(each.detach()) for name, each in self.trainable.items()}

    def with_values(self, **values: Any) -> Equation:
        """The same equation with other values for some of its names."""
        return Equation(self.texts, self.coordinates, self.outputs, **{**self._given, **values})

    def source_for(self, solution: Any) -> Source:
        """The source that makes a function the solution: f with residual(u, x, f(x)) = 0.

        Args:
            solution: a text, or one for each unknown in a sequence or a dict; derivatives are
                then symbolic. Or a function (*batch, D) -> (*batch, M), differentiated exactly.
                Unknown numbers have their true values.

        Returns:
            A function of points (*batch, D) with values (*batch, count).

        Raises:
            ArgumentError: a text cannot be read, there is not one for each unknown, or an unknown
                number has no true value.
        """
        open_ones = sorted(set(self.trainable) - set(self.true))
        if open_ones:
            raise ArgumentError(
                f"the true values of {open_ones} are not known, so no source can be made: give "
                "Trainable(initial, true=...)."
            )
        known = self.with_values(**self.true) if self.true else self
        return source_of(known, solution)

    def explain(self) -> str:
        """How the residual is computed: operators, derivatives, channels. Print it."""
        return explained(self._plan, self.coordinates, self.outputs, self.names)

    def _check(self, points: Tensor) -> None:
        if points.shape[-1:] != (len(self.coordinates),):
            raise ShapeError(
                f"points must be (*batch, {len(self.coordinates)}), columns "
                f"({', '.join(self.coordinates)}); got {tuple(points.shape)}."
            )


def _by_name(text: Any) -> dict[str, Any]:
    if isinstance(text, Mapping):
        found = {str(name): each for name, each in text.items()}
    elif isinstance(text, str) or is_sympy(text):
        found = {"equation": text}
    elif isinstance(text, Sequence):
        single = len(text) == 1
        found = {"equation" if single else f"equation_{n + 1}": e for n, e in enumerate(text)}
    else:
        raise ArgumentError(f"an equation is a text or a sympy expression; got {text!r}.")
    if not found:
        raise ArgumentError("there is no equation in an empty sequence.")
    return found


def _read(name: str, text: Any, scope: Scope) -> Expression:
    if is_sympy(text):
        return read_sympy(text, scope)
    if not isinstance(text, str):
        raise ArgumentError(f"{name!r} must be a text or a sympy expression; got {text!r}.")
    return read_equation(text, scope)


def space_coordinates(space: Sequence[str], *, time: bool) -> tuple[str, ...]:
    """Names of the columns of an equation in space, and in time where it has one.

    Raises:
        ArgumentError: no coordinates, one name twice, or time among them.
    """
    names = (space,) if isinstance(space, str) else tuple(space)
    columns = (*names, "t") if time else names
    if not names or len(set(columns)) != len(columns):
        raise ArgumentError(
            f"space must name each coordinate once, such as ('x', 'y'), without time; got {names}."
        )
    return columns


def positive_number(name: str, value: float) -> float:
    """Requires a finite number above zero.

    Raises:
        ArgumentError: it is not; names it.
    """
    try:
        number = float(value)
    except (TypeError, ValueError) as error:
        raise ArgumentError(f"{name} must be a number above zero; got {value!r}.") from error
    if not (math.isfinite(number) and number > 0):
        raise ArgumentError(f"{name} must be a finite number above zero; got {value!r}.")
    return number
