"""Checkpoints: written so that a crash leaves the old one whole, read without running code.

A checkpoint is one file, ``step-00000120.pt``, in the run's ``checkpoints`` folder. The newest
few are kept, so that a damaged last one is no loss of the run.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from pinnderiv.errors import CheckpointError, ConfigurationError

FORMAT = 1
_NAME = re.compile(r"step-(\d{8,})\.pt")
_PARTS = ("progress", "network", "phases", "optimiser", "points", "random", "config")


def write_atomically(path: Path, write: Any) -> None:
    """Calls ``write(file)`` on a temporary file beside ``path``, then renames it over ``path``.

    Whoever reads ``path`` sees the old content or the new one, never half of either, even if
    the process or the machine dies meanwhile.
    """
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def step_of(path: Path) -> int:
    """The number of steps that a checkpoint's name tells."""
    return int(path.stem.partition("-")[2])


class CheckpointFolder:
    """The checkpoints of one run.

    Args:
        path: the folder; made when the first checkpoint is written.
        keep: how many of the newest to keep; with one, nothing is left if it is damaged.

    Raises:
        ConfigurationError: ``keep`` is less than 1.
    """

    def __init__(self, path: Path, keep: int = 2) -> None:
        self.path = Path(path)
        if keep < 1:
            raise ConfigurationError(f"training.keep_checkpoints must be at least 1, got {keep}")
        self.keep = keep

    def all(self) -> list[Path]:
        """Every checkpoint, oldest first."""
        if not self.path.is_dir():
            return []
        found = [path for path in self.path.iterdir() if _NAME.fullmatch(path.name)]
        return sorted(found, key=step_of)

    def save(self, step: int, state: Mapping[str, Any]) -> Path:
        """Writes the state after ``step`` steps and drops the oldest beyond ``keep``."""
        self.path.mkdir(parents=True, exist_ok=True)
        path = self.path / f"step-{step:08d}.pt"
        write_atomically(path, lambda file: torch.save({"format": FORMAT, **state}, file))
        for old in self.all()[: -self.keep]:
            old.unlink(missing_ok=True)
        return path

    def discard(self, step: int) -> None:
        """Removes the checkpoint of ``step``, if there is one and another is left."""
        path = self.path / f"step-{step:08d}.pt"
        if len(self.all()) > 1:
            path.unlink(missing_ok=True)

    def newest(self) -> Path:
        """The path of the newest checkpoint.

        Raises:
            CheckpointError: there is none.
        """
        found = self.all()
        if not found:
            raise CheckpointError(
                f"no checkpoint in '{self.path}': give the run directory that a training run "
                "printed (it holds 'checkpoints/step-....pt'), or train again"
            )
        return found[-1]

    def load(self, device: str | torch.device = "cpu") -> dict[str, Any]:
        """Reads the newest checkpoint.

        Raises:
            CheckpointError: there is none, it is damaged, or another format wrote it; the
                message says what to do.
        """
        path = self.newest()
        older = self.all()[:-1]
        cure = (
            f"delete it to go on from '{older[-1].name}'"
            if older
            else "there is no older one: train again"
        )
        try:
            state = torch.load(path, map_location=device, weights_only=True)
        except Exception as error:  # torch, pickle and zipfile each raise classes of their own
            raise CheckpointError(
                f"the checkpoint '{path}' cannot be read, it is damaged or none of pinnderiv: "
                f"{cure} ({_first_line(error)})"
            ) from error
        if not isinstance(state, dict) or "format" not in state:
            raise CheckpointError(f"'{path}' is no checkpoint of pinnderiv; {cure}")
        if state["format"] != FORMAT:
            raise CheckpointError(
                f"'{path}' has checkpoint format {state['format']}, this version of pinnderiv "
                f"reads format {FORMAT}: use the version that wrote it, or train again"
            )
        missing = [part for part in _PARTS if part not in state]
        if missing:
            raise CheckpointError(f"'{path}' lacks {', '.join(missing)}; {cure}")
        return state


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    # the first sentence of what torch says; the rest is advice to trust the file
    first = lines[0].partition(". ")[0] if lines else type(error).__name__
    return first if len(first) <= 100 else f"{first[:97]}..."
