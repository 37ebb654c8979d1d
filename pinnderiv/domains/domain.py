"""What every domain can do: map unit points into itself and onto its boundary pieces."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor

from pinnderiv.domains.naming import unknown_name
from pinnderiv.errors import ArgumentError, DtypeError, ShapeError

# A grid is held in memory at once; beyond this it is a mistake in nearly every case.
MAX_GRID_POINTS = 20_000_000


class Domain(ABC):
    """A bounded set of points in ``dim`` coordinates, with a boundary in named pieces.

    Points come from *unit points*, numbers in [0, 1) that a sampler draws. The
    map from unit points to the domain is deterministic, so a low-discrepancy
    sampler stays a low-discrepancy sampler, and one seed fixes every point.
    """

    @property
    @abstractmethod
    def lower(self) -> tuple[float, ...]:
        """Lower corner of the bounding box, one number a coordinate."""

    @property
    @abstractmethod
    def upper(self) -> tuple[float, ...]:
        """Upper corner of the bounding box, one number a coordinate."""

    @property
    @abstractmethod
    def pieces(self) -> tuple[str, ...]:
        """Names of the pieces of the boundary on which conditions can be set."""

    @property
    @abstractmethod
    def measure(self) -> float:
        """Length, area or volume of the interior."""

    @property
    def dim(self) -> int:
        """Number of coordinates, time included."""
        return len(self.lower)

    @property
    def time_axis(self) -> int | None:
        """Column of the time coordinate; ``None`` where there is no time."""
        return None

    def interior(self, unit: Tensor) -> Tensor:
        """Maps unit points into the domain, uniformly in its measure.

        Args:
            unit: floating-point (N, dim), in [0, 1).

        Returns:
            (N, dim), in the dtype and on the device of ``unit``.

        Raises:
            ShapeError: ``unit`` is not (N, dim).
            DtypeError: ``unit`` is not a floating-point tensor.
            ArgumentError: ``unit`` leaves [0, 1].
        """
        self._check_unit(unit)
        return self._interior(unit)

    def on_piece(self, name: str, unit: Tensor) -> Tensor:
        """Maps unit points onto a piece of the boundary, uniformly in its measure.

        Args:
            name: one of :attr:`pieces`.
            unit: floating-point (N, dim), in [0, 1). A piece has fewer
                dimensions than ``dim``: the column left over chooses among its
                faces, or is not used.

        Returns:
            (N, dim), in the dtype and on the device of ``unit``. The coordinate
            that a face fixes equals the bound to the last bit.

        Raises:
            ArgumentError: no such piece, or ``unit`` leaves [0, 1].
            ShapeError: ``unit`` is not (N, dim).
            DtypeError: ``unit`` is not a floating-point tensor.
        """
        self._check_piece(name)
        self._check_unit(unit)
        return self._on_piece(name, unit)

    def piece_measure(self, name: str) -> float:
        """Size of a piece of the boundary; isolated points count 1 each.

        Raises:
            ArgumentError: no such piece.
        """
        self._check_piece(name)
        return self._piece_measure(name)

    def contains(self, x: Tensor) -> Tensor:
        """Which points lie in the domain, its boundary included.

        Args:
            x: (*batch, dim).

        Returns:
            bool (*batch,).

        Raises:
            ShapeError: the last dimension of ``x`` is not ``dim``.
        """
        if x.dim() == 0 or x.shape[-1] != self.dim:
            raise ShapeError(
                f"x must be (*batch, {self.dim}), one column a coordinate; got {tuple(x.shape)}."
            )
        return self._contains(x)

    def grid(
        self,
        n_per_axis: int | Sequence[int],
        *,
        dtype: torch.dtype = torch.float64,
        device: torch.device | str | None = None,
    ) -> Tensor:
        """Regular grid over the bounding box, both ends of each axis included.

        Args:
            n_per_axis: points along every axis, or one number an axis; at least 2.
            dtype: of the result.
            device: of the result.

        Returns:
            (n_1·…·n_dim, dim), the first coordinate varying slowest, so that
            ``values.reshape(n_1, …, n_dim)`` lays values out by axis.

        Raises:
            ArgumentError: fewer than 2 points an axis, a wrong number of
                entries, or more than 20 million points in all.
        """
        counts = self._grid_counts(n_per_axis)
        axes = [
            torch.linspace(low, high, n, dtype=torch.float64)
            for low, high, n in zip(self.lower, self.upper, counts, strict=True)
        ]
        mesh = torch.meshgrid(*axes, indexing="ij")
        points = torch.stack([column.reshape(-1) for column in mesh], dim=-1)
        return points.to(dtype=dtype, device=device)

    @abstractmethod
    def _interior(self, unit: Tensor) -> Tensor: ...

    @abstractmethod
    def _on_piece(self, name: str, unit: Tensor) -> Tensor: ...

    @abstractmethod
    def _piece_measure(self, name: str) -> float: ...

    @abstractmethod
    def _contains(self, x: Tensor) -> Tensor: ...

    def _grid_counts(self, n_per_axis: int | Sequence[int]) -> list[int]:
        counts = [n_per_axis] * self.dim if isinstance(n_per_axis, int) else list(n_per_axis)
        if len(counts) != self.dim or any(n < 2 for n in counts):
            raise ArgumentError(
                f"n_per_axis must be one integer of at least 2, or {self.dim} of them (one an "
                f"axis); got {n_per_axis}."
            )
        total = 1
        for n in counts:
            total *= n
        if total > MAX_GRID_POINTS:
            raise ArgumentError(
                f"a grid of {' x '.join(map(str, counts))} has {total:,} points, more than "
                f"{MAX_GRID_POINTS:,}. In {self.dim} dimensions use fewer points an axis, or "
                "sample: domain.interior(sampler.draw(n, domain.dim))."
            )
        return counts

    def _check_piece(self, name: str) -> None:
        if name not in self.pieces:
            raise unknown_name(
                f"piece of the boundary of this {type(self).__name__}", name, self.pieces
            )

    def _check_unit(self, unit: Tensor) -> None:
        if not isinstance(unit, Tensor) or not unit.is_floating_point():
            got = unit.dtype if isinstance(unit, Tensor) else type(unit).__name__
            raise DtypeError(f"unit must be a floating-point tensor (N, {self.dim}); got {got}.")
        if unit.dim() != 2 or unit.shape[1] != self.dim:
            raise ShapeError(
                f"unit must be (N, {self.dim}), one column a coordinate of the domain; got "
                f"{tuple(unit.shape)}. Draw it with sampler.draw(n, domain.dim)."
            )
        if unit.numel() and not (float(unit.min()) >= 0.0 and float(unit.max()) <= 1.0):
            raise ArgumentError(
                "unit must lie in [0, 1]: these are numbers from a sampler, which the domain "
                f"scales itself; got values from {float(unit.min()):g} to {float(unit.max()):g}."
            )
