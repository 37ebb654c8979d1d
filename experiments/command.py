"""One run of the command ``pinnderiv`` in a process of its own, for experiments that solve."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]


class Failed(Exception):
    """The command ended with an error; the message has the command and what it said."""


def solve(arguments: Sequence[str], threads: int | None = None) -> tuple[dict[str, Any], float]:
    """Runs the command with overrides, without figures and progress.

    Args:
        arguments: such as ``problem=heat``.
        threads: CPU threads; the command's own choice unless given.

    Returns:
        What ``metrics.json`` holds, and the seconds from the start of the process to its end.

    Raises:
        Failed: the command did not end well.
    """
    with tempfile.TemporaryDirectory() as folder:
        quiet = ["monitor.tensorboard=false", "monitor.figures=false", "monitor.progress=none"]
        command = [sys.executable, "-m", "pinnderiv", *arguments, *quiet]
        command.append(f"hydra.run.dir='{folder}/run'")
        environment = dict(os.environ)
        if threads is not None:
            command.append(f"threads={threads}")
            environment["OMP_NUM_THREADS"] = str(threads)
        began = time.perf_counter()
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
        spent = time.perf_counter() - began
        if done.returncode:
            raise Failed(f"{' '.join(command)}\n{done.stdout}{done.stderr}")
        return json.loads((Path(folder) / "run" / "metrics.json").read_text()), spent
