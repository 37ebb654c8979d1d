"""Meshes from files: ``.npz`` by NumPy, everything else by meshio, which is optional."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np

from pinnderiv.errors import ArgumentError, UnsupportedOperationError

Pieces = dict[str, np.ndarray]

# Cells by the name that meshio has for them: how they are cut into simplices. Corners come before
# the points on edges and faces, so that the first few serve for curved cells too.
_CUTS: dict[str, list[list[int]]] = {
    "triangle": [[0, 1, 2]],
    "quad": [[0, 1, 2], [0, 2, 3]],
    "tetra": [[0, 1, 2, 3]],
}
_FACETS = {"line": [[0, 1]], "triangle": [[0, 1, 2]]}


def read_mesh(path: Path) -> tuple[np.ndarray, np.ndarray, Pieces]:
    """Points (V, d), cells (C, d + 1), and facets (F, d) by name; see :meth:`Mesh.from_file`."""
    if not path.is_file():
        raise ArgumentError(f"there is no mesh file {path}.")
    if path.suffix == ".npz":
        return _read_arrays(path)
    try:
        import meshio
    except ImportError as error:
        raise UnsupportedOperationError(
            f"reading {path.name} needs meshio: pip install 'pinnderiv[mesh]'. Without it, meshes "
            "are read from .npz files with the arrays points and cells."
        ) from error
    try:
        mesh = meshio.read(path)
    # Some readers of meshio end the interpreter on a file that they do not know.
    except (Exception, SystemExit) as error:
        raise ArgumentError(
            f"meshio cannot read {path}: {error or type(error).__name__}."
        ) from error
    return _from_meshio(mesh, path)


def _read_arrays(path: Path) -> tuple[np.ndarray, np.ndarray, Pieces]:
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    except (OSError, ValueError) as error:
        raise ArgumentError(f"{path} cannot be read as a .npz file: {error}.") from error
    missing = {"points", "cells"} - set(arrays)
    if missing:
        raise ArgumentError(
            f"{path} must hold the arrays points and cells; it lacks {', '.join(sorted(missing))}."
        )
    return arrays.pop("points"), arrays.pop("cells"), arrays


def _from_meshio(mesh: Any, path: Path) -> tuple[np.ndarray, np.ndarray, Pieces]:
    kinds = [_base_kind(block.type) for block in mesh.cells]
    solid = "tetra" in kinds
    unknown = set(kinds) - {"vertex", "line", *_CUTS}
    if unknown or (solid and "quad" in kinds):
        raise ArgumentError(
            f"{path} has cells of the kinds {', '.join(sorted(set(kinds)))}; a mesh may have "
            "triangles and quadrilaterals, or tetrahedra."
        )
    wanted = {"tetra"} if solid else {"triangle", "quad"}
    cells = [
        np.asarray(block.data)[:, cut]
        for block, kind in zip(mesh.cells, kinds, strict=True)
        if kind in wanted
        for cut in _CUTS[kind]
    ]
    if not cells:
        raise ArgumentError(f"{path} has no triangles, quadrilaterals or tetrahedra.")
    points = np.asarray(mesh.points, dtype=float)
    if not solid and points.shape[1] == 3:
        if np.ptp(points[:, 2]) > 0:
            raise ArgumentError(
                f"{path} is a surface in space: only flat meshes and tetrahedra are domains."
            )
        points = points[:, :2]
    facet = "triangle" if solid else "line"
    return points, np.concatenate(cells), _pieces(mesh, kinds, facet)


def _base_kind(kind: str) -> str:
    """'triangle' for 'triangle6': the kind with straight sides."""
    return re.sub(r"\d+$", "", kind)


def _pieces(mesh: Any, kinds: list[str], facet: str) -> Pieces:
    """Named groups of facets: cell sets, and physical groups of Gmsh by their tags."""
    found: dict[str, list[np.ndarray]] = {}
    cut = _FACETS[facet][0]
    tags = mesh.cell_data.get("gmsh:physical")
    for number, (block, kind) in enumerate(zip(mesh.cells, kinds, strict=True)):
        if kind != facet:
            continue
        data = np.asarray(block.data)[:, cut]
        for name, rows in mesh.cell_sets.items():
            # Gmsh's own bookkeeping comes as a set too.
            if not name.startswith("gmsh:") and rows[number] is not None and len(rows[number]):
                found.setdefault(_word(name), []).append(data[np.asarray(rows[number], dtype=int)])
        if tags is None:
            continue
        names = {
            int(tag): name for name, (tag, dim) in mesh.field_data.items() if dim == len(cut) - 1
        }
        for tag in np.unique(tags[number]):
            # 0 is no group.
            if tag == 0:
                continue
            label = _word(names.get(int(tag), f"group_{int(tag)}"))
            if names.get(int(tag)) not in mesh.cell_sets:
                found.setdefault(label, []).append(data[np.asarray(tags[number]) == tag])
    return {name: np.concatenate(parts) for name, parts in found.items()}


def _word(name: str) -> str:
    word = re.sub(r"\W+", "_", name).strip("_")
    return word if word[:1].isalpha() else f"group_{word}"
