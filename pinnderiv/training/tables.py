"""Writing tables of numbers: ``.csv`` with a header line, or ``.npz`` with one array a column."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from pinnderiv.tables import check_suffix
from pinnderiv.training.checkpoint import write_atomically


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
