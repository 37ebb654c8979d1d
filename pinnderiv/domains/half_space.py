"""Half-spaces: what lies on one side of a plane."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Self

import torch
from torch import Tensor

from pinnderiv.domains.arguments import check_point
from pinnderiv.domains.domain import Domain
from pinnderiv.domains.sampling import by_rejection
from pinnderiv.domains.shape import like
from pinnderiv.errors import ArgumentError


class HalfSpace(Domain):
    """{x : normal · (x − point) ≤ 0}, to cut other domains with. Its boundary is ``"plane"``.

    Unbounded, so that it has no points of its own: ``Box(...) & HalfSpace(...)`` has.

    Args:
        point: any point of the plane.
        normal: points out of the half-space; of any length but zero.
        name: what the plane is called in the domain that it cuts.

    Raises:
        ArgumentError: point and normal are no lists of finite numbers of one length, the
            normal is zero, or the name is no word or taken.
    """

    whole = ("plane",)
    label = "plane"
    convex = True

    def __init__(
        self, point: Sequence[float], normal: Sequence[float], *, name: str | None = None
    ) -> None:
        self.point = check_point("point", point)
        normal = check_point("normal", normal, len(self.point))
        length = math.hypot(*normal)
        if length == 0:
            raise ArgumentError("normal must not be zero: it says on which side the plane ends.")
        self.normal = tuple(each / length for each in normal)
        self._box: tuple[Sequence[float], Sequence[float]] | None = None
        self._set_name(name)

    def __repr__(self) -> str:
        return f"HalfSpace(point={list(self.point)}, normal={list(self.normal)})"

    @property
    def lower(self) -> tuple[float, ...]:
        return tuple(
            point if normal == -1 else -math.inf
            for point, normal in zip(self.point, self.normal, strict=True)
        )

    @property
    def upper(self) -> tuple[float, ...]:
        return tuple(
            point if normal == 1 else math.inf
            for point, normal in zip(self.point, self.normal, strict=True)
        )

    @property
    def pieces(self) -> tuple[str, ...]:
        return ("plane",)

    @property
    def measure(self) -> float:
        return math.inf

    def _interior(self, unit: Tensor) -> Tensor:
        raise _unbounded()

    def _propose(self, unit: Tensor) -> tuple[Tensor, Tensor | None]:
        raise _unbounded()

    def _share(self) -> float:
        raise _unbounded()

    def _on_piece(self, name: str, unit: Tensor) -> Tensor:
        if self._box is None:
            raise _unbounded()
        raise by_rejection("a plane")

    def _propose_piece(self, name: str, unit: Tensor) -> tuple[Tensor, Tensor | None]:
        centre, radius = self._ball()
        along = radius * (2 * unit[:, : self.dim - 1] - 1)
        return like(centre, unit) + along @ self._frame().to(unit), None

    def _piece_measure(self, name: str) -> float:
        return 1.0 if self.dim == 1 else math.inf

    def _piece_share(self, name: str) -> float:
        self._ball()
        return 1.0

    def _piece_proposal_measure(self, name: str) -> float:
        return (2 * self._ball()[1]) ** (self.dim - 1)

    def _within(self, x: Tensor, slack: float) -> Tensor:
        return self._beyond(x) <= slack

    def _tolerance(self, dtype: torch.dtype) -> float:
        return 16 * torch.finfo(dtype).eps * max(map(abs, self.point))

    def _normals(self, name: str, x: Tensor) -> Tensor:
        return like(self.normal, x).expand(x.shape).clone()

    def _gap(self, name: str, x: Tensor) -> Tensor:
        return self._beyond(x).abs()

    def _level(self, x: Tensor) -> Tensor:
        return -self._beyond(x)[..., None]

    def _smooth(self, name: str, inside: bool) -> bool:
        return True

    def _clearance(self, point: Tensor) -> float | None:
        return -float(self._beyond(point))

    def _clip(self, lower: Sequence[float], upper: Sequence[float]) -> Self:
        clipped = self._copy()
        clipped._box = (lower, upper)
        return clipped

    def _beyond(self, x: Tensor) -> Tensor:
        return ((x - like(self.point, x)) * like(self.normal, x)).sum(dim=-1)

    def _ball(self) -> tuple[tuple[float, ...], float]:
        """Centre, in the plane, and radius of a ball that holds what the box leaves of it."""
        if self._box is None:
            raise _unbounded()
        lower, upper = (torch.tensor(corner, dtype=torch.float64) for corner in self._box)
        middle = (lower + upper) / 2
        beyond = float(self._beyond(middle))
        centre = middle - beyond * like(self.normal, middle)
        # The plane cuts the ball around the box in a ball of one dimension less.
        square = float((upper - lower).norm()) ** 2 / 4 - beyond**2
        return tuple(centre.tolist()), math.sqrt(max(square, 1e-24))

    def _frame(self) -> Tensor:
        """Orthonormal vectors along the plane, (dim − 1, dim)."""
        normal = torch.tensor(self.normal, dtype=torch.float64)
        return torch.linalg.svd(normal[None]).Vh[1:]


def _unbounded() -> ArgumentError:
    return ArgumentError(
        "a half-space is unbounded and has no uniform points: intersect it with a bounded domain, "
        "as in Box(...) & HalfSpace(...)."
    )
