"""A run in two parts is the run in one part, bit for bit."""

from collections.abc import Callable
from typing import Any

import pytest
import torch

from pinnderiv.errors import CheckpointError
from pinnderiv.schema import RunConfig
from pinnderiv.schema.loss import BalanceKind
from pinnderiv.schema.points import AdaptiveKind
from pinnderiv.training.monitor import Monitor, StepRecord
from pinnderiv.training.optimisers import LBFGS, Adam, Schedule


def lbfgs_only() -> dict[str, Any]:
    return {"lbfgs": LBFGS(history=3)}


def scheduled_adam() -> dict[str, Any]:
    return {"adam": Adam(lr=1e-2, schedule=Schedule(kind="cosine", warmup=2), steps=10)}


def balanced(kind: str) -> Callable[[RunConfig], None]:
    def change(config: RunConfig) -> None:
        config.loss.balance, config.loss.balance_every = BalanceKind(kind), 1
        config.loss.balance_momentum, config.loss.balance_lookback = 0.5, 0.5

    return change


def causal(config: RunConfig) -> None:
    config.loss.causal = [1e-4, 0.5]


def adaptive(kind: str) -> Callable[[RunConfig], None]:
    def change(config: RunConfig) -> None:
        config.sampler.adaptive = AdaptiveKind(kind)

    return change


def same(left: dict[str, torch.Tensor], right: dict[str, torch.Tensor]) -> bool:
    return left.keys() == right.keys() and all(torch.equal(left[k], right[k]) for k in left)


@pytest.mark.parametrize(
    "choices",
    [
        pytest.param({"optimisers": scheduled_adam}, id="adam with a schedule"),
        pytest.param({"optimisers": lbfgs_only}, id="lbfgs"),
        pytest.param({"optimisers": scheduled_adam, "resample_every": 3}, id="resampled"),
        pytest.param({"optimisers": lbfgs_only, "resample_every": 1}, id="lbfgs resampled"),
        pytest.param(
            {"optimisers": lbfgs_only, "constraint": "soft", "case": "wave"}, id="soft conditions"
        ),
        pytest.param({"optimisers": scheduled_adam, "dtype": "float32"}, id="float32"),
        *(
            pytest.param(
                {"constraint": "soft", "change": balanced(kind), "optimisers": optimisers},
                id=f"{kind} {name}",
            )
            for kind in ("gradient_norm", "ntk", "relobralo")
            for name, optimisers in {"adam": scheduled_adam, "lbfgs": lbfgs_only}.items()
        ),
        pytest.param({"change": causal, "optimisers": scheduled_adam}, id="causal adam"),
        pytest.param(
            {"change": causal, "optimisers": lbfgs_only, "constraint": "soft"}, id="causal lbfgs"
        ),
        *(
            pytest.param({"change": adaptive(kind), "resample_every": 1}, id=kind)
            for kind in ("rad", "rar", "rar_d", "r3")
        ),
    ],
)
def test_two_and_two_steps_are_four(small: Callable[..., Any], choices: dict[str, Any]) -> None:
    whole, outcome = small("whole", max_steps=4, **choices).train()
    parts = small("parts", max_steps=2, **choices)
    parts.train()
    parts.max_steps = 4
    resumed, again = parts.resume()
    assert resumed.progress.step == 4
    assert resumed.objective.loss.weights == whole.objective.loss.weights
    assert torch.equal(
        resumed.objective.collocation.points.interior, whole.objective.collocation.points.interior
    )
    assert same(resumed.network.state_dict(), whole.network.state_dict())
    assert again.loss == outcome.loss
    assert again.error == outcome.error


@pytest.mark.parametrize("cut", [1, 2, 3, 4, 5])
def test_a_cut_anywhere_around_a_change_of_optimiser_leaves_no_trace(
    small: Callable[..., Any], adam_then_lbfgs: Any, cut: int
) -> None:
    choices = {"optimisers": adam_then_lbfgs, "resample_every": 4}
    whole, _ = small("whole", max_steps=6, **choices).train()
    parts = small("parts", max_steps=cut, **choices)
    parts.train()
    parts.max_steps = 6
    resumed, _ = parts.resume()
    assert resumed.phases.name(resumed.progress) == "lbfgs"
    assert same(resumed.network.state_dict(), whole.network.state_dict())


class Killer(Monitor):
    """Ends the process, as it were, in the middle of a step."""

    def __init__(self, step: int) -> None:
        self.last = step

    def step(self, record: StepRecord) -> None:
        if record.step == self.last:
            raise RuntimeError("killed")


@pytest.mark.parametrize("constraint", ["hard", "soft"])
@pytest.mark.parametrize("cut", [2, 3, 4, 5])
def test_a_cut_in_any_slab_of_time_leaves_no_trace(
    small: Callable[..., Any], cut: int, constraint: str
) -> None:
    choices = {
        "optimisers": lambda: {"adam": Adam(lr=1e-2, steps=2), "lbfgs": LBFGS(history=3)},
        "case": "wave_travelling",
        "constraint": constraint,
        "resample_every": 2,
        "max_steps": 6,
        "checkpoint_every": 1,
        "change": lambda config: setattr(config.training, "time_slabs", 2),
    }
    whole, outcome = small("whole", **choices).train()
    parts = small("parts", watchers=[Killer(cut + 1)], **choices)
    with pytest.raises(RuntimeError, match="killed"):
        parts.train()
    parts.watchers = []
    resumed, again = parts.resume()
    assert whole.progress.slab == resumed.progress.slab == 1
    assert whole.progress.slab_from_step == resumed.progress.slab_from_step == 3
    assert same(resumed.network.state_dict(), whole.network.state_dict())
    assert (again.loss, again.error) == (outcome.loss, outcome.error)


def test_another_number_of_slabs_is_refused(small: Callable[..., Any]) -> None:
    run = small()
    run.train()
    run.change = lambda config: setattr(config.training, "time_slabs", 2)
    with pytest.raises(CheckpointError, match=r"time_slabs=1"):
        run.resume()


def test_the_seed_decides_everything(small: Callable[..., Any], adam_then_lbfgs: Any) -> None:
    choices = {"optimisers": adam_then_lbfgs, "resample_every": 2, "constraint": "soft"}
    first, _ = small("a", **choices).train()
    again, _ = small("b", **choices).train()
    other, _ = small("c", seed=1, **choices).train()
    assert same(first.network.state_dict(), again.network.state_dict())
    assert not same(first.network.state_dict(), other.network.state_dict())


def test_resuming_a_finished_run_takes_no_step(small: Callable[..., Any]) -> None:
    run = small()
    before, _ = run.train()
    after, outcome = run.resume()
    assert outcome.stop_reason == "max_steps"
    assert same(before.network.state_dict(), after.network.state_dict())


def test_another_network_is_refused(small: Callable[..., Any]) -> None:
    run = small()
    run.train()
    run.width = 9
    with pytest.raises(CheckpointError, match=r"hidden\.0\.weight.*\(8, 2\).*\(9, 2\)"):
        run.resume()


def test_other_phases_are_refused(small: Callable[..., Any], adam_then_lbfgs: Any) -> None:
    run = small()
    run.train()
    run.optimisers = adam_then_lbfgs
    with pytest.raises(CheckpointError, match="adam, lbfgs"):
        run.resume()


def test_another_constraint_is_refused(small: Callable[..., Any]) -> None:
    run = small()
    run.train()
    run.constraint = "soft"
    with pytest.raises(CheckpointError, match="does not fit the network"):
        run.resume()


def test_the_history_has_no_step_twice(small: Callable[..., Any]) -> None:
    run = small(max_steps=5, checkpoint_every=3)
    run.train()
    # as if it had been killed after step 5, with the checkpoint of step 3 the last one
    (run.directory / "checkpoints" / "step-00000005.pt").unlink()
    run.max_steps = 7
    run.resume()
    lines = (run.directory / "history.csv").read_text().splitlines()[1:]
    assert [int(line.split(",")[0]) for line in lines] == [1, 2, 3, 4, 5, 6, 7]
