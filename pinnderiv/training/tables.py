"""Tables of numbers in files: ``.csv`` with a header line, or ``.npz`` with one array a column."""

from __future__ import annotations

import csv
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pinnderiv.errors import ConfigurationError
from pinnderiv.training.checkpoint import write_atomically

SUFFIXES = (".csv", ".npz")


def check_suffix(path: Path) -> None:
    """Raises ConfigurationError unless the file's name ends in one of :data:`SUFFIXES`."""
    if path.suffix not in SUFFIXES:
        raise ConfigurationError(
            f"'{path}' must end in {' or '.join(SUFFIXES)}: the ending chooses the format"
        )


def read_columns(path: Path, names: Sequence[str]) -> dict[str, np.ndarray]:
    """Reads the named columns of a table; others are left alone.

    Args:
        path: ``.csv`` or ``.npz``.
        names: columns that must be there.

    Returns:
        float64 arrays by name, all of one shape: (rows,) from a CSV, any shape from an NPZ.

    Raises:
        ConfigurationError: no such file, a column is missing, the columns differ in shape, or
            a value is no finite real number; the message says which.
    """
    check_suffix(path)
    if not path.is_file():
        raise ConfigurationError(f"there is no file '{path}'")
    columns = (_read_csv if path.suffix == ".csv" else _read_npz)(path, names)
    for name, column in columns.items():
        bad = np.flatnonzero(~np.isfinite(column))
        if bad.size:
            raise ConfigurationError(
                f"'{path}': column {name} holds {column.reshape(-1)[bad[0]]} at point "
                f"{bad[0] + 1} of {column.size} ({bad.size} such in all): leave out points whose "
                "coordinates are not known"
            )
    shapes = {name: columns[name].shape for name in names}
    if len(set(shapes.values())) > 1:
        listed = ", ".join(f"{name} {shape}" for name, shape in shapes.items())
        raise ConfigurationError(f"the columns of '{path}' differ in shape: {listed}")
    if columns[names[0]].size == 0:
        raise ConfigurationError(f"'{path}' has no points")
    return columns


def write_columns(path: Path, columns: Mapping[str, np.ndarray]) -> None:
    """Writes a table, replacing the file as a whole; a CSV has one row a point.

    Numbers are written so that reading them gives the same numbers again.
    """
    check_suffix(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".npz":
        arrays: dict[str, Any] = dict(columns)
        write_atomically(path, lambda file: np.savez(file, **arrays))
        return
    rows = zip(*(column.reshape(-1).tolist() for column in columns.values()), strict=True)
    lines = [",".join(columns), *(",".join(map(repr, row)) for row in rows)]
    write_atomically(path, lambda file: file.write("\n".join([*lines, ""]).encode()))


def _read_csv(path: Path, names: Sequence[str]) -> dict[str, np.ndarray]:
    try:
        return _read_csv_text(path, names)
    except OSError as error:
        raise ConfigurationError(f"'{path}' cannot be read: {error.strerror}") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise ConfigurationError(
            f"'{path}' is no table in UTF-8 text ({error}): save it as CSV in UTF-8, with a header "
            f"line such as {','.join(names)}"
        ) from error


def _read_csv_text(path: Path, names: Sequence[str]) -> dict[str, np.ndarray]:
    with path.open(newline="", encoding="utf-8-sig") as file:
        reader = csv.DictReader(file, skipinitialspace=True)
        header = [name.strip() for name in reader.fieldnames or []]
        reader.fieldnames = header
        _require(path, names, header)
        values: dict[str, list[float]] = {name: [] for name in names}
        for row in reader:
            for name in names:
                values[name].append(_number(row[name], name, path, reader.line_num))
    return {name: np.array(column, dtype=np.float64) for name, column in values.items()}


def _read_npz(path: Path, names: Sequence[str]) -> dict[str, np.ndarray]:
    try:
        with np.load(path, allow_pickle=False) as archive:
            _require(path, names, archive.files)
            columns = {name: archive[name] for name in names}
            for name, column in columns.items():
                if np.iscomplexobj(column):
                    raise ConfigurationError(
                        f"'{path}': column {name} holds complex numbers, and coordinates are real: "
                        f"save {name}.real"
                    )
            return {name: column.astype(np.float64) for name, column in columns.items()}
    except (ValueError, OSError, EOFError, AttributeError, zipfile.BadZipFile) as error:
        if isinstance(error, ConfigurationError):
            raise
        raise ConfigurationError(
            f"'{path}' is no .npz file of numbers ({error}): write it with "
            f"numpy.savez(path, {', '.join(f'{name}=...' for name in names)})"
        ) from error


def _require(path: Path, names: Sequence[str], found: Sequence[str]) -> None:
    missing = [name for name in names if name not in found]
    if missing:
        raise ConfigurationError(
            f"'{path}' has no column {', '.join(missing)}: it has "
            f"{', '.join(found) or 'none'}, and the problem's coordinates are {', '.join(names)}"
        )


def _number(text: str | None, name: str, path: Path, line: int) -> float:
    try:
        return float(text or "")
    except ValueError:
        raise ConfigurationError(
            f"'{path}', line {line}: column {name} holds {text!r}, which is no number"
        ) from None
