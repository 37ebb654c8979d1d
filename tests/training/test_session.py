"""What the command does with a run directory, without Hydra."""

import io
from collections.abc import Callable
from typing import Any

import pytest
from rich.console import Console

from pinnderiv.errors import CheckpointError, ConfigurationError
from pinnderiv.training.console import print_summary
from pinnderiv.training.optimisers import LBFGS, Adam, Optimiser


def files(directory: Any) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in directory.rglob("*") if path.is_file()}


def test_a_directory_that_holds_a_run_takes_no_other(small: Callable[..., Any]) -> None:
    run = small(max_steps=3)
    run.session()
    before = files(run.directory)
    run.max_steps, run.width = 1, 9
    with pytest.raises(ConfigurationError, match=r"holds a run already .*step-0+3\.pt.*resume="):
        run.session()
    assert files(run.directory) == before


def one_phase(steps: int | None) -> Callable[[], dict[str, Optimiser]]:
    return lambda: {"adam": Adam(lr=1e-2, steps=steps)}


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        ({"max_steps": 3}, "the budget of 3 steps is used, raise training.max_steps"),
        ({"max_steps": None, "max_seconds": 0.0}, "raise training.max_seconds"),
        ({"max_steps": 9, "optimisers": one_phase(3)}, "raise optimiser.adam.steps"),
    ],
)
def test_a_used_up_run_says_so_and_stays_as_it_is(
    small: Callable[..., Any], choices: dict[str, Any], message: str
) -> None:
    run = small(**choices)
    run.session()
    before = files(run.directory)
    metrics, code, printed = run.session(resume=True)
    assert metrics is None and code == 0
    assert printed.startswith("nothing to do: ") and message in printed
    assert files(run.directory) == before


def test_a_run_killed_before_its_results_writes_them_now(small: Callable[..., Any]) -> None:
    run = small(max_steps=2)
    first, _, _ = run.session()
    (run.directory / "metrics.json").unlink()
    again, _, _ = run.session(resume=True)
    assert again["relative_l2"] == first["relative_l2"]


@pytest.mark.parametrize(("steps", "max_steps"), [(3, 9), (3, 3), (None, 3)])
def test_the_advice_to_go_on_takes_steps(
    small: Callable[..., Any], steps: int | None, max_steps: int
) -> None:
    run = small(max_steps=max_steps, optimisers=one_phase(steps))
    metrics, _, _ = run.session()
    out = io.StringIO()
    print_summary(metrics, run.directory, Console(file=out, width=60))
    (line,) = [line for line in out.getvalue().splitlines() if line.startswith("go on")]
    given = dict(each.split("=") for each in line.split()[4:])
    run.max_steps = int(given.pop("training.max_steps", max_steps))
    run.optimisers = one_phase(int(given.pop("optimiser.adam.steps", 0)) or None)
    assert not given
    again, _, _ = run.session(resume=True)
    assert again["steps"] == 6


def test_other_phases_are_refused_before_anything_else(small: Callable[..., Any]) -> None:
    run = small(max_steps=2)
    run.session()
    run.optimisers = lambda: {"lbfgs": LBFGS(), "adam": Adam()}  # lbfgs would never end
    with pytest.raises(CheckpointError, match="with the optimiser that the run began with"):
        run.session(resume=True)


def test_more_threads_than_help_are_refused(small: Callable[..., Any]) -> None:
    run = small()
    run.change = lambda config: setattr(config, "threads", 100_000)
    with pytest.raises(ConfigurationError, match=r"threads must be at most \d+, .* got 100000"):
        run.session()
    assert not run.directory.exists()
