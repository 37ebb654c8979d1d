"""Reading tables of numbers: ``.csv``, ``.npz``, and the text that COMSOL exports.

A ``.csv`` has a header line with the names of its columns, an ``.npz`` one array a column. COMSOL's
text (``.txt``, ``.dat``) names its columns in the last line of a header of lines that begin with
``%``; a quantity at several times has one column for each, ``u @ t=0.5``.
"""

from __future__ import annotations

import csv
import re
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from pinnderiv.errors import ConfigurationError

SUFFIXES = (".csv", ".npz")
COMSOL_SUFFIXES = (".txt", ".dat")
# "u (K) @ 3: t=0.5": the name, perhaps a unit, and the time of the column
_COMSOL_COLUMN = re.compile(
    r"(?P<name>[A-Za-z_]\w*)(?:\s*\([^)]*\))?(?:\s*@\s*(?:\d+:\s*)?t\s*=\s*(?P<time>[-+\d.eE]+))?"
)


def check_suffix(path: Path, suffixes: tuple[str, ...] = SUFFIXES) -> None:
    """Raises ConfigurationError unless the file's name ends in one of ``suffixes``."""
    if path.suffix not in suffixes:
        raise ConfigurationError(
            f"'{path}' must end in {' or '.join(suffixes)}: the ending chooses the format"
        )


def read_columns(path: Path, names: Sequence[str], comsol: bool = False) -> dict[str, np.ndarray]:
    """Reads the named columns of a table; others are left alone.

    Args:
        path: ``.csv`` or ``.npz``.
        names: columns that must be there.
        comsol: whether COMSOL's text is read as well.

    Returns:
        float64 arrays by name, all of one shape: (rows,) from text, any shape from an NPZ.

    Raises:
        ConfigurationError: no such file, a column is missing, the columns differ in shape, or
            a value is no finite real number; the message says which.
    """
    check_suffix(path, SUFFIXES + COMSOL_SUFFIXES if comsol else SUFFIXES)
    if not path.is_file():
        raise ConfigurationError(f"there is no file '{path}'")
    readers = {".csv": _read_csv, ".npz": _read_npz}
    columns = readers.get(path.suffix, _read_comsol)(path, names)
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


def _read_comsol(path: Path, names: Sequence[str]) -> dict[str, np.ndarray]:
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"'{path}' cannot be read: {error}") from error
    comments = [line.lstrip("% ") for line in lines if line.startswith("%")]
    rows = [line.split() for line in lines if line.strip() and not line.startswith("%")]
    header = list(_COMSOL_COLUMN.finditer(comments[-1])) if comments else []
    widths = {len(row) for row in rows}
    if widths != {len(header)}:
        raise ConfigurationError(
            f"'{path}' is no text as COMSOL exports it: its last line of comment (%) names "
            f"{len(header)} columns, and its lines hold {sorted(widths)} numbers"
        )
    try:
        values = np.array(rows, dtype=np.float64)
    except ValueError as error:
        raise ConfigurationError(f"'{path}': {error}") from error
    # COMSOL writes coordinates in capitals, and each quantity once for every time
    found: dict[str, dict[float | None, np.ndarray]] = {}
    for column, each in enumerate(header):
        time = None if each["time"] is None else float(each["time"])
        found.setdefault(each["name"].lower(), {})[time] = values[:, column]
    times = sorted({t for by_time in found.values() for t in by_time if t is not None})
    wanted = {name: name.lower() for name in names}
    given = [*found, *(["t"] if times else [])]
    _require(path, list(wanted.values()), given)
    if not times:
        return {name: found[key][None] for name, key in wanted.items()}
    columns = {}
    for name, key in wanted.items():
        if key == "t" and key not in found:
            parts = [np.full(len(rows), time) for time in times]
        else:
            steady = found[key].get(None)
            parts = [steady if steady is not None else found[key][time] for time in times]
        columns[name] = np.concatenate(parts)
    return columns


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
