"""The wheel as a stranger gets it: built, unpacked elsewhere, run from an unrelated folder."""

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import pinnderiv

ROOT = Path(__file__).resolve().parents[1]

# One worker builds once; spread over workers, each would build its own.
pytestmark = pytest.mark.xdist_group("wheel")


def run(*command: str | Path, cwd: Path, **environment: str) -> str:
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """sdist first, then the wheel from the sdist: what is missing from either shows."""
    out = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", out, ROOT, cwd=out)
    (built,) = out.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("installed")
    pip = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-index"]
    run(*pip, "--target", target, wheel, cwd=target)
    return target


def test_the_wheel_holds_every_module_and_every_option(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    modules = {path.relative_to(ROOT).as_posix() for path in (ROOT / "pinnderiv").rglob("*.py")} | {
        "pinnderiv/py.typed"
    }
    options = {
        "pinnderiv/" + path.relative_to(ROOT).as_posix() for path in (ROOT / "conf").rglob("*.yaml")
    }
    assert options, "conf/ holds no options"
    assert modules | options <= names, sorted((modules | options) - names)
    strays = {name for name in names if name.split("/")[0] not in {"pinnderiv"}}
    assert all(".dist-info" in name.split("/")[0] for name in strays), strays


def test_the_wheel_has_the_version_of_the_package(wheel: Path) -> None:
    assert wheel.name.split("-")[:2] == ["pinnderiv", pinnderiv.__version__]


def test_the_installed_command_solves_from_an_unrelated_folder(
    installed: Path, tmp_path: Path
) -> None:
    where = run(
        sys.executable,
        "-c",
        "import pinnderiv; print(pinnderiv.__file__)",
        cwd=tmp_path,
        PYTHONPATH=str(installed),
    )
    assert Path(where.strip()).is_relative_to(installed), "the checkout was imported instead"

    arguments = ["problem=poisson", "training.max_steps=2", f"hydra.run.dir={tmp_path / 'run'}"]
    (script,) = (installed / "bin").glob("pinnderiv*")
    run(sys.executable, script, *arguments, cwd=tmp_path, PYTHONPATH=str(installed))
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert metrics["steps"] == 2
    assert metrics["relative_l2"] > 0


def test_the_module_runs_as_the_command_does(installed: Path, tmp_path: Path) -> None:
    shown = run(
        sys.executable,
        "-m",
        "pinnderiv",
        "problem=heat",
        "--cfg",
        "job",
        cwd=tmp_path,
        PYTHONPATH=str(installed),
    )
    assert "heat" in shown
