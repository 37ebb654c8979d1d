import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.spatial import Delaunay

from pinnderiv.domains import Ball, Box, Mesh, SobolSampler, SpaceTime, UniformSampler
from pinnderiv.errors import ArgumentError, UnsupportedOperationError

SQUARE = np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]])
HALVES = np.array([[0, 1, 2], [0, 2, 3]])


def cube_mesh(dim: int) -> tuple[Mesh, Delaunay]:
    corners = np.array(np.meshgrid(*[[0.0, 1.0]] * dim)).reshape(dim, -1).T
    points = np.concatenate([np.random.default_rng(dim).random((200, dim)) ** 2, corners])
    triangulation = Delaunay(points)
    return Mesh(points, triangulation.simplices), triangulation


@pytest.mark.parametrize("dim", [2, 3])
def test_a_meshed_cube_is_a_cube(dim: int) -> None:
    mesh, triangulation = cube_mesh(dim)
    box = Box([0.0] * dim, [1.0] * dim)
    assert (mesh.lower, mesh.upper, mesh.dim) == (box.lower, box.upper, dim)
    assert mesh.measure == pytest.approx(1.0) and mesh.piece_measure("boundary") == 2.0 * dim
    points = mesh.sample(SobolSampler(1), 4096)
    assert mesh.contains(points).all()
    # Cells differ in size by orders of magnitude; the points must not show it.
    assert torch.allclose(
        points.mean(dim=0), torch.full((dim,), 0.5, dtype=torch.float64), atol=0.02
    )
    variance = points.var(dim=0)
    assert torch.allclose(variance, torch.full((dim,), 1 / 12, dtype=torch.float64), atol=0.005)
    edge = mesh.sample_piece("boundary", SobolSampler(2), 600)
    normals = mesh.normals("boundary", edge)
    assert mesh.contains(edge).all()
    assert torch.allclose(normals.abs().sum(dim=1), torch.ones(600, dtype=torch.float64))
    assert torch.allclose(normals, box.normals("walls", edge))
    assert mesh.contains(edge - 1e-6 * normals).double().mean() > 0.99
    assert not mesh.contains(edge + 1e-6 * normals).any()
    around = UniformSampler(4).draw(5000, dim) * 1.2 - 0.1
    expected = torch.from_numpy(triangulation.find_simplex(around.numpy()) >= 0)
    assert torch.equal(mesh.contains(around), expected)
    assert mesh.contains(torch.from_numpy(triangulation.points)).all()
    assert mesh.contains(points.float().reshape(2, -1, dim)).all()


def test_a_mesh_with_a_hole_combines_and_goes_over_time() -> None:
    mesh, _ = cube_mesh(2)
    domain = mesh - Ball([0.5, 0.5], 0.25)
    assert domain.pieces == ("mesh", "sphere")
    assert domain.measure == pytest.approx(1 - np.pi / 16, rel=1e-3)
    edge = domain.sample_piece("boundary", SobolSampler(0), 300)
    normals = domain.normals("boundary", edge)
    assert domain.contains(edge).all()
    assert domain.contains(edge - 1e-6 * normals).double().mean() > 0.99
    assert domain.contains(edge + 1e-6 * normals).double().mean() < 0.01
    cylinder = SpaceTime(mesh, (0.0, 2.0))
    assert cylinder.contains(cylinder.sample(SobolSampler(0), 50)).all()
    assert cylinder.measure == pytest.approx(2.0)
    for one in (mesh, domain, cylinder):
        with pytest.raises(UnsupportedOperationError, match="Mesh has no smooth distance"):
            one.distance(torch.rand(3, one.dim))
        with pytest.raises(UnsupportedOperationError, match="can only be soft"):
            one.piece_distance("boundary", torch.rand(3, one.dim))


def test_named_facets_are_pieces() -> None:
    mesh = Mesh(SQUARE, HALVES, {"left": [[0, 3]], "ends": [[0, 1], [3, 2]]})
    assert mesh.pieces == ("left", "ends", "unnamed")
    assert mesh.names == ("left", "ends", "unnamed", "boundary")
    assert [mesh.piece_measure(name) for name in mesh.names] == [1.0, 2.0, 1.0, 4.0]
    points = mesh.sample_piece("unnamed", UniformSampler(0), 20)
    assert (points[:, 0] == 1.0).all()
    assert mesh.normals("unnamed", points).tolist() == [[1.0, 0.0]] * 20
    inlet = mesh.piece_where("inlet", "left", lambda x: x[:, 1] > 0.5)
    assert (inlet.sample_piece("inlet", UniformSampler(0), 20)[:, 1] > 0.5).all()


@pytest.mark.parametrize(
    ("points", "cells", "pieces", "message"),
    [
        (SQUARE[:, :1], HALVES, None, r"points must be \(V, 2\) or \(V, 3\)"),
        (SQUARE * np.nan, HALVES, None, "finite"),
        (SQUARE, HALVES[:, :2], None, r"cells must be \(C, 3\): triangles"),
        (SQUARE, HALVES + 1, None, "integers from 0 to 3"),
        (SQUARE, HALVES.astype(float), None, "integers from 0 to 3"),
        (SQUARE, [[0, 1, 1]], None, "cell 0 .* no volume"),
        (SQUARE, [[0, 1, 2], [0, 1, 3], [0, 1, 2]], None, "more than two cells"),
        (SQUARE, HALVES, {"cut": [[0, 2]]}, "not on the boundary"),
        (SQUARE, HALVES, {"a": [[0, 1]], "b": [[1, 0]]}, "two pieces, 'a' and 'b'"),
        (SQUARE, HALVES, {"a": [[0, 1, 2]]}, r"facets \(F, 2\)"),
        (SQUARE, HALVES, {"boundary": [[0, 1]]}, "taken"),
        ("none", HALVES, None, "arrays of numbers"),
    ],
)
def test_a_mesh_that_is_none_is_refused(
    points: object, cells: object, pieces: object, message: str
) -> None:
    with pytest.raises(ArgumentError, match=message):
        Mesh(points, cells, pieces)  # type: ignore[arg-type]


def test_arrays_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "square.npz"
    np.savez(path, points=SQUARE, cells=HALVES, left=[[0, 3]], inner=[[0, 2]])
    mesh = Mesh.from_file(path)
    # A line inside is an interface, and no part of the boundary.
    assert mesh.pieces == ("left", "unnamed") and mesh.measure == 1.0
    ring = [[0, 1], [1, 2], [2, 3], [3, 0]]
    np.savez(path, points=SQUARE, cells=HALVES, boundary=ring)
    assert Mesh.from_file(path).names == ("boundary",)
    np.savez(path, points=SQUARE, cells=HALVES, boundary=ring[:1], wall=ring[1:])
    assert Mesh.from_file(path).pieces == ("boundary_group", "wall")
    np.savez(path, points=SQUARE, cells=HALVES, wall=ring)
    assert Mesh.from_file(path).pieces == ("wall",)
    np.savez(path, points=SQUARE)
    with pytest.raises(ArgumentError, match="lacks cells"):
        Mesh.from_file(path)
    with pytest.raises(ArgumentError, match="no mesh file"):
        Mesh.from_file(tmp_path / "none.msh")
    (tmp_path / "bad.npz").write_bytes(b"no archive")
    with pytest.raises(ArgumentError, match="cannot be read"):
        Mesh.from_file(tmp_path / "bad.npz")


def test_without_meshio_the_error_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "square.msh").write_text("$MeshFormat")
    monkeypatch.setitem(sys.modules, "meshio", None)
    with pytest.raises(UnsupportedOperationError, match=r"pip install 'pinnderiv\[mesh\]'"):
        Mesh.from_file(tmp_path / "square.msh")


def test_physical_groups_of_gmsh_are_pieces(tmp_path: Path) -> None:
    meshio = pytest.importorskip("meshio")
    points = np.concatenate([SQUARE, np.zeros((4, 1))], axis=1)
    cells = [("quad", [[0, 1, 2, 3]]), ("line", [[0, 1], [1, 2], [2, 3], [3, 0]])]
    tags = [np.array([1]), np.array([2, 3, 3, 4])]
    mesh = meshio.Mesh(
        points,
        cells,
        cell_data={"gmsh:physical": tags, "gmsh:geometrical": tags},
        field_data={
            "plate": np.array([1, 2]),
            "inlet": np.array([2, 1]),
            "far wall": np.array([3, 1]),
        },
    )
    path = tmp_path / "square.msh"
    meshio.write(path, mesh, file_format="gmsh22")
    read = Mesh.from_file(path)
    assert read.dim == 2 and read.measure == 1.0
    assert read.pieces == ("inlet", "far_wall", "group_4")
    assert [read.piece_measure(name) for name in read.pieces] == [1.0, 2.0, 1.0]


def test_cell_sets_are_pieces_and_other_cells_are_refused(tmp_path: Path) -> None:
    meshio = pytest.importorskip("meshio")
    points = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1.0]])
    cells = [("tetra", [[0, 1, 2, 3]]), ("triangle", [[0, 1, 2], [1, 2, 3]])]
    path = tmp_path / "corner.inp"
    meshio.write(path, meshio.Mesh(points, cells, cell_sets={"bottom": [[], [0]]}))
    read = Mesh.from_file(path)
    assert read.dim == 3 and read.measure == pytest.approx(1 / 6)
    assert read.pieces == ("bottom", "unnamed") and read.piece_measure("bottom") == 0.5
    meshio.write(path, meshio.Mesh(points, [("triangle", [[1, 2, 3]])]))
    with pytest.raises(ArgumentError, match="surface in space"):
        Mesh.from_file(path)
    hexahedron = meshio.Mesh(np.random.rand(8, 3), [("hexahedron", [list(range(8))])])
    meshio.write(path, hexahedron)
    with pytest.raises(ArgumentError, match="hexahedron; a mesh may have"):
        Mesh.from_file(path)
    path.write_text("not a mesh at all")
    with pytest.raises(ArgumentError, match=r"cannot read|has no triangles"):
        Mesh.from_file(path)
