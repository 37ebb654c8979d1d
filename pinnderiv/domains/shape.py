"""What a kind of domain has to know of itself: the hooks behind :class:`Domain`."""

from __future__ import annotations

import itertools
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Self

import torch
from torch import Tensor

from pinnderiv.errors import UnsupportedOperationError

BOUNDARY = "boundary"

# Beyond this many coordinates a box has too many corners to list.
_MAX_CORNERED = 12


class Shape(ABC):
    """The geometry of a domain, without checks of arguments.

    A hook that takes the name of a piece gets ``"boundary"`` for all of the
    boundary, or the name of one face; points are (N, dim), or (*batch, dim)
    where levels and distances are concerned.

    Attributes:
        name: what the whole boundary is called in combinations; ``None`` for the default.
        whole: names that mean all of the boundary, beside ``"boundary"``.
        label: what the boundary is called in combinations if the domain has no name.
        convex: whether the domain is known to be convex.
        combines: whether it can be an operand of unions, intersections and differences.
        operation: "union", "intersection" or "difference" if the domain is made of two others.
        operands: those two.
    """

    name: str | None = None
    whole: tuple[str, ...] = ()
    label: str = BOUNDARY
    convex: bool = False
    combines: bool = True
    operation: str = ""
    operands: tuple[Shape, ...] = ()

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
        """A partition of the boundary into named pieces, on which conditions can be set."""

    @property
    @abstractmethod
    def measure(self) -> float:
        """Length, area or volume of the interior."""

    @property
    def measure_error(self) -> float:
        """Standard error of :attr:`measure`; 0 where it is exact."""
        return 0.0

    @property
    def dim(self) -> int:
        """Number of coordinates, time included."""
        return len(self.lower)

    def _faces(self) -> tuple[str, ...]:
        """Names of parts of the pieces."""
        return ()

    # ---- points ------------------------------------------------------------------------------

    @abstractmethod
    def _interior(self, unit: Tensor) -> Tensor: ...

    @abstractmethod
    def _on_piece(self, name: str, unit: Tensor) -> Tensor: ...

    @abstractmethod
    def _piece_measure(self, name: str) -> float: ...

    def _piece_measure_error(self, name: str) -> float:
        return 0.0

    def _propose(self, unit: Tensor) -> tuple[Tensor, Tensor | None]:
        """Points, uniform over ``_proposal_measure()``, and which of them lie in the domain."""
        return self._interior(unit), None

    def _proposal_measure(self) -> float:
        return self.measure

    def _propose_piece(self, name: str, unit: Tensor) -> tuple[Tensor, Tensor | None]:
        """Points, uniform over ``_piece_proposal_measure()``, and which lie on the piece."""
        return self._on_piece(name, unit), None

    def _piece_proposal_measure(self, name: str) -> float:
        return self._piece_measure(name)

    def _share(self) -> float:
        """Part of the proposals that lies in the domain."""
        return 1.0

    def _piece_share(self, name: str) -> float:
        """Part of the proposals that lies on the piece."""
        return 1.0

    # ---- where a point lies --------------------------------------------------------------------

    @abstractmethod
    def _within(self, x: Tensor, slack: float) -> Tensor:
        """Which points lie in the domain widened by ``slack`` (narrowed, if negative)."""

    def _contains(self, x: Tensor) -> Tensor:
        return self._within(x, self._tolerance(x.dtype))

    def _tolerance(self, dtype: torch.dtype) -> float:
        """How far rounding of coordinates in ``dtype`` can carry a point off the boundary."""
        reach = max((abs(bound) for bound in (*self.lower, *self.upper)), default=1.0)
        return 16 * torch.finfo(dtype).eps * reach

    @abstractmethod
    def _normals(self, name: str, x: Tensor) -> Tensor:
        """Outward unit normals (N, dim) of the faces nearest to points of the piece."""

    @abstractmethod
    def _gap(self, name: str, x: Tensor) -> Tensor:
        """About how far the points are from the piece: (N,), not negative, zero on it alone."""

    # ---- smooth functions that vanish on the boundary ----------------------------------------

    def _level(self, x: Tensor) -> Tensor:
        """(*batch, 1): zero on the boundary, positive inside, negative outside."""
        raise UnsupportedOperationError(
            f"a {type(self).__name__} has no smooth distance to its boundary, so that its "
            "conditions can only be soft."
        )

    def _inside(self, x: Tensor) -> Tensor:
        """Like the level but for points of the domain alone, and as smooth as can be."""
        return self._level(x)

    def _piece_inside(self, names: Sequence[str], x: Tensor) -> Tensor:
        """(*batch, 1): zero on the pieces, positive elsewhere in the domain."""
        return self._level(x)

    def _piece_anywhere(self, name: str, x: Tensor) -> Tensor:
        """(*batch, 1): zero on the piece, not zero anywhere else, of any sign."""
        return self._level(x)

    def _smooth(self, name: str, inside: bool) -> bool:
        """Whether the distance to a piece has bounded derivatives, in the domain or outside."""
        return False

    # ---- how it lies to others -----------------------------------------------------------------

    def _hull(self) -> Tensor | None:
        """Points (N, dim) whose convex hull holds the domain, if that is easily said."""
        bounds = torch.tensor([self.lower, self.upper], dtype=torch.float64)
        if self.dim > _MAX_CORNERED or not bool(bounds.isfinite().all()):
            return None
        choices = torch.tensor(list(itertools.product((0, 1), repeat=self.dim)))
        return bounds[choices, torch.arange(self.dim)]

    def _clearance(self, point: Tensor) -> float | None:
        """Euclidean distance of a point (dim,) to the boundary, negative outside; if known."""
        return None

    def _clip(self, lower: Sequence[float], upper: Sequence[float]) -> Self:
        """The same shape, told that only what lies in a box will be asked of it."""
        return self


def like(numbers: Sequence[float], x: Tensor) -> Tensor:
    """Numbers as a tensor with the dtype and on the device of ``x``."""
    return torch.tensor(numbers, dtype=x.dtype, device=x.device)
