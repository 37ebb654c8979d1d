"""Equations that hold on a piece of the boundary, and may speak of its normal; and systems."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from pinnderiv.equations import Equation, GridFunction, Trainable
from pinnderiv.equations.text.expression import atoms
from pinnderiv.errors import ArgumentError, ConfigurationError, PinnderivError
from pinnderiv.problems.texts import used_in


class System(Equation):
    """Several equations, of which some may be algebraic: u_x = v, v = u**2."""

    def _require_unknowns(self) -> None:
        held = [
            [each for each in atoms(residual) if each.kind == "output"]
            for residual in self.residuals
        ]
        for name, found in zip(self.names, held, strict=True):
            if not found:
                raise ArgumentError(
                    f"{name!r} is no equation: it holds no unknown ({', '.join(self.outputs)}) "
                    "that does not cancel."
                )
        self._require_whole([atom for found in held for atom in found])

    def _require_whole(self, held: Sequence[Any]) -> None:
        missing = [name for name in self.outputs if name not in {atom.name for atom in held}]
        if missing:
            raise ArgumentError(
                f"no equation holds {' and '.join(missing)}: a system has one for each output."
            )
        if not any(atom.index for atom in held):
            raise ArgumentError(
                f"no equation holds a derivative of an unknown ({', '.join(self.outputs)})."
            )


class RelationEquation(System):
    """Equations of a relation: they need no derivatives, and not every unknown."""

    def _require_whole(self, held: Sequence[Any]) -> None:
        pass


def relation_equation(
    texts: Sequence[Any],
    path: str,
    problem: Equation,
    values: Mapping[str, Any],
    time_axis: int | None,
) -> tuple[Equation, bool]:
    """The equation of a relation, and whether it speaks of the normal n.

    ``u_n`` is written out as n · ∇u, and the components of n (``n_x``, …) are coordinates of their
    own after those of the problem. What is unknown in it becomes an unknown of the problem's
    equation, where it is trained.

    Args:
        texts: of the equations.
        path: where they stand in the problem file.
        problem: the equation of the problem.
        values: of the problem's parameters; those that occur are taken.
        time_axis: column of time, which the normal has no part in, or None.

    Raises:
        ConfigurationError: a text cannot be read.
    """
    coordinates, outputs = problem.coordinates, problem.outputs
    space = [name for column, name in enumerate(coordinates) if column != time_axis]
    written = []
    for each in texts:
        text = str(each)
        for output in outputs:
            slope = rf"\b{re.escape(output)}_n\b"
            if not space and re.search(slope, text):
                raise ConfigurationError(
                    f"{path}: {output}_n is the slope across the boundary of space, and the "
                    f"problem is in t alone: write {output}_t"
                )
            along = " + ".join(f"n_{x}*{output}_{x}" for x in space)
            text = re.sub(slope, f"({along})", text)
        written.append(text)
    components = tuple(f"n_{name}" for name in coordinates)
    with_normals = any(re.search(rf"\b{each}\b", text) for text in written for each in components)
    columns = (*coordinates, *(components if with_normals else ()))
    used = {
        name: _lent(problem, name, value, len(coordinates))
        for name, value in used_in(written, values).items()
    }
    try:
        equation = RelationEquation(written, columns, outputs, **used)
    except PinnderivError as error:
        raise ConfigurationError(f"{path}: {error}") from error
    return equation, with_normals


def _lent(problem: Equation, name: str, value: Any, columns: int) -> Any:
    """A value as a relation uses it: what is trained belongs to the problem's equation."""
    if isinstance(value, Trainable):
        if name not in problem.trainable:
            problem.trainable[name] = value.parameter
            if value.true is not None:
                problem.true[name] = value.true
        return _Unknown(problem.trainable, name)
    if isinstance(value, GridFunction):
        return value
    if isinstance(value, nn.Module):
        if name not in problem.networks:
            problem.networks[name] = value
        return _OfCoordinates(problem.networks, name, columns)
    return value


@dataclass(frozen=True, eq=False)
class _Unknown:
    """An unknown number as a coefficient, read where it is trained."""

    held: nn.ParameterDict
    name: str

    def __call__(self, points: Tensor) -> Tensor:
        number: Tensor = getattr(self.held, self.name)
        return number.to(points).expand(points.shape[:-1])


@dataclass(frozen=True, eq=False)
class _OfCoordinates:
    """A coefficient network, which is not told of the normal."""

    held: nn.ModuleDict
    name: str
    columns: int

    def __call__(self, points: Tensor) -> Tensor:
        found: Tensor = self.held[self.name](points[..., : self.columns])
        return found
