"""Simple polygons in the plane, convex or not."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import reduce

import torch
from torch import Tensor

from pinnderiv.domains.arguments import check_point
from pinnderiv.domains.distance import conjunction, trimmed
from pinnderiv.domains.domain import Domain
from pinnderiv.domains.sampling import choose
from pinnderiv.domains.shape import BOUNDARY
from pinnderiv.domains.slabs import Slabs
from pinnderiv.errors import ArgumentError


class Polygon(Domain):
    """The inside of a closed line through vertices that does not cross itself.

    Its boundary is one piece, ``"boundary"``; the edges are ``"edge_0"``, from the
    first vertex to the second, ``"edge_1"``, … in the order given. Holes are made by
    difference.

    Args:
        vertices: two numbers each, in either sense of rotation; the last edge leads back
            to the first.
        name: what the boundary is called where the polygon is part of another domain.

    Raises:
        ArgumentError: there are fewer than three vertices, they are no pairs of finite
            numbers, an edge has no length, two edges meet elsewhere than at a common
            vertex, or the name is no word or taken.
    """

    label = "polygon"

    def __init__(self, vertices: Sequence[Sequence[float]], *, name: str | None = None) -> None:
        self.vertices = _check_vertices(vertices)
        self._starts = torch.tensor(self.vertices, dtype=torch.float64)
        self._ends = self._starts.roll(-1, dims=0)
        _check_simple(self._starts, self._ends)
        signed = float(_cross(self._starts, self._ends).sum()) / 2
        # Vertices may run clockwise: then what is left of an edge is outside.
        self._sense = math.copysign(1.0, signed)
        self._area = abs(signed)
        self._slabs = Slabs(self._starts, self._ends)
        turns = _cross(self._ends - self._starts, (self._ends - self._starts).roll(-1, dims=0))
        self.convex = bool((self._sense * turns >= 0).all())
        self._set_name(name)

    def __repr__(self) -> str:
        return f"Polygon({[list(vertex) for vertex in self.vertices]})"

    @property
    def lower(self) -> tuple[float, ...]:
        return tuple(min(column) for column in zip(*self.vertices, strict=True))

    @property
    def upper(self) -> tuple[float, ...]:
        return tuple(max(column) for column in zip(*self.vertices, strict=True))

    @property
    def pieces(self) -> tuple[str, ...]:
        return (BOUNDARY,)

    @property
    def measure(self) -> float:
        return self._area

    def _faces(self) -> tuple[str, ...]:
        return tuple(f"edge_{k}" for k in range(len(self.vertices)))

    def _edges(self, name: str) -> list[int]:
        return list(range(len(self.vertices))) if name == BOUNDARY else [int(name[5:])]

    def _interior(self, unit: Tensor) -> Tensor:
        return self._slabs.fill(unit.double()).to(unit.dtype)

    def _on_piece(self, name: str, unit: Tensor) -> Tensor:
        edges = self._edges(name)
        lengths = self._lengths()[edges].tolist()
        chosen, rest = choose(unit.double(), lengths)
        edge = torch.tensor(edges, device=unit.device)[chosen]
        start, end = self._starts.to(unit.device)[edge], self._ends.to(unit.device)[edge]
        return (start + rest[:, :1] * (end - start)).to(unit.dtype)

    def _piece_measure(self, name: str) -> float:
        return float(self._lengths()[self._edges(name)].sum())

    def _lengths(self) -> Tensor:
        return torch.linalg.vector_norm(self._ends - self._starts, dim=1)

    def _within(self, x: Tensor, slack: float) -> Tensor:
        """By the parity of crossings of a ray, and by the distance within ``slack``."""
        start, end = self._starts.to(x), self._ends.to(x)
        point = x[..., None, :]
        spans = (start[:, 1] <= point[..., 1]) != (end[:, 1] <= point[..., 1])
        left = _cross(end - start, point - start) * (end - start)[:, 1].sign() > 0
        inside = (spans & left).sum(dim=-1) % 2 == 1
        if slack == 0:
            return inside
        near = self._edge_distances(x).amin(dim=-1) <= abs(slack)
        return inside | near if slack > 0 else inside & ~near

    def _edge_distances(self, x: Tensor) -> Tensor:
        """Euclidean distance to each edge, (*batch, edges)."""
        start, along = self._starts.to(x), (self._ends - self._starts).to(x)
        offset = x[..., None, :] - start
        share = (offset * along).sum(dim=-1) / along.square().sum(dim=-1)
        return (offset - share.clamp(0, 1)[..., None] * along).norm(dim=-1)

    def _normals(self, name: str, x: Tensor) -> Tensor:
        edges = self._edges(name)
        nearest = torch.tensor(edges, device=x.device)[
            self._edge_distances(x)[:, edges].argmin(dim=1)
        ]
        along = (self._ends - self._starts).to(x)[nearest]
        outward = self._sense * torch.stack([along[:, 1], -along[:, 0]], dim=1)
        return outward / outward.norm(dim=1, keepdim=True)

    def _gap(self, name: str, x: Tensor) -> Tensor:
        return self._edge_distances(x)[:, self._edges(name)].amin(dim=1)

    def _level(self, x: Tensor) -> Tensor:
        """2/W, W = Σ (1/r_i + 1/r_{i+1}) tan(θ_i/2): the smooth signed L¹ distance.

        Here r_i is the distance to a vertex and θ_i the signed angle under which an edge is
        seen (Belyaev, Fayolle and Pasko, "Signed Lp-distance fields", CAD 2013; W has the sign
        of the inside by Hormann and Floater, ACM Transactions on Graphics 2006).
        """
        guard = 1e-30 if x.dtype == torch.float64 else 1e-9
        first = self._starts.to(device=x.device, dtype=x.dtype) - x[..., None, :]
        second = self._ends.to(device=x.device, dtype=x.dtype) - x[..., None, :]
        square, next_square = (first * first).sum(dim=-1), (second * second).sum(dim=-1)
        at_vertex = (square == 0).any(dim=-1, keepdim=True)
        near = (square + guard * (square == 0)).sqrt()
        far = (next_square + guard * (next_square == 0)).sqrt()
        cross = self._sense * _cross(first, second)
        dot, product = (first * second).sum(dim=-1), near * far
        # tan(θ/2) in the form that does not cancel; on the edge itself it is infinite.
        obtuse = dot < 0
        numerator = torch.where(obtuse, product - dot, cross)
        denominator = torch.where(obtuse, cross, product + dot)
        denominator = torch.where(
            denominator == 0, guard * torch.ones_like(denominator), denominator
        )
        weight = ((1 / near + 1 / far) * numerator / denominator).sum(dim=-1, keepdim=True)
        return torch.where(at_vertex, torch.zeros_like(weight), 2 / weight)

    def _piece_inside(self, names: Sequence[str], x: Tensor) -> Tensor:
        if BOUNDARY in names:
            return self._level(x)
        return reduce(conjunction, [self._edge_inside(name, x) for name in names])

    def _edge_inside(self, name: str, x: Tensor) -> Tensor:
        # where its line does not come back to the polygon, the distance to an edge is that to it
        if self._smooth(name, inside=True):
            return self._sense * self._line(name, x)
        return self._piece_anywhere(name, x)

    def _smooth(self, name: str, inside: bool) -> bool:
        if name == BOUNDARY or not inside:
            return False
        levels = self._sense * self._line(name, self._starts)[:, 0]
        tiny = 1e-9 * float(levels.abs().max())
        return bool((levels > -tiny).all()) and int((levels < tiny).sum()) == 2

    def _line(self, name: str, x: Tensor) -> Tensor:
        """Signed distance to the line through an edge, (*batch, 1); positive on its left."""
        edge = self._edges(name)[0]
        (ax, ay), (bx, by) = self._starts[edge].tolist(), self._ends[edge].tolist()
        # from the middle of the edge, which keeps rounding on the edge itself smallest
        dx, dy = x[..., :1] - (ax + bx) / 2, x[..., 1:2] - (ay + by) / 2
        return (dy * (bx - ax) - dx * (by - ay)) / math.hypot(bx - ax, by - ay)

    def _piece_anywhere(self, name: str, x: Tensor) -> Tensor:
        if name == BOUNDARY:
            return self._level(x)
        edge = self._edges(name)[0]
        (ax, ay), (bx, by) = self._starts[edge].tolist(), self._ends[edge].tolist()
        length = math.hypot(bx - ax, by - ay)
        dx, dy = x[..., :1] - (ax + bx) / 2, x[..., 1:2] - (ay + by) / 2
        # The line through the edge, and the disc whose diameter it is.
        level = self._line(name, x)
        trim = (length**2 / 4 - dx * dx - dy * dy) / length
        return trimmed(level, trim, length)

    def _hull(self) -> Tensor | None:
        return self._starts

    def _clearance(self, point: Tensor) -> float | None:
        distance = float(self._edge_distances(point).min())
        return distance if bool(self._within(point, 0.0)) else -distance


def _cross(a: Tensor, b: Tensor) -> Tensor:
    return a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]


def _check_vertices(vertices: Sequence[Sequence[float]]) -> tuple[tuple[float, ...], ...]:
    try:
        points = tuple(check_point(f"vertex {k}", each, 2) for k, each in enumerate(vertices))
    except TypeError as error:
        raise ArgumentError(
            f"vertices must be a list of pairs such as [[0, 0], [1, 0], [0, 1]]; got {vertices!r}."
        ) from error
    if len(points) < 3:
        raise ArgumentError(f"a polygon needs at least three vertices; got {len(points)}.")
    return points


def _check_simple(starts: Tensor, ends: Tensor) -> None:
    """Refuses edges without length, and edges that meet where they should not."""
    count = len(starts)
    along = ends - starts
    lengths = torch.linalg.vector_norm(along, dim=1)
    tiny = 1e-12 * float((starts.amax(dim=0) - starts.amin(dim=0)).norm())
    if bool((lengths <= tiny).any()):
        edge = int(lengths.argmin())
        raise ArgumentError(
            f"vertices {edge} and {(edge + 1) % count} are the same point: leave one of them out "
            "(the last edge leads back to the first vertex by itself)."
        )
    for edge in range(count):
        following = (edge + 1) % count
        if float((along[edge] * along[following]).sum()) < 0 and abs(
            float(_cross(along[edge], along[following]))
        ) <= 1e-12 * float(lengths[edge] * lengths[following]):
            raise ArgumentError(
                f"the polygon crosses itself: edges {edge} and {following} run back on each other."
            )
        others = torch.arange(edge + 2, max(count - (edge == 0), edge + 2))
        met = others[_meet(starts[edge], ends[edge], starts[others], ends[others], tiny)]
        if len(met):
            raise ArgumentError(
                f"the polygon crosses itself: edges {edge} and {int(met[0])} meet. List the "
                "vertices in order around it."
            )


def _meet(a: Tensor, b: Tensor, c: Tensor, d: Tensor, tiny: float) -> Tensor:
    """Whether the segment ab meets each of the segments cd, touching included."""
    length = torch.linalg.vector_norm(b - a)
    c_side, d_side = _cross(b - a, c - a) / length, _cross(b - a, d - a) / length
    others = torch.linalg.vector_norm(d - c, dim=1)
    a_side, b_side = _cross(d - c, a - c) / others, _cross(d - c, b - c) / others
    apart = (torch.minimum(c_side, d_side) > tiny) | (torch.maximum(c_side, d_side) < -tiny)
    apart |= (torch.minimum(a_side, b_side) > tiny) | (torch.maximum(a_side, b_side) < -tiny)
    for axis in range(2):
        apart |= torch.minimum(c[:, axis], d[:, axis]) > max(a[axis], b[axis]) + tiny
        apart |= torch.maximum(c[:, axis], d[:, axis]) < min(a[axis], b[axis]) - tiny
    return ~apart
