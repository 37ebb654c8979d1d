"""Virtual environments for the programs that pinnderiv is compared with, made at the first use."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

# What is too new or too old for the packages of an environment is left out, with a message.
LEAST_PYTHON = {"jet": (3, 12)}


class Unavailable(Exception):
    """A peer's environment cannot be made on this machine."""


def peers_python(folder: Path, kind: str) -> Path:
    """The interpreter of ``folder/.venv-KIND``, made from ``folder/requirements-KIND.txt``.

    Raises:
        Unavailable: no Python that is new enough, or a package cannot be had.
    """
    place = folder / f".venv-{kind}"
    python = place / "bin" / "python"
    stamp = place / ".installed"
    requirements = folder / f"requirements-{kind}.txt"
    wanted = requirements.read_text()
    if stamp.exists() and stamp.read_text() == wanted:
        return python
    print(f"making {place.name} for the peers", file=sys.stderr)
    try:
        base = _python_from(*LEAST_PYTHON.get(kind, (3, 11)))
        subprocess.run([base, "-m", "venv", "--clear", str(place)], check=True)
        install = [str(python), "-m", "pip", "install", "-q"]
        # The pinned torch first and alone, so that no other package pulls in another build.
        first = [line for line in wanted.splitlines() if line.startswith("torch==")]
        if first:
            subprocess.run([*install, *first], check=True)
        subprocess.run(
            [*install, "-r", requirements.name, "-c", requirements.name], check=True, cwd=folder
        )
    except (OSError, subprocess.CalledProcessError) as error:
        raise Unavailable(f"{place.name} cannot be made: {error}") from None
    stamp.write_text(wanted)
    return python


def _python_from(major: int, minor: int) -> str:
    """A Python of at least that version, this one if it will do."""
    if sys.version_info >= (major, minor):
        return sys.executable
    for newer in range(minor, minor + 4):
        found = shutil.which(f"python{major}.{newer}")
        if found and subprocess.run([found, "-c", ""], capture_output=True).returncode == 0:
            return found
    raise Unavailable(f"no Python {major}.{minor} or newer on PATH")
