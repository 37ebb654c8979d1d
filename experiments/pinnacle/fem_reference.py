"""A finite-element reference for Poisson2d-C, by scikit-fem: u = 1 on the square, 0 on four holes.

By symmetry one quarter is enough, with no flux through the axes. The mesh is an O-grid around the
hole and rectangles beside it; elements are of second order. The values are compared with those of a
mesh half as fine, which bounds the error.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from skfem import Basis, ElementTriP2, MeshQuad, condense, solve
from skfem.models.poisson import laplace

CENTER, RADIUS, NEAR, FAR = 0.3, 0.1, 0.1, 0.5


def blocks(n: int) -> list[np.ndarray]:
    """The mesh as tensor grids of points, (rows, columns, 2) each, that share their edges."""
    t = np.linspace(0.0, 1.0, n + 1)
    corners = np.array([[NEAR, NEAR], [FAR, NEAR], [FAR, FAR], [NEAR, FAR]])
    # thinner towards the circle, where the solution is steepest
    s = t**1.5
    found = []
    for side in range(4):
        outer = corners[side] + t[:, None] * (corners[(side + 1) % 4] - corners[side])
        angle = np.arctan2(outer[:, 1] - CENTER, outer[:, 0] - CENTER)
        inner = CENTER + RADIUS * np.stack([np.cos(angle), np.sin(angle)], axis=-1)
        found.append(inner[None] + s[:, None, None] * (outer - inner)[None])
    low, high = np.linspace(0.0, NEAR, n // 4 + 1), NEAR + t * (FAR - NEAR)
    for xs, ys in ((low, low), (low, high), (high, low)):
        found.append(np.stack(np.meshgrid(xs, ys, indexing="ij"), axis=-1))
    return found


def mesh(n: int) -> MeshQuad:
    """The quarter of the domain with ``n`` cells along each side of the hole's square."""
    points, cells, start = [], [], 0
    for block in blocks(n):
        rows, columns = block.shape[:2]
        index = start + np.arange(rows * columns).reshape(rows, columns)
        cells.append(
            np.stack(
                [index[:-1, :-1], index[1:, :-1], index[1:, 1:], index[:-1, 1:]], axis=-1
            ).reshape(-1, 4)
        )
        points.append(block.reshape(-1, 2))
        start += rows * columns
    stacked = np.concatenate(points)
    _, first, inverse = np.unique(
        np.round(stacked, 10), axis=0, return_index=True, return_inverse=True
    )
    return MeshQuad(stacked[first].T.copy(), inverse.reshape(-1)[np.concatenate(cells)].T.copy())


def solution(n: int, at: np.ndarray) -> np.ndarray:
    """u at points (N, 2) of the quarter, on a mesh of fineness ``n``."""
    triangles = mesh(n).to_meshtri()
    basis = Basis(triangles, ElementTriP2())
    matrix = laplace.assemble(basis)
    x, y = basis.doflocs
    outside = np.isclose(x, FAR) | np.isclose(y, FAR)
    hole = basis.get_dofs(
        lambda p: np.hypot(p[0] - CENTER, p[1] - CENTER) < RADIUS * (1 + 1e-6)
    ).flatten()
    fixed = np.unique(np.concatenate([np.flatnonzero(outside), hole]))
    values = np.zeros(basis.N)
    values[outside] = 1.0
    found = solve(*condense(matrix, x=values, D=fixed))
    return basis.probes(at.T) @ found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "poisson2d_c.npz")
    parser.add_argument("--fineness", type=int, default=96)
    parser.add_argument("--points", type=int, default=5000)
    arguments = parser.parse_args()
    draw = np.random.default_rng(0)
    at = draw.uniform(-FAR, FAR, (2 * arguments.points, 2))
    folded = np.abs(at)
    # a chord of the mesh lies inside the circle by less than this
    keep = np.hypot(*(folded - CENTER).T) > RADIUS * (1 + 1e-4)
    at, folded = at[keep][: arguments.points], folded[keep][: arguments.points]
    fine, coarse = (solution(n, folded) for n in (arguments.fineness, arguments.fineness // 2))
    gap = np.linalg.norm(fine - coarse) / np.linalg.norm(fine)
    np.savez_compressed(arguments.out, x=at[:, 0], y=at[:, 1], u=fine)
    print(f"{len(at)} points; relative change from half the fineness: {gap:.1e}; {arguments.out}")


if __name__ == "__main__":
    main()
