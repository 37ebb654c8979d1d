"""torch.compile(fullgraph=True) over loss and gradient, against eager, in processes of their own.

A compiler that has failed once may fail again in the same process, and a compiled step is
worth comparing in full: numbers, and gradients with respect to every parameter.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = Path(__file__).with_name("compiled_step.py")
OPERATORS = PROGRAM.with_name("compiled_operators.py")
ROOT = PROGRAM.parents[3]


@pytest.mark.parametrize(
    ("backend", "networks"),
    [
        ("inductor", ["mlp"]),
        # The same tracing and the same gradient graph, without compiling C++.
        ("aot_eager", ["siren", "layer_norm", "fourier", "modified", "attention"]),
        ("aot_eager", ["operators", "wide_input"]),
    ],
)
def test_a_compiled_step_equals_the_eager_one(
    backend: str, networks: list[str], tmp_path: Path
) -> None:
    _compare(PROGRAM, backend, networks, tmp_path)


@pytest.mark.parametrize(
    "names",
    [
        ["partial", "third", "derivatives", "biharmonic", "hessian", "laplacian", "jacobian"],
        [
            "laplacian of laplacian",
            "jacobian of laplacian",
            "divergence of gradient",
            "partial of partial",
            "linear of laplacian",
        ],
        ["laplacian under grad", "of tensors", "of partial", "of operator", "refused"],
    ],
    ids=["operators", "operators of operators", "functions made inside"],
)
def test_compiled_operators_equal_the_eager_ones(names: list[str], tmp_path: Path) -> None:
    _compare(OPERATORS, "aot_eager", names, tmp_path)


def _compare(program: Path, backend: str, names: list[str], tmp_path: Path) -> None:
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "OMP_NUM_THREADS": "1",
        "TORCHINDUCTOR_CACHE_DIR": str(tmp_path),
    }
    done = subprocess.run(
        [sys.executable, str(program), backend, *names],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.count(" equal, first call") == len(names)
