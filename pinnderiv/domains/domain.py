"""What every domain can do: give points inside and on its boundary, normals and distances."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import Self, TypeVar

import torch
from torch import Tensor

from pinnderiv.domains.distance import no_distance
from pinnderiv.domains.grids import regular_grid
from pinnderiv.domains.naming import check_name, unknown_name
from pinnderiv.domains.samplers import Sampler
from pinnderiv.domains.sampling import (
    Predicate,
    Share,
    both,
    by_rejection,
    check_count,
    draw_accepted,
    empty,
    fine_share,
    holds,
    rough_share,
)
from pinnderiv.domains.shape import BOUNDARY, Shape
from pinnderiv.errors import ArgumentError, DtypeError, ShapeError

T = TypeVar("T")


class Domain(Shape):
    """A bounded set of points in ``dim`` coordinates, with a boundary in named pieces.

    Points come from *unit points*, numbers in [0, 1) that a sampler draws. The
    map from unit points to the domain is deterministic, so a low-discrepancy
    sampler stays a low-discrepancy sampler, and one seed fixes every point.

    ``a | b`` (or ``a + b``), ``a & b`` and ``a - b`` are the union, the
    intersection and the difference of two domains.
    """

    # Pieces defined by a predicate: their name, the piece they are part of, the predicate.
    _where: Mapping[str, tuple[str, Predicate]] = MappingProxyType({})

    @property
    def names(self) -> tuple[str, ...]:
        """Every name that stands for a part of the boundary: the pieces first, then their parts,
        ``"boundary"`` for all of it, and those that :meth:`piece_where` added."""
        own = () if self.name is None else (self.name,)
        every = (*self.pieces, *self.whole, *self._faces(), *own, BOUNDARY, *self._where)
        return tuple(dict.fromkeys(every))

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
            UnsupportedOperationError: points of this domain are found by rejection.
        """
        self._check_unit(unit)
        return self._interior(unit)

    def on_piece(self, name: str, unit: Tensor) -> Tensor:
        """Maps unit points onto a piece of the boundary, uniformly in its measure.

        Args:
            name: one of :attr:`names`.
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
            UnsupportedOperationError: points of this piece are found by rejection.
        """
        self._check_unit(unit)
        if self._find(name) in self._where:
            raise by_rejection(f"the piece {name!r}")
        return self._on_piece(self._find(name), unit)

    def sample(self, sampler: Sampler, n: int) -> Tensor:
        """Draws points inside, uniform in the measure of the domain.

        Where the domain is made of others, proposals outside it are drawn again;
        the draws depend on ``n`` and on the state of the sampler alone.

        Args:
            sampler: says how, and goes on by as many draws as were needed.
            n: number of points, at least 1.

        Returns:
            float64 (n, dim).

        Raises:
            ArgumentError: the domain is empty or unbounded, or ``n`` is not a positive integer.
        """
        return draw_accepted(
            sampler, check_count(n), self.dim, self._propose, self._share(), "the domain"
        )

    def sample_piece(self, name: str, sampler: Sampler, n: int) -> Tensor:
        """Draws points on a part of the boundary, uniform in its measure.

        Args:
            name: one of :attr:`names`.
            sampler: says how, and goes on by as many draws as were needed.
            n: number of points, at least 1.

        Returns:
            float64 (n, dim).

        Raises:
            ArgumentError: no such piece, it is empty, or ``n`` is not a positive integer.
        """
        found = self._find(name)
        return draw_accepted(
            sampler,
            check_count(n),
            self.dim,
            lambda unit: self._proposal(found, unit),
            self._share_of(found),
            f"the piece {name!r} of the boundary",
        )

    def piece_where(self, name: str, base: str, predicate: Predicate) -> Self:
        """Names the part of a piece where a predicate holds.

        Args:
            name: the new name.
            base: one of :attr:`names`.
            predicate: points (N, dim) -> bool (N,).

        Returns:
            A domain that has the name too; this one stays as it is.

        Raises:
            ArgumentError: the name is taken, there is no ``base``, or the predicate holds nowhere
                on it.
            ShapeError: the predicate does not return one boolean a point.
        """
        named = self._copy()
        entry = {check_name(name, self.names): (self._find(base), predicate)}
        named._where = MappingProxyType({**self._where, **entry})
        if named._share_of(name) <= 0:
            raise empty(f"the piece {name!r} (the part of {base!r} where its predicate holds)")
        return named

    def named(self, name: str) -> Self:
        """The same domain, its boundary called ``name``: here, and wherever it is part of another.

        Raises:
            ArgumentError: the name is no word, or stands for a piece already.
        """
        named = self._copy()
        named._set_name(name)
        return named

    def piece_measure(self, name: str) -> float:
        """Size of a part of the boundary; isolated points count 1 each.

        Raises:
            ArgumentError: no such piece.
        """
        found = self._find(name)
        if found in self._where:
            proposed = self._piece_proposal_measure(self.root(found))
            return proposed * self._fine_share_of(found).value
        return self._piece_measure(found)

    def piece_measure_error(self, name: str) -> float:
        """Standard error of :meth:`piece_measure`; 0 where that is exact.

        Raises:
            ArgumentError: no such piece.
        """
        found = self._find(name)
        if found in self._where:
            proposed = self._piece_proposal_measure(self.root(found))
            return proposed * self._fine_share_of(found).error
        return self._piece_measure_error(found)

    def normals(self, name: str, x: Tensor) -> Tensor:
        """Outward unit normals at points of a part of the boundary.

        Where two faces meet, the normal is that of one of them. In space-time the
        pieces of space have normals without a component in time.

        Args:
            name: one of :attr:`names`.
            x: points on it, (N, dim).

        Returns:
            (N, dim), in the dtype and on the device of ``x``.

        Raises:
            ArgumentError: no such piece.
            ShapeError: ``x`` is not (N, dim).
        """
        found = self.root(self._find(name))
        if x.dim() != 2 or x.shape[1] != self.dim:
            raise ShapeError(
                f"x must be (N, {self.dim}), points on {name!r}; got {tuple(x.shape)}."
            )
        return self._normals(found, x)

    def distance(self, x: Tensor) -> Tensor:
        """A smooth stand-in for the distance to the boundary of space.

        In units of length: where the boundary is smooth, it grows from 0 with slope
        1 or, for boxes, with at most that. It has all derivatives inside, however
        close to a corner; in corners of combinations they do not stay bounded.

        Args:
            x: points of the domain, (*batch, dim).

        Returns: (*batch, 1), zero on the boundary, positive inside.

        Raises:
            ShapeError: the last dimension of ``x`` is not ``dim``.
            UnsupportedOperationError: the domain has none: a mesh or a cloud of points.
        """
        self._check_columns(x)
        return self._inside(x)

    def piece_distance(self, name: str | Sequence[str], x: Tensor) -> Tensor:
        """A smooth stand-in for the distance to a part of the boundary, or to several.

        Args:
            name: one of :attr:`names`, or a list of them.
            x: points of the domain, (*batch, dim).

        Returns:
            (*batch, 1): zero on the part, positive elsewhere in the domain.

        Raises:
            ArgumentError: no such piece.
            ShapeError: the last dimension of ``x`` is not ``dim``.
            UnsupportedOperationError: the piece was defined by a predicate, or the domain is a
                mesh or a cloud of points.
        """
        names = [self._find(each) for each in ([name] if isinstance(name, str) else name)]
        self._check_columns(x)
        if not names:
            raise ArgumentError("name must be a piece of the boundary or a list of them; got none.")
        for each in names:
            if each in self._where:
                raise no_distance(each)
        return self._piece_inside(names, x)

    def smooth(self, name: str) -> bool:
        """Whether :meth:`piece_distance` to a part has bounded derivatives in all of the domain."""
        return name not in self._where and self._smooth(self._find(name), inside=True)

    def contains(self, x: Tensor) -> Tensor:
        """Which points lie in the domain, its boundary included.

        Args:
            x: (*batch, dim).

        Returns:
            bool (*batch,).

        Raises:
            ShapeError: the last dimension of ``x`` is not ``dim``.
        """
        self._check_columns(x)
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
            dtype, device: of the result.

        Returns:
            (n_1·…·n_dim, dim), the first coordinate varying slowest, so that
            ``values.reshape(n_1, …, n_dim)`` lays values out by axis.

        Raises:
            ArgumentError: fewer than 2 points an axis, a wrong number of
                entries, or more than 20 million points in all.
        """
        points = regular_grid(self.lower, self.upper, n_per_axis)
        return points.to(dtype=dtype, device=device)

    def __or__(self, other: Domain) -> Domain:
        from pinnderiv.domains.combine import Union

        return Union(self, other) if isinstance(other, Domain) else NotImplemented

    __add__ = __or__

    def __and__(self, other: Domain) -> Domain:
        from pinnderiv.domains.combine import Intersection

        return Intersection(self, other) if isinstance(other, Domain) else NotImplemented

    def __sub__(self, other: Domain) -> Domain:
        from pinnderiv.domains.combine import Difference

        return Difference(self, other) if isinstance(other, Domain) else NotImplemented

    def _set_name(self, name: str | None) -> None:
        self.name = None
        if name is not None:
            self.name = check_name(name, self.names)

    def _find(self, name: str) -> str:
        """What a name is to the hooks: ``"boundary"`` for whatever means all of it."""
        if name not in self.names:
            kind = f"piece of the boundary of this {type(self).__name__}"
            raise unknown_name(kind, name, self.pieces, self.names)
        return BOUNDARY if name in (*self.whole, self.name) else name

    def root(self, name: str) -> str:
        """The piece that predicates have cut a piece out of; itself for any other."""
        while name in self._where:
            name = self._where[name][0]
        return name

    def _proposal(self, name: str, unit: Tensor) -> tuple[Tensor, Tensor | None]:
        if name not in self._where:
            return self._propose_piece(name, unit)
        base, predicate = self._where[name]
        points, keep = self._proposal(base, unit)
        return points, both(keep, holds(predicate, name, points))

    def _share_of(self, name: str) -> float:
        if name not in self._where:
            return self._piece_share(name)
        propose = partial(self._proposal, name)
        return self._once(("rough", name), lambda: rough_share(propose, self.dim).value)

    def _fine_share_of(self, name: str) -> Share:
        propose = partial(self._proposal, name)
        return self._once(("fine", name), lambda: fine_share(propose, self.dim))

    def _once(self, key: object, compute: Callable[[], T]) -> T:
        """What ``compute`` returned when first asked: shapes do not change."""
        memory = self.__dict__.setdefault("_memory", {})
        if key not in memory:
            memory[key] = compute()
        return memory[key]

    def _copy(self) -> Self:
        twin = copy.copy(self)
        twin.__dict__.pop("_memory", None)
        return twin

    def _check_columns(self, x: Tensor) -> None:
        if x.dim() == 0 or x.shape[-1] != self.dim:
            raise ShapeError(
                f"x must be (*batch, {self.dim}), one column a coordinate; got {tuple(x.shape)}."
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
