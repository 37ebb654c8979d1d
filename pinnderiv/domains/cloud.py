"""Points as they are: inside and on the boundary, from arrays or a file."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

import numpy as np
import torch
from torch import Tensor

from pinnderiv.domains.arguments import check_positive
from pinnderiv.domains.domain import Domain
from pinnderiv.domains.naming import check_name
from pinnderiv.domains.samplers import Sampler
from pinnderiv.domains.sampling import check_count
from pinnderiv.domains.shape import BOUNDARY
from pinnderiv.errors import ArgumentError, UnsupportedOperationError

Array = Tensor | np.ndarray | Sequence[Sequence[float]]

# Pairs of points looked at together.
_PAIRS = 1 << 22
_INTERIOR = "interior"
_NORMALS = "_normals"


class PointCloud(Domain):
    """Given points inside, and given points on named pieces of the boundary.

    Sampling picks among them without replacement. What lies between is not known:
    :meth:`contains` holds within ``spacing`` of a point, there is no distance function, a
    measure only if it is given, and a cloud cannot be combined with other domains.

    Args:
        interior: points inside, (N, d).
        boundary: for each piece, points on it, (M, d).
        normals: for each piece that has them, outward normals (M, d) at its points, of any
            length but zero.
        measure: length, area or volume of the domain.
        spacing: how far from a point the domain reaches; by default twice the median distance
            between neighbours.

    Raises:
        ArgumentError: arrays are no finite numbers or differ in d, there are fewer than two points,
            a piece has no points or a bad name, or normals do not fit their points.
    """

    label = "cloud"
    combines = False

    def __init__(
        self,
        interior: Array,
        boundary: Mapping[str, Array] | None = None,
        normals: Mapping[str, Array] | None = None,
        *,
        measure: float | None = None,
        spacing: float | None = None,
    ) -> None:
        self._points = _check_array("interior", interior, None)
        dim = self._points.shape[1]
        self._pieces = {
            check_name(name): _check_array(f"piece {name!r}", points, dim)
            for name, points in (boundary or {}).items()
        }
        self._given = {
            name: self._check_normals(name, each) for name, each in (normals or {}).items()
        }
        self._all = torch.cat([self._points, *self._pieces.values()])
        if len(self._all) < 2:
            raise ArgumentError("a cloud needs at least two points.")
        self._size = None if measure is None else check_positive("measure", measure)
        if spacing is None:
            # To be no neighbour of itself, a point that is there twice counts once.
            unique = self._all.unique(dim=0)
            self.spacing = 2 * float(_nearest(unique, unique, skip=1)[0].median())
        else:
            self.spacing = check_positive("spacing", spacing)

    @classmethod
    def from_file(
        cls, path: str | Path, *, measure: float | None = None, spacing: float | None = None
    ) -> Self:
        """Reads points from a ``.csv`` or an ``.npz`` file.

        A CSV has a header line and a column for each coordinate. If it has a column ``piece``,
        that is the name of the piece that a point lies on, and empty or ``interior`` inside. If
        it has a column ``n_<coordinate>`` for each coordinate, those are outward normals; they are
        left empty where there is none. An NPZ has the array ``interior`` (N, d), an array (M, d)
        for each piece by its name, and normals as ``<piece>_normals``.

        Args:
            path: of the file.
            measure: see :class:`PointCloud`.
            spacing: likewise.

        Raises:
            ArgumentError: there is no such file, or it has another form; the message says how.
        """
        path = Path(path)
        if path.suffix not in (".csv", ".npz"):
            raise ArgumentError(f"{path} must end in .csv or .npz: the ending chooses the format.")
        if not path.is_file():
            raise ArgumentError(f"there is no file {path}.")
        interior, boundary, normals = (_read_csv if path.suffix == ".csv" else _read_npz)(path)
        return cls(interior, boundary, normals, measure=measure, spacing=spacing)

    def __repr__(self) -> str:
        counts = [f"{name}: {len(points)}" for name, points in self._pieces.items()]
        return f"PointCloud({', '.join([f'interior: {len(self._points)}', *counts])})"

    @property
    def lower(self) -> tuple[float, ...]:
        return tuple(self._all.amin(dim=0).tolist())

    @property
    def upper(self) -> tuple[float, ...]:
        return tuple(self._all.amax(dim=0).tolist())

    @property
    def pieces(self) -> tuple[str, ...]:
        return tuple(self._pieces)

    @property
    def measure(self) -> float:
        if self._size is None:
            raise UnsupportedOperationError(
                "the measure of a cloud of points is not known: give measure=... to PointCloud."
            )
        return self._size

    def sample(self, sampler: Sampler, n: int) -> Tensor:
        """Picks n of the points inside, none twice; otherwise as :meth:`Domain.sample`.

        Raises:
            ArgumentError: there are fewer than ``n``.
        """
        return _pick(self._points, sampler, check_count(n), "inside")

    def sample_piece(self, name: str, sampler: Sampler, n: int) -> Tensor:
        """Picks n of the points of a piece, none twice; otherwise as :meth:`Domain.sample_piece`.

        Raises:
            ArgumentError: there is no such piece, or it has fewer than ``n`` points.
        """
        found, points = self._find(name), self._on(self.root(self._find(name)))
        keep = torch.ones(len(points), dtype=torch.bool)
        while found in self._where:
            found, predicate = self._where[found]
            keep &= predicate(points).reshape(-1)
        return _pick(points[keep], sampler, check_count(n), f"on {name!r}")

    def _on(self, name: str) -> Tensor:
        if name != BOUNDARY:
            return self._pieces[name]
        if not self._pieces:
            raise ArgumentError("this cloud has no points on its boundary.")
        return torch.cat(list(self._pieces.values()))

    def _interior(self, unit: Tensor) -> Tensor:
        return _at(self._points, unit)

    def _on_piece(self, name: str, unit: Tensor) -> Tensor:
        return _at(self._on(name), unit)

    def _piece_measure(self, name: str) -> float:
        raise UnsupportedOperationError("the measure of a piece of a cloud of points is not known.")

    def _within(self, x: Tensor, slack: float) -> Tensor:
        near = _nearest(x.reshape(-1, self.dim), self._all)[0] <= self.spacing + slack
        return near.reshape(x.shape[:-1])

    def _normals(self, name: str, x: Tensor) -> Tensor:
        names = list(self._pieces) if name == BOUNDARY else [name]
        for each in names:
            if each not in self._given:
                raise UnsupportedOperationError(
                    f"piece {each!r} of this cloud has no normals: give them to PointCloud, or in "
                    "the file."
                )
        normals = torch.cat([self._given[each] for each in names])
        return normals.to(x)[_nearest(x, self._on(name))[1]]

    def _gap(self, name: str, x: Tensor) -> Tensor:
        return _nearest(x, self._on(name))[0]

    def _check_normals(self, name: str, normals: Array) -> Tensor:
        if name not in self._pieces:
            raise ArgumentError(f"normals are given for {name!r}, which is no piece of this cloud.")
        array = _check_array(f"normals of {name!r}", normals, self._points.shape[1])
        lengths = array.norm(dim=1, keepdim=True)
        if len(array) != len(self._pieces[name]) or not bool((lengths > 0).all()):
            raise ArgumentError(
                f"normals of {name!r} must be {len(self._pieces[name])}, one a point, none zero; "
                f"got {len(array)}."
            )
        return array / lengths


def _at(points: Tensor, unit: Tensor) -> Tensor:
    index = (unit[:, 0].double() * len(points)).long().clamp(max=len(points) - 1)
    return points.to(unit)[index]


def _pick(points: Tensor, sampler: Sampler, n: int, where: str) -> Tensor:
    if n > len(points):
        raise ArgumentError(
            f"the cloud has {len(points)} points {where}; got n={n}, and none is taken twice."
        )
    return points[sampler.draw(len(points), 1)[:, 0].argsort(stable=True)[:n]]


def _nearest(x: Tensor, points: Tensor, skip: int = 0) -> tuple[Tensor, Tensor]:
    """Distance (N,) to the nearest of some points, the first ``skip`` left out, and its number."""
    found = [x.new_zeros(0)], [torch.zeros(0, dtype=torch.int64, device=x.device)]
    for part in x.split(max(1, _PAIRS // len(points))):
        # Not by the expansion of the square, which loses half the digits.
        distances = torch.cdist(
            part, points.to(part), compute_mode="donot_use_mm_for_euclid_dist"
        ).topk(skip + 1, largest=False)
        found[0].append(distances.values[:, skip])
        found[1].append(distances.indices[:, skip])
    return torch.cat(found[0]), torch.cat(found[1])


def _check_array(name: str, values: Array, dim: int | None) -> Tensor:
    try:
        array = torch.as_tensor(np.array(values, dtype=float))
    except (TypeError, ValueError) as error:
        raise ArgumentError(f"{name} must be an array of numbers (N, d): {error}.") from error
    wanted = "d" if dim is None else str(dim)
    if array.ndim != 2 or not array.numel() or (dim is not None and array.shape[1] != dim):
        raise ArgumentError(
            f"{name} must be (N, {wanted}), N at least 1; got {tuple(array.shape)}."
        )
    if not bool(array.isfinite().all()):
        raise ArgumentError(f"{name} must be finite numbers; it has NaN or infinite ones.")
    return array


Read = tuple[np.ndarray, dict[str, np.ndarray], dict[str, np.ndarray]]


def _read_npz(path: Path) -> Read:
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    except (OSError, ValueError) as error:
        raise ArgumentError(f"{path} cannot be read as a .npz file: {error}.") from error
    if _INTERIOR not in arrays:
        raise ArgumentError(
            f"{path} lacks the array interior; it has {', '.join(arrays) or 'none'}."
        )
    interior = arrays.pop(_INTERIOR)
    normals = {
        name.removesuffix(_NORMALS): arrays.pop(name)
        for name in list(arrays)
        if name.endswith(_NORMALS)
    }
    return interior, arrays, normals


def _read_csv(path: Path) -> Read:
    with path.open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.reader(file) if row]
    if len(rows) < 2:
        raise ArgumentError(f"{path} must have a header line and a line for each point.")
    header = [name.strip() for name in rows[0]]
    normal = [f"n_{name}" for name in header if f"n_{name}" in header]
    coordinates = [name for name in header if name != "piece" and name not in normal]
    if normal and len(normal) != len(coordinates):
        missing = ", ".join(f"n_{name}" for name in coordinates if f"n_{name}" not in header)
        raise ArgumentError(f"{path} has normals but lacks the columns {missing}.")
    points: dict[str, list[list[float]]] = {_INTERIOR: []}
    normals: dict[str, list[list[float]]] = {}
    for line, row in enumerate(rows[1:], start=2):
        if len(row) != len(header):
            raise ArgumentError(
                f"{path}, row {line}: {len(row)} entries for {len(header)} columns."
            )
        cell = dict(zip(header, (entry.strip() for entry in row), strict=True))
        piece = cell.get("piece") or _INTERIOR
        points.setdefault(piece, []).append(_numbers(path, line, cell, coordinates))
        if piece != _INTERIOR and normal and any(cell[name] for name in normal):
            columns = [f"n_{name}" for name in coordinates]
            normals.setdefault(piece, []).append(_numbers(path, line, cell, columns))
    arrays = {name: np.array(each) for name, each in points.items()}
    return arrays.pop(_INTERIOR), arrays, {name: np.array(each) for name, each in normals.items()}


def _numbers(path: Path, line: int, cell: dict[str, str], names: list[str]) -> list[float]:
    numbers = []
    for name in names:
        try:
            numbers.append(float(cell[name]))
        except ValueError:
            numbers.append(math.nan)
        if not math.isfinite(numbers[-1]):
            raise ArgumentError(
                f"{path}, row {line}: column {name} must be a finite number; got {cell[name]!r}."
            )
    return numbers
