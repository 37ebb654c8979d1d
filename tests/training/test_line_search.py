from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pinnderiv.training.objective import Evaluation
from pinnderiv.training.optimisers.line_search import (
    CURVATURE,
    SUFFICIENT_DECREASE,
    Trial,
    strong_wolfe,
)

NOTHING = Evaluation(torch.zeros(()), {}, torch.zeros(1))
Line = Callable[[float], tuple[float, float]]


def search(line: Line, first: float, max_evaluations: int = 25):
    def at(length: float) -> Trial:
        return Trial(length, *line(length), NOTHING)

    start = at(0.0)
    return start, strong_wolfe(at, start, first, max_evaluations)


def more_thuente(t: float) -> tuple[float, float]:
    """The first test function of Moré and Thuente (1994): −t/(t² + 2)."""
    return -t / (t * t + 2), (t * t - 2) / (t * t + 2) ** 2


def quartic(t: float) -> tuple[float, float]:
    return (t - 1) ** 4 - 0.1 * t, 4 * (t - 1) ** 3 - 0.1


@settings(deadline=None, max_examples=60)
@given(line=st.sampled_from([more_thuente, quartic]), power=st.floats(-4, 3))
def test_the_accepted_length_meets_both_conditions(line: Line, power: float) -> None:
    start, found = search(line, 10.0**power, 60)
    trial = found.accepted
    assert trial is not None
    assert trial.value <= start.value + SUFFICIENT_DECREASE * trial.length * start.slope
    assert abs(trial.slope) <= CURVATURE * abs(start.slope)


def test_a_wall_of_nan_is_too_far() -> None:
    def line(t: float) -> tuple[float, float]:
        return (t - 1) ** 2 if t < 1.5 else float("nan"), 2 * (t - 1)

    start, found = search(line, 50.0)
    assert found.accepted is not None
    assert found.accepted.length < 1.5
    assert found.accepted.value < start.value


def test_a_line_that_only_rises_is_refused() -> None:
    start, found = search(lambda t: (t, -1.0 if t == 0 else 1.0), 1.0)
    assert start.slope < 0
    assert found.accepted is None


def test_the_number_of_trials_is_kept() -> None:
    _, found = search(lambda t: (t, -1.0 if t == 0 else 1.0), 1.0, max_evaluations=7)
    assert found.evaluations <= 7
    _, found = search(lambda t: (-t, -1.0), 1.0, max_evaluations=5)  # falls for ever
    assert found.evaluations == 5
    assert found.accepted is not None and found.accepted.length > 1.0


def test_a_good_first_try_is_taken_at_once() -> None:
    _, found = search(lambda t: ((t - 1) ** 2, 2 * (t - 1)), 1.0)
    assert found.evaluations == 1
    assert found.accepted is not None and found.accepted.length == 1.0


def test_cubic_interpolation_hits_the_minimum_of_a_cubic() -> None:
    # from a bracket of a cubic's minimum, the second trial is that minimum
    _, found = search(lambda t: (t**3 - 3 * t, 3 * t * t - 3), 1.9)
    assert found.evaluations == 2
    assert found.accepted is not None
    assert found.accepted.length == pytest.approx(1.0)
