"""Values to measure a solution against where no exact one is known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from pinnderiv.tables import read_columns


@dataclass(frozen=True, eq=False)
class Reference:
    """The solution at some points, from another method.

    Attributes:
        points: (N, D) float64.
        values: (N, M) float64, one column an output.
        origin: where they come from.
    """

    points: Tensor
    values: Tensor
    origin: str = ""


def read_reference(path: Path, coordinates: Sequence[str], outputs: Sequence[str]) -> Reference:
    """Reads a reference solution.

    Args:
        path: ``.csv``, ``.npz``, or text as COMSOL exports it (``.txt``, ``.dat``), with a column
            for each coordinate and each output.
        coordinates: names of the columns of the points.
        outputs: names of the columns of the values.

    Raises:
        ConfigurationError: the file cannot be read or lacks a column; the message says which.
    """
    columns = read_columns(path, [*coordinates, *outputs], comsol=True)

    def stacked(names: Sequence[str]) -> Tensor:
        return torch.from_numpy(np.stack([columns[name].reshape(-1) for name in names], axis=-1))

    return Reference(stacked(coordinates), stacked(outputs), origin=str(path))
