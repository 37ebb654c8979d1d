"""Residual functions and the points that they are called at, and what they may return."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn
from torch.func import functional_call

from pinnderiv.errors import ArgumentError, DtypeError, ShapeError

RESIDUAL = "residual"

Residual = Callable[..., Tensor | Mapping[str, Tensor]]
"""Returns a tensor of residuals, of any shape, or a mapping from terms' names to such tensors."""

Columns = Tensor | tuple[Tensor, ...]
"""Points, one a row; or points and what is known at them, row by row."""


class Holder(nn.Module):
    """``functional_call`` calls a module that holds the parameters; this one calls a function."""

    def __init__(self, modules: list[nn.Module]) -> None:
        super().__init__()
        self.held = nn.ModuleList(modules)

    def forward(self, function: Residual, *columns: Tensor) -> Any:
        return function(*columns)


@dataclass(frozen=True)
class Piece:
    """A residual function, with the points that it is called at; no columns for a closure.

    Attributes:
        name: of its one term; None if what it returns says that.
        function: what is called.
        columns: its arguments, a row of each for a point.
    """

    name: str | None
    function: Residual
    columns: tuple[Tensor, ...]

    def values(self, like: Tensor) -> dict[str, Tensor]:
        """The residuals of its terms at all points, flat: (N_term,).

        Raises:
            ArgumentError: one is empty, or the piece returns terms of its own and has a name.
            DtypeError: one is no tensor of the type of ``like``, and real.
            ShapeError: one has not a row for each point.
        """
        found = self._named(self.function(*self.columns))
        for name, value in found.items():
            _require_usable(name, value, like)
            if self.columns and (value.ndim < 1 or len(value) != len(self.columns[0])):
                raise ShapeError(
                    f"residual {name!r} must have a row for each of the {len(self.columns[0])} "
                    f"points; got {tuple(value.shape)}."
                )
        return {name: value.reshape(-1) for name, value in found.items()}

    def values_with(
        self, holder: Holder, parameters: dict[str, Tensor], row: tuple[Tensor, ...] | None = None
    ) -> dict[str, Tensor]:
        """The same with other parameters; at all points, or at one."""
        columns = self.columns if row is None else tuple(each[None] for each in row)
        found = self._named(functional_call(holder, parameters, (self.function, *columns)))
        return {name: value.reshape(-1) for name, value in found.items()}

    def require_own_row(self, widths: Mapping[str, int], sizes: Mapping[str, int]) -> None:
        """Sees that one point has its share of the numbers that all points have.

        Raises:
            ShapeError: it has another.
        """
        rows = len(self.columns[0])
        wrong = [name for name, width in widths.items() if width * rows != sizes.get(name)]
        if wrong:
            raise ShapeError(
                f"residual {wrong[0]!r} returned {widths[wrong[0]]} numbers for one of {rows} "
                f"points, and {sizes.get(wrong[0])} for all. What is known at the points, such as "
                "a source, belongs into points=(points, known)."
            )

    def _named(self, returned: Any) -> dict[str, Any]:
        if not isinstance(returned, Mapping):
            return {self.name or RESIDUAL: returned}
        if self.name is not None or not returned:
            raise ArgumentError(
                f"residual {self.name or ''} must return a tensor, not a mapping with the terms "
                f"{list(returned)}."
            )
        return {str(name): value for name, value in returned.items()}


def pieces(
    residual: Residual | Mapping[str, Residual], points: Columns | Mapping[str, Columns] | None
) -> Iterator[Piece]:
    """One piece, or one for each name of two mappings.

    Raises:
        ArgumentError: one is a mapping and the other is not, or the names differ.
        DtypeError: a function cannot be called, or points are no tensors.
        ShapeError: points are empty, or have different numbers of rows.
    """
    if isinstance(residual, Mapping):
        if not isinstance(points, Mapping) or set(points) != set(residual) or not residual:
            raise ArgumentError(
                "residual is a mapping of functions, so points must be one with the same names, "
                f"{list(residual)}; got "
                f"{list(points) if isinstance(points, Mapping) else type(points).__name__}."
            )
        for name, function in residual.items():
            yield Piece(name, _callable(function), _columns(points[name], name))
        return
    if isinstance(points, Mapping):
        raise ArgumentError(
            f"points is a mapping, so residual must be one of functions with the names "
            f"{list(points)}; got {type(residual).__name__}."
        )
    columns = () if points is None else _columns(points, RESIDUAL)
    yield Piece(None, _callable(residual), columns)


def _callable(function: Residual) -> Residual:
    if not callable(function):
        raise DtypeError(
            f"residual must be a function that returns the residuals; got "
            f"{type(function).__name__}. A tensor that was computed once cannot follow the "
            "parameters."
        )
    return function


def _columns(points: Columns, name: str) -> tuple[Tensor, ...]:
    columns = points if isinstance(points, tuple) else (points,)
    for each in columns:
        if not isinstance(each, Tensor):
            raise DtypeError(f"points of {name!r} must be tensors; got {type(each).__name__}.")
    lengths = {0 if each.ndim == 0 else len(each) for each in columns}
    if len(lengths) != 1 or 0 in lengths:
        raise ShapeError(
            f"points of {name!r} must have one row a point, and as many in each tensor; got "
            f"{[tuple(each.shape) for each in columns]}."
        )
    return tuple(each.detach() for each in columns)


def _require_usable(name: str, value: Any, like: Tensor) -> None:
    if not isinstance(value, Tensor):
        raise DtypeError(f"residual {name!r} must be a tensor, got {type(value).__name__}.")
    if value.is_complex():
        raise DtypeError(
            f"residual {name!r} is complex; its mean square is minimised, so give its real and "
            "imaginary parts: torch.view_as_real(residual)."
        )
    if value.dtype != like.dtype or value.device != like.device:
        raise DtypeError(
            f"residual {name!r} is {value.dtype} on {value.device} and the parameters are "
            f"{like.dtype} on {like.device}: give both one type and one place."
        )
    if value.numel() == 0:
        raise ArgumentError(f"residual {name!r} is empty: there is nothing to minimise.")
