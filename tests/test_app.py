"""The command, from outside: as a process where the process matters, else by calling main."""

import csv
import errno
import json
import logging
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf

from pinnderiv.app import main
from pinnderiv.errors import ConfigurationError
from pinnderiv.training import seeding

ROOT = Path(__file__).resolve().parents[1]
TINY = ["network.width=8", "network.depth=2", "sampler.points.interior=64"]
QUIET = ["monitor=plain", "monitor.figures=false"]
FIXED = ["training.max_seconds=null", "optimiser.adam.time_share=null"]

# One worker makes the shared runs once.
pytestmark = pytest.mark.xdist_group("app")


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "pinnderiv", *arguments]


def environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name != "HYDRA_FULL_ERROR"}
    return {**kept, "PYTHONPATH": str(ROOT), "COLUMNS": "200"}


def run(cwd: Path, *arguments: str, code: int = 0) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        command(*arguments), cwd=cwd, env=environment(), capture_output=True, text=True, timeout=120
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done


@dataclass(frozen=True)
class Called:
    """What a call of main printed."""

    stdout: str
    stderr: str


@pytest.fixture
def call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Callable[..., Called]]:
    """Calls main as the command would, from an empty folder; a process each would take minutes."""
    root, state = logging.getLogger(), seeding.random_state()
    handlers, level = list(root.handlers), root.level
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HYDRA_FULL_ERROR", "0")  # main sets it, and this puts it back

    def act(*arguments: str, code: int = 0) -> Called:
        monkeypatch.setattr(sys, "argv", ["pinnderiv", *arguments])
        found = 0
        try:
            main()
        except SystemExit as end:
            found = end.code
        called = Called(*capsys.readouterr())
        assert found == code, called
        return called

    yield act
    root.handlers[:] = handlers
    root.setLevel(level)
    seeding.restore_random_state(state)


def metrics(directory: Path) -> dict[str, Any]:
    return json.loads((directory / "metrics.json").read_text())


def checkpoint(directory: Path) -> dict[str, Any]:
    newest = sorted((directory / "checkpoints").iterdir())[-1]
    return torch.load(newest, weights_only=True)


@pytest.fixture(scope="session")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("app")


@pytest.fixture(scope="session")
def trained(workplace: Path) -> tuple[Path, str]:
    """A finished run of two steps, and what it printed."""
    done = run(
        workplace, "problem=heat", *TINY, *FIXED, "training.max_steps=2", "optimiser.adam.steps=3"
    )
    (directory,) = (workplace / "outputs").glob("*/*")
    return directory, done.stdout


def test_a_run_leaves_what_the_readme_promises(trained: tuple[Path, str]) -> None:
    directory, _ = trained
    found = metrics(directory)
    assert found["problem"] == "heat" and found["steps"] == 2
    assert 0 < found["relative_l2"] < 10
    assert found["device"] == "cpu" and found["dtype"] == "float64" and found["seed"] == 0
    assert found["parameters"] == (2 * 8 + 8) + (8 * 8 + 8) + (8 + 1)
    assert found["setup_seconds"] > 0
    assert found["wall_seconds"] >= found["training_seconds"] > 0
    assert set(found["loss_terms"]) == {"equation"}
    for name in ("solution.png", "error.png", "history.png"):
        assert (directory / name).read_bytes().startswith(b"\x89PNG")
    assert len((directory / "history.csv").read_text().splitlines()) == 3
    assert list((directory / "tensorboard").glob("events*"))
    assert "Heat equation" in (directory / "pinnderiv.log").read_text()
    assert (directory / ".hydra" / "overrides.yaml").exists()


def test_a_run_says_how_it_ended_and_what_to_type_next(trained: tuple[Path, str]) -> None:
    directory, printed = trained
    result = f"{metrics(directory)['relative_l2']:.3e}"
    assert result in printed
    where = directory.relative_to(directory.parents[2])
    assert f"pinnderiv mode=evaluate run={where}" in printed
    assert f"pinnderiv resume={where} training.max_steps=4" in printed
    assert f"tensorboard --logdir {where}" in printed
    assert "loss" in printed and "steps/s" in printed


def test_two_and_two_steps_are_four(workplace: Path, trained: tuple[Path, str]) -> None:
    """Across the change from Adam to L-BFGS, in new processes."""
    directory, _ = trained
    whole = workplace / "whole"
    common = [
        "problem=heat",
        *TINY,
        *FIXED,
        *QUIET,
        "training.max_steps=4",
        "optimiser.adam.steps=3",
    ]
    run(workplace, *common, f"hydra.run.dir={whole}")
    half = workplace / "half"
    shutil.copytree(directory, half)
    saved_config = (half / ".hydra" / "config.yaml").read_text()
    run(workplace, "resume=half", "training.max_steps=4")
    ours, theirs = checkpoint(half), checkpoint(whole)
    assert ours["progress"]["step"] == 4 and ours["progress"]["phase"] == 1
    assert ours["network"].keys() == theirs["network"].keys()
    for name, value in theirs["network"].items():
        assert torch.equal(ours["network"][name], value), name
    assert metrics(half)["relative_l2"] == metrics(whole)["relative_l2"]
    # Hydra would have written the configuration of this call over that of the run
    assert (half / ".hydra" / "config.yaml").read_text() == saved_config
    assert OmegaConf.create(ours["config"]).training.max_steps == 4
    steps = [row["step"] for row in csv.DictReader((half / "history.csv").open())]
    assert steps == ["1", "2", "4"]


def test_evaluate_gives_derivatives_at_points_from_a_file(
    workplace: Path, trained: tuple[Path, str]
) -> None:
    directory, _ = trained
    x, t = np.random.default_rng(0).uniform(0.1, 0.9, (2, 7))
    np.savez(workplace / "points.npz", x=x, t=t)
    done = run(
        workplace,
        "mode=evaluate",
        f"run={directory}",
        "evaluate.points=points.npz",
        "evaluate.quantities=[u,u_x,u_xx,u_t]",
        "evaluate.output=values.csv",
    )
    assert "values.csv" in done.stdout
    with (workplace / "values.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["x", "t", "u", "u_x", "u_xx", "u_t"]
    table = {name: np.array([float(row[name]) for row in rows]) for name in rows[0]}
    assert np.array_equal(table["x"], x) and np.array_equal(table["t"], t)
    assert np.isfinite(np.concatenate(list(table.values()))).all()
    # the hard constraint: sin πx at the start, zero on the walls; so u is near 1 in the middle
    assert (np.abs(table["u"]) < 3).all() and np.abs(table["u_xx"]).max() > 1


def test_evaluate_gives_a_grid_and_leaves_the_run_alone(
    call: Callable[..., Called], trained: tuple[Path, str]
) -> None:
    directory, _ = trained
    before = (directory / ".hydra" / "config.yaml").read_text()
    call("mode=evaluate", f"run={directory}", "evaluate.grid=[5,3]")
    with np.load(directory / "evaluation.npz") as table:
        assert table["u"].shape == (5, 3)
        np.testing.assert_allclose(table["u"][:, 0], np.sin(np.pi * table["x"][:, 0]), atol=1e-12)
        np.testing.assert_allclose(table["u"][[0, -1]], 0.0, atol=1e-12)
    assert (directory / ".hydra" / "config.yaml").read_text() == before


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_saves_and_says_how_to_go_on(workplace: Path, number: signal.Signals) -> None:
    where = workplace / f"stopped by {number.name}"
    process = subprocess.Popen(
        command(*TINY, *QUIET, "training.max_seconds=100", f"hydra.run.dir='{where}'"),
        cwd=workplace,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    history, deadline = where / "history.csv", time.monotonic() + 60
    while not history.exists() or len(history.read_text().splitlines()) < 3:
        assert time.monotonic() < deadline and process.poll() is None, process.communicate()
        time.sleep(0.05)
    process.send_signal(number)
    printed, complaints = process.communicate(timeout=30)
    assert process.returncode == 128 + number, complaints
    assert "Traceback" not in complaints
    found = metrics(where)
    assert found["stop_reason"] == number.name
    assert checkpoint(where)["progress"]["step"] == found["steps"] > 0
    assert "pinnderiv resume=" in printed and number.name in printed


def test_a_multirun_keeps_its_jobs_apart(workplace: Path) -> None:
    cwd = workplace / "many"
    cwd.mkdir()
    arguments = ["problem=heat,poisson", "seed=0,1", "training.max_steps=1"]
    run(cwd, "-m", *arguments, *TINY, *FIXED, *QUIET)
    found = [json.loads(path.read_text()) for path in cwd.glob("multirun/*/*/*/metrics.json")]
    jobs = sorted((each["problem"], each["seed"]) for each in found)
    assert jobs == [("heat", 0), ("heat", 1), ("poisson", 0), ("poisson", 1)]
    assert len({each["relative_l2"] for each in found}) == 4
    assert not list(cwd.glob("multirun/*/*/*/tensorboard"))


def test_runs_of_the_same_second_are_kept_apart(tmp_path: Path) -> None:
    arguments = command("--cfg", "all", "--resolve")
    pipes = {"stdout": subprocess.PIPE, "text": True}
    pair = [subprocess.Popen(arguments, env=environment(), **pipes) for _ in range(2)]
    shown = [OmegaConf.create(process.communicate(timeout=60)[0]) for process in pair]
    for place in ("run", "sweep"):
        first, second = (each.hydra[place].dir for each in shown)
        # alike but for the clock and the six hexadecimal digits at the end
        assert first[:-15] == second[:-15] and first[-6:] != second[-6:], (first, second)


def test_a_slip_of_the_finger_ends_the_process_with_one_line(tmp_path: Path) -> None:
    done = run(tmp_path, "training.max_stepz=1", code=2)
    assert "Did you mean training.max_steps?" in done.stderr
    assert "Traceback" not in done.stderr and len(done.stderr.strip().splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["max_steps=1"], "Did you mean training.max_steps?"),
        (["training.max_steps=many"], "training.max_steps: Value 'many' of type 'str'"),
        (["problem=het"], "Did you mean problem=heat?"),
        (["problem=5"], "there is no problem=5. problem can be: advection_diffusion, "),
        (["-m", "problem=heat,5"], "there is no problem=5. problem can be: advection_diffusion, "),
        (["network=5"], "there is no network=5. network can be: fourier, "),
        (["optimiser.adam.schedule=cosine"], "mean optimiser.adam.schedule.kind=cosine?"),
        (["optimiser.adam.schedule=5"], "schedule has keys of its own and cannot be 5; it has: k"),
        (["evaluate.quantities=u"], "must be a list, got u: write evaluate.quantities=[u]"),
        (["problem.frequencies=1"], "must be a list, got 1: write problem.frequencies=[1]"),
        (["hydra.run.dir=/proc/foo"], "hydra.run.dir=<directory>: give a place that can be writ"),
        (["hydra.run.dir=/etc/passwd"], "'/etc/passwd': File exists"),
        (["mode=evaluate", "run=nowhere"], "'nowhere' is no run directory"),
        (["resume=nowhere"], "'nowhere' is no run directory"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_slip_of_the_finger_gets_one_line(
    tmp_path: Path, call: Callable[..., Called], arguments: list[str], message: str
) -> None:
    done = call(*arguments, code=2)
    assert message in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert not list(tmp_path.glob("outputs/*/*")), "a run directory was made for nothing"
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["+a.b=1"], "there is no key a"),
        (["+optimiser.foo.lr=1"], "there is no phase foo: the optimiser has adam, lbfgs"),
        (["optimiser.adam=5"], "optimiser.adam is a phase with keys of its own"),
        (["sampler.method=foo"], "sampler.method cannot be 'foo'"),
        (["resume={run}", "optimiser=lbfgs"], "with the optimiser that the run began with"),
        (["resume={run}", "+optimiser.foo.lr=1"], "there is no phase foo"),
        (["resume={run}", "optimiser.lm.lr=1"], "no key optimiser.lm. optimiser has: adam, lbfgs"),
        (["mode=evaluate", "run={run}", "resume={run}"], "has no meaning with mode=evaluate"),
        (["mode=evaluate", "run={run}", "evaluate.output=/proc/x.csv"], "cannot be written"),
        (["training.max_seconds=-1"], "training.max_seconds must be at least 0"),
        (["network.activation=tanhh"], "Did you mean 'tanh'?"),
        (["threads=0"], "threads must be at least 1"),
        (["run=some"], "'some' is no run directory"),
        (["run={run}"], "to train on use resume=<directory>"),
        (["mode=evaluate"], "add run=<directory>"),
        (["resume={run}", "network.width=9"], "network.width cannot be changed"),
        (["resume={run}", "network=siren"], "network cannot be changed"),
        (["mode=evaluate", "run={run}", "training.max_steps=9"], "What can be changed: evaluate"),
        (["mode=evaluate", "run={run}", "evaluate.quantities=[u_q]"], "'u_q'"),
        (["mode=evaluate", "run={run}", "evaluate.points=no.csv"], "no file 'no.csv'"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_run_that_cannot_work_is_refused_in_a_line(
    call: Callable[..., Called], trained: tuple[Path, str], arguments: list[str], message: str
) -> None:
    before = metrics(trained[0])
    done = call(*(each.format(run=trained[0]) for each in arguments), code=2)
    assert message in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert metrics(trained[0]) == before


def test_help_lists_the_options(call: Callable[..., Called]) -> None:
    shown = call("--help").stdout
    for word in ("poisson_nd", "adam_lbfgs", "siren", "resume=", "mode=evaluate"):
        assert word in shown


def test_a_damaged_checkpoint_names_the_one_before_it(
    call: Callable[..., Called], trained: tuple[Path, str], tmp_path: Path
) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(trained[0], copy)
    (copy / "checkpoints" / "step-00000002.pt").write_bytes(b"")
    done = call(f"resume={copy}", "training.max_steps=3", code=2)
    assert "damaged" in done.stderr and "step-00000000.pt" in done.stderr


def test_a_used_directory_takes_no_other_run(
    call: Callable[..., Called], trained: tuple[Path, str], tmp_path: Path
) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(trained[0], copy)
    kept = [path for path in copy.rglob("*") if path.is_file() and path.suffix != ".log"]
    before = {path: path.read_bytes() for path in kept}
    done = call("network.width=9", *QUIET, "training.max_steps=1", f"hydra.run.dir={copy}", code=2)
    assert "holds a run already" in done.stderr and f"pinnderiv resume={copy}" in done.stderr
    assert {path: path.read_bytes() for path in kept} == before


def test_the_optimiser_of_the_run_is_what_can_be_changed(
    call: Callable[..., Called], tmp_path: Path
) -> None:
    where = tmp_path / "own"
    start = ["optimiser=levenberg_marquardt", *TINY, *QUIET, "training.max_steps=1"]
    call(*start, f"hydra.run.dir={where}")
    changes = ["optimiser.levenberg_marquardt.damping=1e-2", "training.max_steps=2"]
    call(f"resume={where}", *changes)
    saved = checkpoint(where)
    assert saved["progress"]["step"] == 2
    assert saved["config"]["optimiser"]["levenberg_marquardt"]["damping"] == 1e-2
    done = call(f"resume={where}", "optimiser.levenberg_marquardt.damping=much", code=2)
    assert "'much'" in done.stderr and "Float" in done.stderr


def test_a_job_that_fails_leaves_the_others_to_run(
    call: Callable[..., Called], tmp_path: Path
) -> None:
    rates = "optimiser.adam.lr=1e25,1e-3"
    common = ["optimiser=adam", "dtype=float32", "training.max_steps=2", *TINY, *QUIET]
    done = call("-m", *common, rates, f"hydra.sweep.dir={tmp_path}/many", code=1)
    assert metrics(tmp_path / "many" / "1")["steps"] == 2
    assert "1 job(s) of the multirun failed: job 0: " in done.stderr


def test_a_full_disk_is_said(call: Callable[..., Called], monkeypatch: pytest.MonkeyPatch) -> None:
    from pinnderiv.training import checkpoint as checkpoints

    def full(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(checkpoints, "write_atomically", full)
    done = call(*TINY, *QUIET, "training.max_steps=0", code=2)
    assert "No space left on device" in done.stderr and "Traceback" not in done.stderr


def test_a_multirun_resumes_several_runs(
    call: Callable[..., Called], trained: tuple[Path, str], tmp_path: Path
) -> None:
    for name in ("one", "two"):
        shutil.copytree(trained[0], tmp_path / name)
    call("-m", "resume=one,two", "training.max_steps=3", "optimiser.adam.lr=1e-4", *QUIET)
    assert [metrics(tmp_path / name)["steps"] for name in ("one", "two")] == [3, 3]


def test_a_second_interrupt_names_the_run(
    call: Callable[..., Called], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from pinnderiv.training import session

    def interrupted(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(session, "metrics_of", interrupted)
    done = call(*TINY, *QUIET, "training.max_steps=1", "hydra.run.dir=a b", code=130)
    assert "the run is in 'a b'" in done.stderr
    assert """pinnderiv resume="'a b'\"""" in done.stderr


def test_what_a_network_warns_of_is_a_line_of_ours(
    call: Callable[..., Called], recwarn: pytest.WarningsRecorder
) -> None:
    done = call(*TINY, *QUIET, "training.max_steps=0", "network.activation=relu")
    assert "pinnderiv: the second derivative of relu is zero" in done.stderr
    assert not [each for each in recwarn if "relu" in str(each.message)]


def test_a_traceback_can_be_asked_for(
    call: Callable[..., Called], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pinnderiv.app._WANTS_TRACEBACK", True)
    with pytest.raises(ConfigurationError):
        call("+a.b=1")
