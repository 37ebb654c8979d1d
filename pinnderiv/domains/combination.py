"""What unions, intersections and differences have in common: points and pieces by rejection."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from functools import reduce

import torch
from torch import Tensor

from pinnderiv.domains.distance import conjunction, no_distance
from pinnderiv.domains.domain import Domain
from pinnderiv.domains.parts import Leaf, Part, Sibling, label_parts, part_level
from pinnderiv.domains.sampling import (
    Predicate,
    Share,
    both,
    by_rejection,
    choose,
    empty,
    fine_share,
    holds,
    rough_share,
)
from pinnderiv.domains.shape import BOUNDARY
from pinnderiv.errors import ArgumentError, ShapeError, UnsupportedOperationError

# How far off a face, as a share of the whole, its two sides are looked at.
_STEP = 1e-7
# Points on each shape to see whether shapes touch, and the distance, as a share of the whole,
# that leaves no doubt that they do not.
_TOUCH_POINTS, _APART = 256, 0.01


class Combination(Domain):
    """Two domains made one; each subclass says how. Operands may be combinations themselves.

    Points are found by proposal and rejection. Pieces of the boundary are those of the shapes
    it is made of (see :func:`~pinnderiv.domains.parts.label_parts` for their names).

    Args:
        first: a domain without time.
        second: another, in as many coordinates.
        name: what the boundary is called in a further combination.

    Raises:
        ArgumentError: an operand is no domain or has time, or the result is empty.
        ShapeError: the operands differ in their number of coordinates.
    """

    label = "combination"

    def __init__(self, first: Domain, second: Domain, *, name: str | None = None) -> None:
        for operand in (first, second):
            if not isinstance(operand, Domain):
                raise ArgumentError(f"operands must be domains; got {operand!r}.")
            if not operand.combines:
                raise ArgumentError(
                    f"a {type(operand).__name__} cannot be combined with other domains."
                )
            if operand.time_axis is not None:
                raise ArgumentError(
                    "domains are combined in space: write SpaceTime(a - b, duration), not the "
                    "difference of two space-times."
                )
        if first.dim != second.dim:
            raise ShapeError(
                f"domains must have as many coordinates each; got {first.dim} in {first!r} and "
                f"{second.dim} in {second!r}."
            )
        self.first, self.second = first, second
        self.operands = (first, second)
        self._lower, self._upper = self._bounds()
        self._leaves: list[Leaf] = []
        named: list[tuple[str, tuple[Part, ...]]] = []
        _collect(self, 1.0, (), self._leaves, named)
        self._labels, self._table = label_parts(self._leaves, named)
        self._bounded = all(map(math.isfinite, (*self._lower, *self._upper)))
        if self._bounded:
            self._shapes = [leaf.shape._clip(self._lower, self._upper) for leaf in self._leaves]
            if self._share() <= 0:
                raise empty(f"the {self.operation} of {first!r} and {second!r}")
        else:
            self._shapes = [leaf.shape for leaf in self._leaves]
        self._set_name(name)
        self._touching = self._bounded and self._touches()

    def __repr__(self) -> str:
        return f"({self.first!r} {self._symbol} {self.second!r})"

    _symbol = "?"

    @property
    def lower(self) -> tuple[float, ...]:
        return self._lower

    @property
    def upper(self) -> tuple[float, ...]:
        return self._upper

    @property
    def pieces(self) -> tuple[str, ...]:
        """Those names of shapes that have a part of the boundary."""
        if not self._bounded:
            return self._labels
        return self._once(
            "pieces",
            lambda: tuple(name for name in self._labels if self._piece_share(name) > 0),
        )

    @property
    def measure(self) -> float:
        return self._measured()[0]

    @property
    def measure_error(self) -> float:
        return self._measured()[1]

    def _faces(self) -> tuple[str, ...]:
        return tuple(self._table)

    def _find(self, name: str) -> str:
        # Which pieces have points need not be known to look one up.
        if name in self._table or name in self._where:
            return name
        return super()._find(name)

    # ---- how two domains make one ------------------------------------------------------------

    def _bounds(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        raise NotImplementedError

    def _exact_measure(self) -> tuple[float, float] | None:
        """Measure and its standard error, where those of the operands give it."""
        raise NotImplementedError

    def _measured(self) -> tuple[float, float]:
        if not self._bounded:
            return math.inf, 0.0
        return self._once("measure", lambda: self._exact_measure() or self._estimated())

    def _estimated(self) -> tuple[float, float]:
        share, proposed = fine_share(self._propose, self.dim), self._proposal_measure()
        return proposed * share.value, proposed * share.error

    # ---- points ------------------------------------------------------------------------------

    def _interior(self, unit: Tensor) -> Tensor:
        raise by_rejection(f"a {self.operation}")

    def _on_piece(self, name: str, unit: Tensor) -> Tensor:
        raise by_rejection(f"a {self.operation}")

    def _share(self) -> float:
        if not self._bounded:
            raise ArgumentError(f"{self!r} is unbounded: intersect it with a bounded domain.")
        return self._once("share", lambda: rough_share(self._propose, self.dim).value)

    def _propose_piece(self, name: str, unit: Tensor) -> tuple[Tensor, Tensor | None]:
        parts = self._table[name]
        chosen, rest = choose(unit, [self._part_proposal(part) for part in parts])
        points = torch.empty_like(unit)
        keep = torch.zeros(len(unit), dtype=torch.bool, device=unit.device)
        step = _STEP * math.dist(self._lower, self._upper)
        for number, part in enumerate(parts):
            rows = chosen == number
            if not bool(rows.any()):
                continue
            shape = self._shapes[part.leaf]
            proposed, kept = shape._proposal(shape._find(part.face), rest[rows])
            for predicate in part.where:
                kept = both(kept, holds(predicate, name, proposed))
            normal = self._leaves[part.leaf].sign * self._part_normals(part, proposed)
            ahead, behind = proposed + step * normal, proposed - step * normal
            kept = self._within(behind, 0.0) & ~self._within(ahead, 0.0) & _all(kept, proposed)
            # Where faces of two shapes coincide, the point counts once.
            for earlier in parts[:number]:
                if not self._far_apart(earlier.leaf, part.leaf):
                    kept &= ~self._on_both(earlier, proposed, ahead, behind, 2 * step)
            points[rows] = proposed
            keep[rows] = kept
        return points, keep

    def _far_apart(self, one: int, other: int) -> bool:
        """Whether the bounding boxes of two shapes do not even touch."""
        first, second = self._shapes[one], self._shapes[other]
        bounds = zip(first.lower, first.upper, second.lower, second.upper, strict=True)
        return any(high < start or end < low for low, high, start, end in bounds)

    def _on_both(
        self, earlier: Part, x: Tensor, ahead: Tensor, behind: Tensor, near: float
    ) -> Tensor:
        """Where a part that was already sampled runs along the same face."""
        shape = self._shapes[earlier.leaf]
        same = shape._within(ahead, 0.0) != shape._within(behind, 0.0)
        if bool(same.any()):
            same = same & (shape._gap(self._root_face(earlier), x) <= near)
            for predicate in self._predicates(earlier):
                same = same & holds(predicate, earlier.face, x)
        return same

    def _piece_share(self, name: str) -> float:
        self._share()
        return self._once(
            ("share", name), lambda: rough_share(lambda u: self._propose_piece(name, u), self.dim)
        ).value

    def _piece_proposal_measure(self, name: str) -> float:
        return sum(self._part_proposal(part) for part in self._table[name])

    def _fine_piece(self, name: str) -> Share:
        self._share()
        return self._once(
            ("fine", name), lambda: fine_share(lambda u: self._propose_piece(name, u), self.dim)
        )

    def _piece_measure(self, name: str) -> float:
        return self._piece_proposal_measure(name) * self._fine_piece(name).value

    def _piece_measure_error(self, name: str) -> float:
        return self._piece_proposal_measure(name) * self._fine_piece(name).error

    def _predicates(self, part: Part) -> list[Predicate]:
        """All that a point of the face must fulfil to be on the part."""
        shape, found = self._shapes[part.leaf], list(part.where)
        name = shape._find(part.face)
        while name in shape._where:
            name, predicate = shape._where[name]
            found.append(predicate)
        return found

    def _root_face(self, part: Part) -> str:
        shape = self._shapes[part.leaf]
        return shape.root(shape._find(part.face))

    def _part_proposal(self, part: Part) -> float:
        return self._shapes[part.leaf]._piece_proposal_measure(self._root_face(part))

    def _part_normals(self, part: Part, x: Tensor) -> Tensor:
        return self._shapes[part.leaf]._normals(self._root_face(part), x)

    # ---- normals and distances -----------------------------------------------------------------

    def _normals(self, name: str, x: Tensor) -> Tensor:
        parts = self._table[name]
        normals = [self._leaves[part.leaf].sign * self._part_normals(part, x) for part in parts]
        if len(parts) == 1:
            return normals[0]
        nearest = self._part_gaps(name, x).argmin(dim=0)
        return torch.stack(normals)[nearest, torch.arange(len(x), device=x.device)]

    def _gap(self, name: str, x: Tensor) -> Tensor:
        return self._part_gaps(name, x).amin(dim=0)

    def _part_gaps(self, name: str, x: Tensor) -> Tensor:
        gaps = [self._shapes[p.leaf]._gap(self._root_face(p), x) for p in self._table[name]]
        return torch.stack(gaps)

    def _piece_inside(self, names: Sequence[str], x: Tensor) -> Tensor:
        for name in names:
            if any(self._predicates(part) for part in self._table[name]):
                raise no_distance(name)
        # A dict, since a part that two names share is one part.
        parts = dict.fromkeys(part for name in names for part in self._table[name])
        length = math.dist(self._lower, self._upper)
        levels = [part_level(self._leaves[p.leaf], self._root_face(p), x, length) for p in parts]
        return reduce(conjunction, levels)

    def _smooth(self, name: str, inside: bool) -> bool:
        parts = self._table[name]
        return (
            inside
            and all(self._part_smooth(part) for part in parts)
            and all(self._apart(*pair) for pair in itertools.combinations(parts, 2))
        )

    def _part_smooth(self, part: Part) -> bool:
        leaf, shape = self._leaves[part.leaf], self._shapes[part.leaf]
        smooth = shape._smooth(self._root_face(part), inside=leaf.sign > 0)
        return smooth and not self._predicates(part) and not leaf.trims()

    def _apart(self, one: Part, other: Part) -> bool:
        """Whether two parts keep away from each other: where they meet, so do their distances."""
        x = _points_on(self._shapes[one.leaf], self._root_face(one))
        gaps = self._shapes[other.leaf]._gap(self._root_face(other), x)
        return float(gaps.min()) > _APART * math.dist(self._lower, self._upper)

    def distance(self, x: Tensor) -> Tensor:
        self._check_touching()
        return super().distance(x)

    def piece_distance(self, name: str | Sequence[str], x: Tensor) -> Tensor:
        self._check_touching()
        return super().piece_distance(name, x)

    def _check_touching(self) -> None:
        if self._touching:
            raise UnsupportedOperationError(
                "shapes of this union touch along a face without overlapping, where their smooth "
                "distance would vanish inside the domain: let them overlap, or keep conditions "
                "soft."
            )

    def _touches(self) -> bool:
        """Whether two shapes end along the same face while the whole goes on behind it."""
        step = _STEP * math.dist(self._lower, self._upper)
        for leaf, shape in zip(self._leaves, self._shapes, strict=True):
            if not any(each.either for each in leaf.path):
                continue
            x = _points_on(shape, BOUNDARY)
            normal = step * shape._normals(BOUNDARY, x)
            inner = self._within(x + normal, 0.0) & self._within(x - normal, 0.0)
            if not bool(inner.any()):
                continue
            try:
                level = self._level(x[inner])
            except UnsupportedOperationError:
                return False
            if bool((level.abs() <= 1e-3 * step).any()):
                return True
        return False


def _points_on(shape: Domain, face: str) -> Tensor:
    """The same few points of a face whenever they are asked for."""
    engine = torch.quasirandom.SobolEngine(shape.dim, scramble=True, seed=0)
    unit = engine.draw(_TOUCH_POINTS, dtype=torch.float64).clamp(max=1 - 1e-12)
    return shape._propose_piece(face, unit)[0]


def _all(keep: Tensor | None, points: Tensor) -> Tensor:
    return torch.ones_like(points[:, 0], dtype=torch.bool) if keep is None else keep


def _collect(
    node: Domain,
    sign: float,
    path: tuple[Sibling, ...],
    leaves: list[Leaf],
    named: list[tuple[str, tuple[Part, ...]]],
) -> None:
    """Lists the shapes below a combination, and the names that combinations below it have."""
    if not isinstance(node, Combination):
        leaves.append(Leaf(node, sign, path))
        return
    start = len(leaves)
    either = (node.operation == "union") == (sign > 0)
    for own, other in ((0, 1), (1, 0)):
        signs = (sign, -sign if node.operation == "difference" else sign)
        sibling = Sibling((node.first, node.second)[other], signs[other], either)
        _collect((node.first, node.second)[own], signs[own], (*path, sibling), leaves, named)
    if path:
        if node.name is not None:
            named.append((node.name, _shifted(node._table[BOUNDARY], start)))
        named += [(name, _shifted(_restricted(node, name), start)) for name in node._where]


def _restricted(node: Combination, name: str) -> tuple[Part, ...]:
    """The parts of a piece that a predicate was laid over, with the predicate."""
    if name not in node._where:
        return node._table[name]
    base, predicate = node._where[name]
    return tuple(Part(p.leaf, p.face, (*p.where, predicate)) for p in _restricted(node, base))


def _shifted(parts: tuple[Part, ...], by: int) -> tuple[Part, ...]:
    return tuple(Part(part.leaf + by, part.face, part.where) for part in parts)
