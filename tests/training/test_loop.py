"""What the loop does besides stepping: budgets, reasons to stop, what monitors hear, what stays."""

import os
import signal
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch

from pinnderiv.errors import NonFiniteLossError
from pinnderiv.schema import RunConfig
from pinnderiv.schema.loss import BalanceKind
from pinnderiv.training.checkpoint import CheckpointFolder
from pinnderiv.training.monitor import Monitor, StepRecord
from pinnderiv.training.optimisers import LBFGS, Adam, StepReport


class Listener(Monitor):
    """Remembers what it is told, and can do something at a step."""

    def __init__(self, at: dict[int, Callable[[], None]] | None = None) -> None:
        self.heard: list[Any] = []
        self.at = at or {}

    def start(self, run: Any) -> None:
        self.heard.append("start")

    def step(self, record: StepRecord) -> None:
        self.heard.append(record)
        self.at.get(record.step, lambda: None)()

    def error(self, step: int, error: Any) -> None:
        self.heard.append(("error", step))

    def close(self) -> None:
        self.heard.append("close")

    @property
    def records(self) -> list[StepRecord]:
        return [each for each in self.heard if isinstance(each, StepRecord)]


def test_monitors_hear_everything_in_order(small: Callable[..., Any]) -> None:
    listener = Listener()
    weights = {"equation": 2.0, "walls": 3.0, "initial": 0.5}
    small(watchers=[listener], constraint="soft", weights=weights).train()
    told = [each.step if isinstance(each, StepRecord) else each for each in listener.heard]
    assert told == ["start", 1, 2, ("error", 2), 3, 4, ("error", 4), "close"]
    for record in listener.records:
        assert set(record.terms) == set(weights)
        assert record.loss == pytest.approx(sum(weights[k] * v for k, v in record.terms.items()))
        assert record.gradient_norm > 0 and record.learning_rate == 1e-2
        assert record.points_per_second == pytest.approx(3 * 32 / record.step_seconds)
    assert [record.fraction for record in listener.records] == [0.25, 0.5, 0.75, 1.0]


def test_phases_follow_each_other(small: Callable[..., Any], adam_then_lbfgs: Any) -> None:
    listener = Listener()
    small(max_steps=5, optimisers=adam_then_lbfgs, watchers=[listener]).train()
    assert [record.phase for record in listener.records] == ["adam"] * 3 + ["lbfgs"] * 2


class Told(Adam):
    """Remembers after how many steps it was told that the loss is another one."""

    def begin(self, objective: Any) -> None:
        self.told: list[int] = []
        super().begin(objective)
        self.told.clear()  # a beginning is told nothing, whatever it resets by the same means

    def points_changed(self) -> None:
        super().points_changed()
        self.told.append(self._steps_done)


@pytest.mark.parametrize(
    ("choices", "told"),
    [
        ({}, []),
        ({"resample_every": 3}, [3]),
        ({"balance": "gradient_norm", "every": 2}, [0, 2, 4]),
        ({"balance": "ntk", "every": 2}, [0, 2, 4]),
        # its first look at the loss leaves all factors at 1
        ({"balance": "relobralo", "every": 2}, [2, 4]),
        ({"causal": 0.1, "every": 2}, [0, 2, 4]),
        ({"causal": 0.1, "every": 2, "resample_every": 3}, [0, 2, 3, 4]),
    ],
)
def test_an_optimiser_is_told_when_the_loss_is_another(
    small: Callable[..., Any], choices: dict[str, Any], told: list[int]
) -> None:
    def change(config: RunConfig) -> None:
        config.loss.balance = BalanceKind(choices.get("balance", "none"))
        config.loss.causal = choices.get("causal")
        config.loss.balance_every = config.loss.causal_every = choices.get("every", 1)

    optimiser = Told(lr=1e-2)
    small(
        max_steps=5,
        constraint="soft",
        change=change,
        resample_every=choices.get("resample_every", 0),
        optimisers=lambda: {"adam": optimiser},
    ).train()
    assert optimiser.told == told


def adam_then_long_lbfgs() -> dict[str, Any]:
    return {"adam": Adam(lr=2e-2, steps=20), "lbfgs": LBFGS()}


def test_training_reduces_the_error(small: Callable[..., Any]) -> None:
    _, start = small("a", max_steps=0, width=16).train()
    run = small("b", max_steps=80, width=16, points=64, optimisers=adam_then_long_lbfgs)
    _, outcome = run.train()
    assert outcome.error.relative_l2 < 2e-2 < start.error.relative_l2
    assert outcome.stop_reason == "max_steps" and outcome.exit_code == 0


def test_seconds_end_a_run(small: Callable[..., Any]) -> None:
    run, outcome = small(max_steps=None, max_seconds=0.3).train()
    assert outcome.stop_reason == "max_seconds"
    assert run.progress.seconds - run.progress.step_seconds < 0.3 <= run.progress.seconds


def test_evaluation_and_monitors_are_not_on_the_clock(small: Callable[..., Any]) -> None:
    slow = Listener({step: lambda: time.sleep(0.2) for step in range(1, 5)})
    run, _ = small(watchers=[slow]).train()
    assert run.progress.wall_seconds - run.progress.seconds > 0.8


def test_a_run_ends_when_its_phases_do(small: Callable[..., Any]) -> None:
    run, outcome = small(max_steps=100, optimisers=lambda: {"adam": Adam(steps=3)}).train()
    assert (run.progress.step, outcome.stop_reason) == (3, "phases_over")
    _, again = small(max_steps=100, optimisers=lambda: {"adam": Adam(steps=3)}).resume()
    assert again.stop_reason == "phases_over"


def test_a_longer_last_phase_goes_on_as_if_it_had_been_that_long(small: Callable[..., Any]) -> None:
    parts = small("parts", max_steps=100, optimisers=lambda: {"adam": Adam(steps=3)})
    parts.train()
    parts.optimisers = lambda: {"adam": Adam(steps=5)}
    resumed, _ = parts.resume()
    whole, _ = small("whole", max_steps=100, optimisers=lambda: {"adam": Adam(steps=5)}).train()
    assert resumed.progress.step == 5
    ours, theirs = resumed.network.state_dict(), whole.network.state_dict()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


class Stuck(LBFGS):
    """An optimiser that has found its minimum."""

    def step(self, objective: Any) -> StepReport:
        return replace(super().step(objective), stalled=True)


def test_a_run_ends_when_nothing_is_left_to_improve(small: Callable[..., Any]) -> None:
    run, outcome = small(max_steps=100, optimisers=lambda: {"lbfgs": Stuck()}).train()
    assert (run.progress.step, outcome.stop_reason) == (1, "converged")


def test_a_stuck_phase_makes_room_for_the_next(small: Callable[..., Any]) -> None:
    phases = {"stuck": Stuck(steps=50), "adam": Adam()}
    run, outcome = small(max_steps=3, optimisers=lambda: phases).train()
    assert (run.progress.phase, run.progress.phase_step) == (1, 2)
    assert outcome.stop_reason == "max_steps"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_step_saves_and_leaves(
    small: Callable[..., Any], number: signal.Signals
) -> None:
    handler = signal.getsignal(number)
    listener = Listener({3: lambda: os.kill(os.getpid(), number)})
    run = small(max_steps=10, watchers=[listener])
    state, outcome = run.train()
    assert signal.getsignal(number) is handler
    assert outcome.stop_reason == number.name and outcome.exit_code == 128 + number
    assert state.progress.step == 3
    assert CheckpointFolder(run.directory / "checkpoints").load()["progress"]["step"] == 3
    run.watchers = []
    whole, _ = small("whole", max_steps=10).train()
    resumed, _ = run.resume()
    ours, theirs = resumed.network.state_dict(), whole.network.state_dict()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_a_loss_that_explodes_is_named_and_the_last_good_state_stays(
    small: Callable[..., Any],
) -> None:
    run = small(constraint="soft", max_steps=20, checkpoint_every=1)
    built, _ = run.build()
    last = built.network.network.output.bias  # the last layer of the MLP

    def break_it() -> None:
        with torch.no_grad():
            last.fill_(float("nan"))

    run.watchers = [Listener({5: break_it})]
    built, _ = run.build()
    last = built.network.network.output.bias
    with pytest.raises(NonFiniteLossError, match=r"step 6 \(adam\).*'walls' is nan") as caught:
        run._finish(built, None)
    assert "step-00000004.pt" in str(caught.value)
    state = CheckpointFolder(run.directory / "checkpoints").load()
    assert state["progress"]["step"] == 4
    assert all(torch.isfinite(value).all() for value in state["network"].values())
    run.watchers = []
    resumed, outcome = run.resume()
    assert resumed.progress.step == 20 and outcome.stop_reason == "max_steps"


@pytest.mark.parametrize("end", ["max_steps", "signal", "phases"])
def test_a_last_step_that_explodes_is_no_success(small: Callable[..., Any], end: str) -> None:
    at = {1: lambda: os.kill(os.getpid(), signal.SIGTERM)} if end == "signal" else {}
    run = small(
        dtype="float32",
        max_steps=1 if end == "max_steps" else 9,
        checkpoint_every=1,
        optimisers=lambda: {"adam": Adam(lr=1e25, steps=1 if end == "phases" else None)},
        watchers=[Listener(at)],
    )
    newest = run.directory / "checkpoints" / "step-00000000.pt"
    with pytest.raises(NonFiniteLossError, match=r"after step 1 \(adam\).*'equation'") as caught:
        run.train()
    assert f"The last good checkpoint is '{newest}'" in str(caught.value)
    assert CheckpointFolder(newest.parent).newest() == newest


def test_a_loss_that_is_wrong_from_the_start_is_named(small: Callable[..., Any]) -> None:
    run = small(optimisers=lambda: {"lbfgs": LBFGS()})
    built, _ = run.build()
    with torch.no_grad():
        for parameter in built.network.parameters():
            parameter.fill_(float("inf"))
    with pytest.raises(NonFiniteLossError, match=r"step 1 \(lbfgs\).*'equation' is nan") as caught:
        run._finish(built, None)
    assert "There is no good checkpoint" in str(caught.value)
