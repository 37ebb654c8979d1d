"""After a run: the solution and its derivatives, at any points."""

from __future__ import annotations

import logging
import math
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from pinnderiv.derivatives import derivatives
from pinnderiv.domains.grids import MAX_GRID_POINTS
from pinnderiv.errors import ArgumentError, ConfigurationError
from pinnderiv.problems import Problem
from pinnderiv.tables import check_suffix, read_columns

_ROWS = 4096
_GRID_POINTS = 10_000
# Beyond this even two points an axis are more than a million.
_MAX_GRID_AXES = 20
_log = logging.getLogger(__name__)


def points_from_file(problem: Problem, path: Path) -> dict[str, np.ndarray]:
    """The coordinates' columns of a ``.csv`` or ``.npz`` file.

    Points outside the problem's domain are kept, with a warning: the network says something
    there too, but nothing has taught it what.

    Raises:
        ConfigurationError: the file cannot be read, or lacks a column.
    """
    columns = read_columns(path, problem.coordinates)
    points = _stack(problem, columns)
    outside = int((~problem.domain.contains(points)).sum())
    if outside:
        _log.warning(
            "%d of %d points lie outside the domain, where the network was not trained",
            outside,
            len(points),
        )
    return columns


def points_on_grid(
    problem: Problem, per_axis: int | Sequence[int] | None = None
) -> dict[str, np.ndarray]:
    """The coordinates of a regular grid over the domain, ends included.

    Args:
        problem: whose domain it is.
        per_axis: points along each axis, or one number for all; None takes as many as make no
            more than some 10,000 points, and 2 at least.

    Returns:
        For each coordinate an array with one axis for each coordinate.

    Raises:
        ConfigurationError: the numbers make no grid.
        ArgumentError: they do not fit the domain, or the grid is too large.
    """
    dim = problem.domain.dim
    if dim > _MAX_GRID_AXES:
        raise ConfigurationError(
            f"a grid in {dim} dimensions has too many points: give evaluate.points=<file> with the "
            f"columns {problem.coordinates[0]}, ..., {problem.coordinates[-1]}"
        )
    if per_axis is None:
        # the small number makes up for 10,000 ** (1 / 4) being a little below 10
        per_axis = max(2, int(_GRID_POINTS ** (1 / dim) + 1e-9))
    counts = list(per_axis) if isinstance(per_axis, Sequence) else [per_axis]
    if isinstance(per_axis, str) or not all(type(count) is int for count in counts):
        raise ConfigurationError(
            "evaluate.grid must be a number of points, or a list with one an axis; got "
            f"{per_axis!r}"
        )
    if len(counts) == 1:
        counts = counts * dim
    if len(counts) != dim or min(counts) < 2:
        raise ArgumentError(
            f"evaluate.grid must be a number of points of at least 2, or a list of {dim}, one an "
            f"axis ({', '.join(problem.coordinates)}); got {per_axis}. For points of your own give "
            "evaluate.points=<file>"
        )
    if math.prod(counts) > MAX_GRID_POINTS:
        raise ArgumentError(
            f"evaluate.grid={per_axis} makes {math.prod(counts):,} points in {dim} dimensions, "
            f"more than {MAX_GRID_POINTS:,}: give fewer an axis, or evaluate.points=<file>"
        )
    grid = problem.domain.grid(counts)
    return {
        name: grid[:, axis].reshape(counts).numpy() for axis, name in enumerate(problem.coordinates)
    }


def evaluate(
    problem: Problem,
    network: Callable[[Tensor], Tensor],
    quantities: Sequence[str],
    columns: dict[str, np.ndarray],
    dtype: torch.dtype,
    device: torch.device | str,
    functions: Mapping[str, Callable[[Tensor], Tensor]] | None = None,
) -> dict[str, np.ndarray]:
    """Evaluates the solution and its derivatives.

    Args:
        problem: names the coordinates and the outputs.
        network: (N, D) -> (N, M).
        quantities: such as ``["u", "u_x", "u_xx"]``; see :func:`pinnderiv.derivatives`.
        columns: the coordinates, arrays of one shape.
        dtype, device: where the network is.
        functions: further quantities by name, (N, D) -> (N, 1): the unknown functions of an
            inverse problem.

    Returns:
        The coordinates and then the quantities, each in the shape of the coordinates.

    Raises:
        ConfigurationError: no quantity, or a quantity is asked for twice.
        ArgumentError: a quantity's name is not known.
    """
    if not quantities or len(set(quantities)) < len(quantities):
        raise ConfigurationError(
            "evaluate.quantities must name each quantity once, such as [u,u_x,u_xx]; got "
            f"[{','.join(quantities)}]"
        )
    shape = columns[problem.coordinates[0]].shape
    points = _stack(problem, columns).to(device=device, dtype=dtype)
    others = functions or {}
    names = [name for name in quantities if name not in others]
    request = (
        derivatives(network, names, coordinates=problem.coordinates, outputs=problem.outputs)
        if names
        else None
    )
    found: dict[str, list[Tensor]] = {name: [] for name in quantities}
    for rows in points.split(_ROWS):
        values = {} if request is None else dict(request(rows))
        values |= {name: others[name](rows) for name in quantities if name in others}
        for name in quantities:
            found[name].append(values[name].detach().cpu())
    return {
        **columns,
        **{name: torch.cat(parts).reshape(shape).numpy() for name, parts in found.items()},
    }


def check_output(path: Path) -> Path:
    """Returns ``path`` if a table can be written there.

    Raises:
        ConfigurationError: the ending is not known, it is a folder, or its folder cannot be
            written to. All of that is better known before the evaluation than after it.
    """
    check_suffix(path)
    if path.is_dir():
        raise ConfigurationError(f"'{path}' is a folder: give evaluate.output a file's name")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        raise ConfigurationError(
            f"'{path}' cannot be written ({error.strerror}): give another place with "
            "evaluate.output=<file>"
        ) from error
    return path


def _stack(problem: Problem, columns: dict[str, np.ndarray]) -> Tensor:
    return torch.stack(
        [torch.from_numpy(columns[name].reshape(-1)) for name in problem.coordinates], dim=-1
    )
