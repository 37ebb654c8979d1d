import math

import pytest

from pinnderiv.errors import ConfigurationError
from pinnderiv.training.optimisers import LBFGS, Adam
from pinnderiv.training.phases import Budget, Phases, Progress


@pytest.mark.parametrize(
    ("steps", "seconds", "reason", "fraction"),
    [(5, 1.0, None, 0.5), (10, 1.0, "max_steps", 1.0), (1, 4.5, "max_seconds", 1.0)],
)
def test_the_budget_ends_with_what_comes_first(
    steps: int, seconds: float, reason: str | None, fraction: float
) -> None:
    budget, progress = Budget(10, 4.0), Progress(step=steps, seconds=seconds)
    assert budget.used_up(progress) == reason
    assert budget.fraction(progress) == fraction


@pytest.mark.parametrize("limits", [(None, None), (-1, None), (None, -0.5), (None, float("nan"))])
def test_a_budget_must_end(limits: tuple) -> None:
    with pytest.raises(ConfigurationError, match=r"training\.max_"):
        Budget(*limits)


def test_a_phase_ends_by_steps_or_by_time() -> None:
    phases = Phases({"a": Adam(steps=5, time_share=0.5), "b": LBFGS()}, Budget(None, 10.0))
    assert not phases.over(Progress(phase_step=4, phase_seconds=4.9))
    assert phases.over(Progress(phase_step=5))
    assert phases.over(Progress(phase_seconds=5.0))


def test_the_last_phase_may_use_what_is_left() -> None:
    phases = Phases({"a": Adam(time_share=0.1)}, Budget(None, 10.0))
    assert not phases.over(Progress(phase_seconds=9.0))
    phases = Phases({"a": Adam(steps=7)}, Budget(None, 10.0))
    assert phases.over(Progress(phase_step=7))


def test_a_phase_length_does_not_depend_on_max_steps() -> None:
    for max_steps in (2, 4, 1000):
        phases = Phases({"a": Adam(steps=3), "b": LBFGS()}, Budget(max_steps, None))
        assert [phases.over(Progress(phase_step=n)) for n in (2, 3)] == [False, True]


def test_a_phase_that_would_hide_the_next_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"optimiser\.a\.steps"):
        Phases({"a": Adam(), "b": LBFGS()}, Budget(100, 10.0))
    with pytest.raises(ConfigurationError, match=r"optimiser\.a\.steps"):
        Phases({"a": Adam(time_share=0.5), "b": LBFGS()}, Budget(100, None))


def test_slabs_share_what_is_left_and_hand_on_what_they_do_not_use() -> None:
    budget = Budget(10, 30.0)
    assert budget.until_end_of_slab(Progress(), 1) == budget
    assert budget.until_end_of_slab(Progress(), 3) == Budget(4, 10.0)
    second = Progress(step=2, seconds=4.0)
    second.next_slab()
    assert budget.until_end_of_slab(second, 3) == Budget(6, 17.0)
    second.advance(20.0)
    second.next_slab()
    assert budget.until_end_of_slab(second, 3) == budget


def test_only_the_last_slab_ends_the_run() -> None:
    phases = Phases({"a": Adam(time_share=0.5), "b": LBFGS()}, Budget(None, 10.0), slabs=2)
    progress = Progress(phase_seconds=2.5, seconds=2.5)
    assert phases.over(progress)
    progress.next_phase(stalled=False)
    assert not phases.slab_over(progress)
    progress.next_phase(stalled=True)
    assert phases.slab_over(progress)
    assert phases.reason_to_stop(progress) is None
    progress.next_slab()
    assert phases.name(progress) == "a"
    assert phases.label(progress) == "a (slab 2 of 2)"
    assert not phases.slab_over(progress)
    # it has the 7.5 seconds that are left
    assert not phases.over(Progress(**vars(progress) | {"phase_seconds": 3.7}))
    assert phases.over(Progress(**vars(progress) | {"phase_seconds": 3.8}))
    progress.advance(7.5)
    assert phases.reason_to_stop(progress) == "max_seconds"


def test_a_slab_that_uses_up_all_ends_the_run() -> None:
    """The others would be entered without a step; a resumed run begins them."""
    progress, slabs = Progress(seconds=11.0, step=3), {"a": Adam()}
    assert Phases(slabs, Budget(None, 10.0), slabs=3).reason_to_stop(progress) == "max_seconds"
    more = Phases(slabs, Budget(None, 60.0), slabs=3)
    assert more.reason_to_stop(progress) is None
    assert not more.slab_over(progress)


def test_a_last_step_that_will_not_fit_uses_up_the_time() -> None:
    phases, progress = Phases({"a": Adam()}, Budget(None, 10.0)), Progress(out_of_time=True)
    assert phases.reason_to_stop(progress) == "max_seconds"
    assert phases.reason_to_stop(Progress(**progress.state_dict())) is None


def test_an_optimiser_is_told_what_its_phase_may_still_use() -> None:
    phases = Phases({"a": Adam(time_share=0.5), "b": LBFGS()}, Budget(None, 10.0))
    assert phases.seconds_left(Progress(seconds=2.0, phase_seconds=2.0)) == 3.0
    assert phases.seconds_left(Progress(seconds=6.0, phase_seconds=6.0)) == 0.0
    assert phases.seconds_left(Progress(seconds=6.0, phase=1)) == 4.0
    slabs = Phases({"a": Adam(time_share=0.5), "b": LBFGS()}, Budget(None, 10.0), slabs=2)
    assert slabs.seconds_left(Progress(seconds=2.0, phase_seconds=2.0)) == 0.5
    assert slabs.seconds_left(Progress(seconds=2.0, phase=1)) == 3.0
    steps = Phases({"a": Adam()}, Budget(10, None))
    assert steps.seconds_left(Progress()) == math.inf


def test_no_phase_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="no phase"):
        Phases({}, Budget(1, None))
