"""Which cell of a mesh a point lies in."""

from __future__ import annotations

import numpy as np


class CellLocator:
    """Finds cells by a regular grid of bins, each with the cells whose boxes reach into it.

    Args:
        vertices: (V, d).
        cells: (C, d + 1), simplices that are not flat.
    """

    def __init__(self, vertices: np.ndarray, cells: np.ndarray) -> None:
        corners = vertices[cells]
        dim = vertices.shape[1]
        self._origins = corners[:, 0]
        # Barycentric coordinates 1, …, d of x are (x − origin) @ inverse.
        self._inverses = np.linalg.inv(corners[:, 1:] - corners[:, :1])
        # The gradient of each barycentric coordinate, the 0th included, turns lengths into shares.
        gradients = np.linalg.norm(self._inverses, axis=1)
        first = np.linalg.norm(self._inverses.sum(axis=2), axis=1)
        self._slopes = np.concatenate([first[:, None], gradients], axis=1)
        low, high = corners.min(axis=1), corners.max(axis=1)
        self._low = low.min(axis=0)
        self._size = np.maximum(high.max(axis=0) - self._low, 1e-300)
        self._bins = np.full(dim, max(1, round(len(cells) ** (1 / dim))))
        margin = 1e-6 * self._size
        starts, ends = self._bin(low - margin), self._bin(high + margin)
        cell, bins = _spans(starts, ends, self._bins)
        order = np.argsort(bins, kind="stable")
        self._cells = cell[order]
        self._first = np.searchsorted(bins[order], np.arange(self._bins.prod() + 1))

    def locate(self, x: np.ndarray, slack: float = 0.0) -> np.ndarray:
        """Numbers of the cells that hold points (N, d), within ``slack``; −1 for none."""
        found = np.full(len(x), -1)
        inside = np.isfinite(x).all(axis=1)
        margin = slack + 1e-6 * self._size
        inside &= ((x >= self._low - margin) & (x <= self._low + self._size + margin)).all(axis=1)
        rows = np.flatnonzero(inside)
        bins = np.ravel_multi_index(tuple(self._bin(x[rows]).T), tuple(self._bins))
        position, end = self._first[bins], self._first[bins + 1]
        while len(rows):
            left = position < end
            rows, position, end = rows[left], position[left], end[left]
            if not len(rows):
                break
            cell = self._cells[position]
            offset = x[rows] - self._origins[cell]
            shares = np.einsum("nd,nde->ne", offset, self._inverses[cell])
            shares = np.concatenate([1 - shares.sum(axis=1, keepdims=True), shares], axis=1)
            # Rounding must not open gaps between neighbours.
            hit = (shares >= -(slack * self._slopes[cell] + 1e-12)).all(axis=1)
            found[rows[hit]] = cell[hit]
            rows, position, end = rows[~hit], position[~hit] + 1, end[~hit]
        return found

    def _bin(self, x: np.ndarray) -> np.ndarray:
        share = (x - self._low) / self._size
        return np.clip((share * self._bins).astype(np.int64), 0, self._bins - 1)


def _spans(starts: np.ndarray, ends: np.ndarray, bins: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Every pair of a cell and a bin between its first and its last, (pairs,) each."""
    counts = ends - starts + 1
    totals = counts.prod(axis=1)
    cell = np.repeat(np.arange(len(starts)), totals)
    rank = np.arange(totals.sum()) - np.repeat(totals.cumsum() - totals, totals)
    index = []
    for axis in reversed(range(starts.shape[1])):
        width = counts[cell, axis]
        index.append(starts[cell, axis] + rank % width)
        rank = rank // width
    return cell, np.ravel_multi_index(tuple(reversed(index)), tuple(bins))
