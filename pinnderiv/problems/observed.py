"""Observations out of a problem file: where something was seen, and what."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from pinnderiv.domains import Domain
from pinnderiv.errors import ConfigurationError
from pinnderiv.problems.conditions import Field
from pinnderiv.problems.entries import Entry, readable, sequence
from pinnderiv.problems.texts import Texts
from pinnderiv.tables import read_columns


def observed(
    entry: Entry,
    coordinates: tuple[str, ...],
    output: str,
    domain: Domain,
    texts: Texts,
    exact: Field | None,
    folder: Path,
) -> tuple[Tensor, Tensor]:
    """The points of an observation, (N, D), and the values there, (N, 1).

    Args:
        entry: with ``file``, or with ``points`` and perhaps ``values``.
        coordinates: names of the columns.
        output: name of what was observed.
        domain: where the points must lie.
        texts: reads numbers and functions.
        exact: gives the values where the entry does not.
        folder: where the names of files begin.

    Raises:
        ConfigurationError: neither or both are given, their numbers do not fit, or points lie
            outside.
    """
    file, points = entry.get("file"), entry.get("points")
    if (file is None) == (points is None):
        raise ConfigurationError(f"{entry.path} must have either a file, or points and values")
    if file is not None:
        at, values = _from_file(readable(entry.at("file"), file, folder), coordinates, output)
    else:
        at = _points(entry.at("points"), points, coordinates, texts)
        values = _values(entry, at, texts, exact)
    outside = int((~domain.contains(at)).sum())
    if outside:
        raise ConfigurationError(
            f"{entry.path}: {outside} of {len(at)} points lie outside the domain"
        )
    return at, values


def _from_file(path: Path, coordinates: tuple[str, ...], output: str) -> tuple[Tensor, Tensor]:
    names = [*coordinates, output]
    table = read_columns(path, names, comsol=True)
    stacked = torch.from_numpy(np.stack([table[k].reshape(-1) for k in names], axis=-1))
    return stacked[:, :-1], stacked[:, -1:]


def _points(path: str, given: object, coordinates: tuple[str, ...], texts: Texts) -> Tensor:
    rows = [texts.numbers(f"{path}[{n}]", row) for n, row in enumerate(sequence(path, given))]
    if {len(row) for row in rows} != {len(coordinates)}:
        raise ConfigurationError(
            f"{path} must be a list of points with {len(coordinates)} numbers each "
            f"({', '.join(coordinates)})"
        )
    return torch.tensor(rows, dtype=torch.float64)


def _values(entry: Entry, at: Tensor, texts: Texts, exact: Field | None) -> Tensor:
    given, path = entry.get("values"), entry.at("values")
    if given is None and exact is not None:
        return exact(at).detach()
    if isinstance(given, str):
        return texts.field(path, given)(at).detach()
    numbers = texts.numbers(path, given)
    if len(numbers) != len(at):
        raise ConfigurationError(
            f"{path} must have a number for each of {len(at)} points; got {len(numbers)}"
        )
    return torch.tensor(numbers, dtype=torch.float64)[:, None]
