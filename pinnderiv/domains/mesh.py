"""Domains made of triangles or tetrahedra."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

import numpy as np
import torch
from torch import Tensor

from pinnderiv.domains.domain import Domain
from pinnderiv.domains.mesh_files import read_mesh
from pinnderiv.domains.mesh_location import CellLocator
from pinnderiv.domains.naming import RESERVED, check_name
from pinnderiv.domains.sampling import choose
from pinnderiv.domains.shape import BOUNDARY
from pinnderiv.errors import ArgumentError

# Pairs of points and facets looked at together.
_PAIRS = 1 << 20
# What is left of the boundary beside the facets that were named.
OTHER = "unnamed"


class Mesh(Domain):
    """A mesh of triangles in the plane, or of tetrahedra in space.

    Its boundary are the facets (edges or triangles) that belong to one cell only. Facets can be
    named in groups, as physical groups and cell sets of mesh files are; those of the boundary
    that have no name are ``"unnamed"``. A mesh has no smooth distance function.

    Args:
        points: the vertices, (V, d), d = 2 or 3.
        cells: numbers of vertices from 0, (C, d + 1).
        pieces: for each name, facets of the boundary as numbers of vertices (F, d).
        name: what the boundary is called where the mesh is part of another domain.

    Raises:
        ArgumentError: points or cells have another form, a cell has no volume or names a vertex
            that there is not, a facet belongs to more than two cells, or a named facet is not
            of the boundary or has two names.
    """

    label = "mesh"

    def __init__(
        self,
        points: Tensor | np.ndarray | Sequence[Sequence[float]],
        cells: Tensor | np.ndarray | Sequence[Sequence[int]],
        pieces: Mapping[str, Tensor | np.ndarray | Sequence[Sequence[int]]] | None = None,
        *,
        name: str | None = None,
    ) -> None:
        vertices, corners = _check_cells(points, cells)
        self._vertices = torch.from_numpy(vertices)
        self._cells = torch.from_numpy(corners)
        self._volumes = _volumes(self._vertices[self._cells])
        scale = float(self._volumes.max())
        if not float(self._volumes.min()) > 1e-14 * scale:
            raise ArgumentError(
                f"cell {int(self._volumes.argmin())} of the mesh has no volume: its corners lie on "
                "one line or plane."
            )
        self._facets, self._facet_normals = _boundary(vertices, corners)
        self._groups = _group(self._facets.numpy(), pieces or {})
        self._sizes = _facet_sizes(self._vertices[self._facets])
        used = self._vertices[self._cells.unique()]
        self._lower = tuple(used.amin(dim=0).tolist())
        self._upper = tuple(used.amax(dim=0).tolist())
        self._locator = CellLocator(vertices, corners)
        self._set_name(name)

    @classmethod
    def from_file(cls, path: str | Path, *, name: str | None = None) -> Self:
        """Reads a mesh from an ``.npz`` file, or from any format that meshio knows.

        An ``.npz`` file has the arrays ``points`` and ``cells``, and one array of facets for each
        named piece. Of other formats triangles, quadrilaterals (cut in two) and tetrahedra are
        taken, and named groups of facets (physical groups of Gmsh, cell sets) as pieces.

        Args:
            path: of the file.
            name: see :class:`Mesh`.

        Raises:
            ArgumentError: the file is missing, cannot be read, or holds no such mesh.
            UnsupportedOperationError: the format needs meshio, which is not installed.
        """
        points, cells, pieces = read_mesh(Path(path))
        vertices, corners = _check_cells(points, cells)
        outer = {tuple(sorted(facet)) for facet in _boundary(vertices, corners)[0].tolist()}
        # Files name interfaces inside as well, and may call all of the boundary just that.
        groups = {}
        for group, facets in pieces.items():
            kept = [each for each in np.array(facets).tolist() if tuple(sorted(each)) in outer]
            whole = len({tuple(sorted(each)) for each in kept}) == len(outer)
            if kept and not (whole and group == BOUNDARY):
                groups[f"{group}_group" if group in (*RESERVED, OTHER) else group] = kept
        return cls(vertices, corners, groups, name=name)

    def __repr__(self) -> str:
        return f"Mesh({len(self._vertices)} points, {len(self._cells)} cells)"

    @property
    def lower(self) -> tuple[float, ...]:
        return self._lower

    @property
    def upper(self) -> tuple[float, ...]:
        return self._upper

    @property
    def pieces(self) -> tuple[str, ...]:
        return tuple(self._groups) or (BOUNDARY,)

    @property
    def measure(self) -> float:
        return float(self._volumes.sum())

    def _facets_of(self, name: str) -> Tensor:
        return torch.arange(len(self._facets)) if name == BOUNDARY else self._groups[name]

    def _interior(self, unit: Tensor) -> Tensor:
        chosen, rest = choose(unit.double().cpu(), self._volumes)
        corners = self._vertices[self._cells[chosen]]
        return _in_simplex(corners, rest).to(unit)

    def _on_piece(self, name: str, unit: Tensor) -> Tensor:
        facets = self._facets_of(name)
        chosen, rest = choose(unit.double().cpu(), self._sizes[facets])
        corners = self._vertices[self._facets[facets[chosen]]]
        return _in_simplex(corners, rest[:, : self.dim - 1]).to(unit)

    def _piece_measure(self, name: str) -> float:
        return float(self._sizes[self._facets_of(name)].sum())

    def _within(self, x: Tensor, slack: float) -> Tensor:
        flat = x.detach().double().cpu().reshape(-1, self.dim)
        inside = torch.from_numpy(self._locator.locate(flat.numpy(), max(slack, 0.0)) >= 0)
        if slack < 0:
            near = self._distances(flat, torch.arange(len(self._facets)))[0] <= -slack
            inside = inside & ~near
        return inside.reshape(x.shape[:-1]).to(x.device)

    def _normals(self, name: str, x: Tensor) -> Tensor:
        facets = self._facets_of(name)
        nearest = self._distances(x.detach().double().cpu(), facets)[1]
        return self._facet_normals[facets[nearest]].to(x)

    def _gap(self, name: str, x: Tensor) -> Tensor:
        return self._distances(x.detach().double().cpu(), self._facets_of(name))[0].to(x)

    def _distances(self, x: Tensor, facets: Tensor) -> tuple[Tensor, Tensor]:
        """Euclidean distance (N,) to the nearest of some facets, and which of them it is."""
        corners = self._vertices[self._facets[facets]]
        rows = max(1, _PAIRS // len(facets))
        found = [_to_simplices(part, corners).min(dim=1) for part in x.split(rows)]
        if not found:
            return x.new_zeros(0), torch.zeros(0, dtype=torch.int64)
        return torch.cat([each.values for each in found]), torch.cat(
            [each.indices for each in found]
        )


def _in_simplex(corners: Tensor, unit: Tensor) -> Tensor:
    """Uniform points of simplices, corners (N, k + 1, d), from unit points (N, ≥ k).

    The share that is left of the first corner's opposite side is u^(1/k), then u^(1/(k−1)), …
    (Devroye 1986, spacings of ordered uniforms).
    """
    k = corners.shape[1] - 1
    point, left = torch.zeros_like(corners[:, 0]), torch.ones_like(corners[:, 0, 0])
    for step in range(k):
        following = left * unit[:, step] ** (1 / (k - step))
        point = point + (left - following)[:, None] * corners[:, step]
        left = following
    return point + left[:, None] * corners[:, k]


def _to_simplices(x: Tensor, corners: Tensor) -> Tensor:
    """Distances (N, F) of points to segments (F, 2, d) or triangles (F, 3, d)."""
    point = x[:, None, :]
    count = corners.shape[1]
    edges = [
        _to_segments(point, corners[:, i], corners[:, j])
        for i in range(count)
        for j in range(i + 1, count)
    ]
    nearest = torch.stack(edges).amin(dim=0)
    if count == 2:
        return nearest
    origin, first, second = corners[:, 0], corners[:, 1], corners[:, 2]
    normal = torch.linalg.cross(first - origin, second - origin)
    square = normal.square().sum(dim=-1)
    offset = point - origin
    height = (offset * normal).sum(dim=-1) / square.sqrt()
    a = (torch.linalg.cross(offset, (second - origin).expand(offset.shape)) * normal).sum(dim=-1)
    b = (torch.linalg.cross((first - origin).expand(offset.shape), offset) * normal).sum(dim=-1)
    above = (a >= 0) & (b >= 0) & (a + b <= square)
    return torch.where(above, height.abs(), nearest)


def _to_segments(point: Tensor, start: Tensor, end: Tensor) -> Tensor:
    along, offset = end - start, point - start
    share = ((offset * along).sum(dim=-1) / along.square().sum(dim=-1)).clamp(0, 1)
    return (offset - share[..., None] * along).norm(dim=-1)


def _volumes(corners: Tensor) -> Tensor:
    edges = corners[:, 1:] - corners[:, :1]
    return torch.linalg.det(edges).abs() / (2.0 if edges.shape[1] == 2 else 6.0)


def _facet_sizes(corners: Tensor) -> Tensor:
    if corners.shape[1] == 2:
        return (corners[:, 1] - corners[:, 0]).norm(dim=1)
    cross = torch.linalg.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    return cross.norm(dim=1) / 2


def _check_cells(points: object, cells: object) -> tuple[np.ndarray, np.ndarray]:
    try:
        vertices, corners = np.array(points, dtype=float), np.array(cells)
    except (TypeError, ValueError) as error:
        raise ArgumentError(f"points and cells must be arrays of numbers: {error}.") from error
    if vertices.ndim != 2 or vertices.shape[1] not in (2, 3) or not np.isfinite(vertices).all():
        raise ArgumentError(
            f"points must be (V, 2) or (V, 3), all finite; got shape {vertices.shape}."
        )
    dim = vertices.shape[1]
    if corners.ndim != 2 or corners.shape[1] != dim + 1 or not len(corners):
        kind = "triangles" if dim == 2 else "tetrahedra"
        raise ArgumentError(
            f"cells must be (C, {dim + 1}): {kind}, for points in {dim} coordinates; got shape "
            f"{corners.shape}."
        )
    if (
        not np.issubdtype(corners.dtype, np.integer)
        or corners.min() < 0
        or (corners.max() >= len(vertices))
    ):
        raise ArgumentError(
            f"cells must hold numbers of points, integers from 0 to {len(vertices) - 1}."
        )
    return vertices, corners.astype(np.int64)


def _boundary(vertices: np.ndarray, cells: np.ndarray) -> tuple[Tensor, Tensor]:
    """Facets (F, d) of one cell only, and their outward unit normals (F, d)."""
    size = cells.shape[1]
    facets = np.concatenate([np.delete(cells, k, axis=1) for k in range(size)])
    opposite = cells.T.reshape(-1)
    ordered = np.sort(facets, axis=1)
    _, first, counts = np.unique(ordered, axis=0, return_index=True, return_counts=True)
    if counts.max() > 2:
        facet = ordered[first[counts.argmax()]].tolist()
        raise ArgumentError(f"the facet with points {facet} belongs to more than two cells.")
    single = np.sort(first[counts == 1])
    corners = torch.from_numpy(vertices[facets[single]])
    if size == 3:
        along = corners[:, 1] - corners[:, 0]
        normals = torch.stack([along[:, 1], -along[:, 0]], dim=1)
    else:
        normals = torch.linalg.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normals = normals / normals.norm(dim=1, keepdim=True)
    inward = torch.from_numpy(vertices[opposite[single]]) - corners[:, 0]
    sign = -(normals * inward).sum(dim=1, keepdim=True).sign()
    return torch.from_numpy(facets[single]), sign * normals


def _group(facets: np.ndarray, pieces: Mapping[str, object]) -> dict[str, Tensor]:
    """Numbers of the boundary's facets by name; empty where nothing was named."""
    if not pieces:
        return {}
    number = {tuple(sorted(facet)): k for k, facet in enumerate(facets.tolist())}
    owner: dict[int, str] = {}
    groups = {}
    for name, wanted in pieces.items():
        check_name(name, (OTHER,))
        rows = np.array(wanted)
        if rows.ndim != 2 or rows.shape[1] != facets.shape[1] or not len(rows):
            raise ArgumentError(
                f"piece {name!r} must be facets (F, {facets.shape[1]}), at least one; got shape "
                f"{rows.shape}."
            )
        found = [number.get(tuple(sorted(facet)), -1) for facet in rows.tolist()]
        if min(found) < 0:
            facet = rows[found.index(-1)].tolist()
            raise ArgumentError(f"piece {name!r}: the facet {facet} is not on the boundary.")
        for each in found:
            if owner.setdefault(each, name) != name:
                raise ArgumentError(
                    f"a facet is in two pieces, {owner[each]!r} and {name!r}: leave it out of one."
                )
        groups[name] = torch.tensor(sorted(set(found)))
    rest = sorted(set(range(len(facets))) - set(owner))
    return {**groups, OTHER: torch.tensor(rest)} if rest else groups
