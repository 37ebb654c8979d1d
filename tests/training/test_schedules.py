import math

import pytest

from pinnderiv.errors import ConfigurationError
from pinnderiv.training.optimisers import Adam, Schedule


@pytest.mark.parametrize(
    ("schedule", "step", "expected"),
    [
        (Schedule(), 10**6, 1.0),
        (Schedule("exponential", factor=0.5, every=10), 5, math.sqrt(0.5)),
        (Schedule("exponential", factor=0.5, every=10), 30, 0.125),
        (Schedule("step", factor=0.5, every=10), 9, 1.0),
        (Schedule("step", factor=0.5, every=10), 10, 0.5),
        (Schedule("cosine", final=0.2), 0, 1.0),
        (Schedule("cosine", final=0.2), 50, 0.6),
        (Schedule("cosine", final=0.2), 100, 0.2),
        (Schedule("cosine", final=0.2), 500, 0.2),
        (Schedule("linear", final=0.2), 25, 0.8),
        (Schedule(warmup=4), 0, 0.2),
        (Schedule(warmup=4), 4, 1.0),
        (Schedule("step", factor=0.5, every=1, warmup=1), 0, 0.5),
    ],
)
def test_factor(schedule: Schedule, step: int, expected: float) -> None:
    assert schedule.at(step, length=100) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("choices", "named"),
    [
        ({"kind": "cosin"}, "cosine"),
        ({"factor": 0.0}, "factor"),
        ({"factor": 1.5}, "factor"),
        ({"final": -0.1}, "final"),
        ({"every": 0}, "every"),
        ({"warmup": -1}, "warmup"),
    ],
)
def test_nonsense_is_refused(choices: dict, named: str) -> None:
    with pytest.raises(ConfigurationError, match=named):
        Schedule(**choices)


@pytest.mark.parametrize("kind", ["cosine", "linear"])
def test_a_schedule_that_ends_needs_to_know_when(kind: str) -> None:
    with pytest.raises(ConfigurationError, match="steps"):
        Adam(schedule=Schedule(kind))
    Adam(schedule=Schedule(kind), steps=10)
