"""The README keeps its word: its Python runs, its commands compose, its links lead somewhere."""

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig

import pinnderiv
from pinnderiv import app

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text()

DOCS = [path.read_text(encoding="utf-8") for path in sorted((ROOT / "docs").glob("*.md"))]
PYTHON = re.findall(r"^```python\n(.*?)^```", "\n".join([README, *DOCS]), re.MULTILINE | re.DOTALL)
SHELL = re.findall(r"^```(?:bash|shell|sh|console)\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
LINKS = re.findall(r"\]\((?!https?:|#)([^)\s]+)\)", README)


# Problem files by the name in their first line.
FILES = {
    block.split()[1].rstrip(":"): block
    for block in re.findall(r"^```yaml\n(# .*?)^```", README, re.MULTILINE | re.DOTALL)
}


def commands() -> list[str]:
    """Shell lines that start with pinnderiv, continued lines joined, comments dropped."""
    lines = "\n".join(SHELL).replace("\\\n", " ").splitlines()
    found = (" ".join(shlex.split(line, comments=True)) for line in lines if line.strip())
    return [line for line in found if line.split()[0] == "pinnderiv"]


def test_there_is_something_to_check() -> None:
    assert PYTHON and commands() and LINKS


@pytest.mark.parametrize("block", PYTHON, ids=range(len(PYTHON)))
def test_python_block_runs(block: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", block],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, f"{block}\n{done.stderr}"


@pytest.mark.parametrize("link", sorted(set(LINKS)))
def test_link_leads_somewhere(link: str) -> None:
    assert (ROOT / link.split("#")[0]).exists()


@pytest.fixture(scope="module")
def composer() -> Iterator[Callable[[list[str]], DictConfig]]:
    """The command's own schemas, resolvers and check, without its run."""
    app.register()
    with initialize_config_dir(str(app.config_directory()), version_base="1.3"):

        def composed(overrides: list[str]) -> DictConfig:
            config = compose(app.ROOT, overrides)
            app.check_keys(config)
            return config

        yield composed


@pytest.mark.parametrize("command", commands())
def test_command_composes(command: str, composer: Callable[[list[str]], DictConfig]) -> None:
    words = command.split()[1:]
    flags, overrides = [w for w in words if w[0] == "-"], [w for w in words if w[0] != "-"]
    assert set(flags) <= {"-m", "--help"}
    if "-m" in flags:
        # One job of the sweep stands for all.
        overrides = [override.split(",")[0] for override in overrides]
    # The README cannot know the folder of a run.
    overrides = [o for o in overrides if not o.startswith(("resume=", "run="))]
    # Files are those that it shows; they are run below.
    shown = [o for o in overrides if o.endswith(".yaml")]
    assert {o.removeprefix("problem=") for o in shown} <= set(FILES)
    assert composer([o for o in overrides if o not in shown]).problem.case


@pytest.mark.parametrize("name", FILES)
def test_a_problem_file_trains(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(FILES[name])
    (command,) = [c.split()[1:] for c in commands() if f"problem={name}" in c.split()]
    short = ["training.max_steps=3", "training.max_seconds=null", "monitor.figures=false"]
    small = ["sampler.points.interior=64", "network.width=8", "monitor=plain"]
    done = subprocess.run(
        [sys.executable, "-m", "pinnderiv", *command, *short, *small, "hydra.run.dir=run"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert metrics["steps"] == 3


def test_a_command_that_is_wrong_does_not_compose(
    composer: Callable[[list[str]], DictConfig],
) -> None:
    with pytest.raises(Exception, match="no_such_option"):
        composer(["problem=no_such_option"])
    with pytest.raises(Exception, match="no_such_key"):
        composer(["training.no_such_key=1"])


@pytest.mark.parametrize("group", ["problem", "network", "sampler", "optimiser", "training"])
def test_every_option_of_a_group_is_listed(group: str) -> None:
    (row,) = re.findall(rf"^\| `{group}` \| (.*) \|$", README, re.MULTILINE)
    options = {path.stem for path in (ROOT / "conf" / group).glob("*.yaml")}
    assert set(re.findall(r"`(\w+)`", row)) == options


@pytest.mark.parametrize("target", re.findall(r"^make (\w+)", "\n".join(SHELL), re.MULTILINE))
def test_make_target_exists(target: str) -> None:
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.MULTILINE)


def test_every_operator_has_a_row() -> None:
    rows = set(re.findall(r"^\| `(\w+)(?:\.\w+)?\(f", README, re.MULTILINE))
    assert rows == set(pinnderiv.__all__) - {"errors", "taylor", "__version__"}
