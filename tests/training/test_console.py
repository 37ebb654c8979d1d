import io
from pathlib import Path

import pytest
from rich.console import Console

from pinnderiv.training.accuracy import Error
from pinnderiv.training.console import Bar, Lines, print_summary, progress_monitors
from pinnderiv.training.monitor import RunFacts, StepRecord

METRICS = {
    "relative_l2": 1.25e-4,
    "max_error": 2e-4,
    "loss": 3e-9,
    "steps": 120,
    "training_seconds": 31.4,
    "stop_reason": "max_steps",
    "coordinates": ["x", "t"],
}


def facts(first_step: int = 0, max_seconds: float | None = 60.0) -> RunFacts:
    return RunFacts(Path(), "Heat equation", {}, {"device": "cpu", "seed": 0}, 100, max_seconds,
                    first_step)  # fmt: skip


def record(step: int, phase: str = "adam", seconds: float = 0.1) -> StepRecord:
    return StepRecord(step, phase, 0.5, {"equation": 0.5}, 1.0, 1e-3, step * seconds, seconds,
                      1e4, step / 100)  # fmt: skip


def test_lines_come_every_few_seconds_and_at_each_new_phase(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = 0.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    written: list[str] = []
    lines = Lines(written.append, every=5.0)
    lines.start(facts())
    for step in range(1, 101):
        now = 0.1 * step
        lines.step(record(step, "adam" if step < 80 else "lbfgs"))
        if step == 50:
            lines.error(50, Error(1e-2, 0.1))
    assert written[0] == "Heat equation: device cpu, seed 0"
    assert [int(line.split()[1]) for line in written[1:]] == [1, 51, 80]
    assert "loss 5.000e-01" in written[2] and "error 1.00e-02" in written[2]
    assert "10.0 steps/s" in written[2]
    assert "error --" in written[1]


@pytest.mark.parametrize(
    ("max_seconds", "seconds", "left"),
    [(60.0, 0.1, "0:09 left"), (2.0, 0.1, "0:01 left"), (None, 10.0, "15:00 left")],
)
def test_time_left_is_that_of_the_limit_that_comes_first(
    max_seconds: float | None, seconds: float, left: str
) -> None:
    written: list[str] = []
    lines = Lines(written.append)
    lines.start(facts(max_seconds=max_seconds))
    lines.step(record(10, seconds=seconds))
    assert written[-1].endswith(left)


def test_a_resumed_run_says_where_it_goes_on() -> None:
    written: list[str] = []
    Lines(written.append).start(facts(first_step=7))
    assert "step 7" in written[-1]


def test_a_bar_on_a_terminal_lines_elsewhere() -> None:
    def kinds(style: str, terminal: bool) -> list[type]:
        console = Console(file=io.StringIO(), force_terminal=terminal)
        return [type(each) for each in progress_monitors(style, console)]

    # the first is the log file's
    assert kinds("auto", True) == [Lines, Bar]
    assert kinds("auto", False) == [Lines, Lines]
    assert kinds("none", True) == [Lines]
    assert kinds("lines", True) == [Lines, Lines]


def test_the_bar_shows_what_matters() -> None:
    out = io.StringIO()
    bar = Bar(Console(file=out, force_terminal=True, width=120))
    bar.start(facts())
    bar.error(40, Error(3e-3, 0.1))
    bar.step(record(41))
    bar.finish({}, {})
    bar.close()
    shown = out.getvalue()
    for part in ("Heat equation", "adam", "41%", "loss 5.00e-01", "error 3.00e-03", "steps/s"):
        assert part in shown, part


def summary(metrics: dict, directory: Path) -> str:
    out = io.StringIO()
    print_summary(metrics, directory, Console(file=out, width=60))
    return out.getvalue()


def test_the_commands_are_quoted_for_shell_and_hydra(tmp_path: Path) -> None:
    directory = tmp_path / "lr=1, wide"
    (directory / "tensorboard").mkdir(parents=True)
    text = summary(METRICS, directory)
    assert f"""mode=evaluate run="'{directory}'" """ in text
    assert f"""resume="'{directory}'" training.max_steps=240""" in text
    assert f"tensorboard --logdir '{directory}'" in text


@pytest.mark.parametrize(
    ("reason", "command"),
    [
        ("max_steps", "training.max_steps=240"),
        ("max_seconds", "training.max_seconds=63"),
        ("SIGINT", "resume="),
    ],
)
def test_the_summary_names_result_place_and_next_command(
    tmp_path: Path, reason: str, command: str
) -> None:
    (tmp_path / "error.png").touch()
    out = io.StringIO()
    told = {**METRICS, "stop_reason": reason, "note": "try another sampler"}
    print_summary(told, tmp_path, Console(file=out, width=60))
    text = out.getvalue()
    assert "try another sampler" in text
    assert "1.250e-04" in text and "error.png" in text
    assert f"pinnderiv mode=evaluate run={tmp_path} 'evaluate.quantities=[u,u_x,u_xx]'" in text
    go_on = next(line for line in text.splitlines() if line.startswith("go on"))
    assert f"pinnderiv resume={tmp_path}" in go_on and command in go_on
    assert "tensorboard" not in text
    assert "go on" not in summary({**told, "stop_reason": "converged"}, tmp_path)
    (tmp_path / "tensorboard").mkdir()
    print_summary(METRICS, tmp_path, Console(file=out, width=60))
    assert f"tensorboard --logdir {tmp_path}" in out.getvalue()
