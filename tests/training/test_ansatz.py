import logging
from collections.abc import Callable
from typing import Any

import pytest
import torch

from pinnderiv.networks import MLP
from pinnderiv.problems import CASES
from pinnderiv.training import ansatz
from pinnderiv.training.ansatz import Ansatz


def small_net(inputs: int, outputs: int) -> MLP:
    return MLP(inputs, outputs, width=4, depth=1)


@pytest.mark.parametrize(("dimension", "terms"), [(1, 2), (2, 8), (4, 80)])
def test_a_lift_counts_its_terms(dimension: int, terms: int) -> None:
    assert Ansatz(CASES["poisson"]("poisson", dimension=dimension), small_net).u.lift.terms == terms


def test_what_takes_long_before_training_is_said_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    built = Ansatz(CASES["poisson"]("poisson", dimension=4), small_net)
    points = torch.rand(3000, 4, dtype=torch.float64)
    monkeypatch.setattr(ansatz, "_LONG", float("inf"))
    quiet = built.known(points), built.source(points)
    assert not caplog.records
    monkeypatch.setattr(ansatz, "_LONG", 0.0)
    with caplog.at_level(logging.WARNING):
        loud = built.known(points), built.source(points)
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == 2 and all("80 terms at each of 3000 points" in each for each in said)
    assert all(torch.equal(*pair) for pair in zip(quiet, loud, strict=True))


def test_the_rows_at_a_time_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    built = Ansatz(CASES["poisson"]("poisson", dimension=3), small_net)
    points = torch.rand(500, 3, dtype=torch.float64)
    whole = built.source(points)
    monkeypatch.setattr(ansatz, "_ROWS", 64)
    assert torch.allclose(built.source(points), whole, rtol=1e-13, atol=1e-12)


def test_auto_says_why_it_is_soft(
    small: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        small(case="poisson10d", constraint="auto").build()
        small(case="heat", constraint="auto").build()
        small(case="poisson10d", constraint="soft").build()
    (record,) = caplog.records
    assert record.getMessage().startswith("constraint=auto makes the conditions terms of the loss")
    assert "at most 6 dimensions" in record.getMessage()


def periodic_net(inputs: int, outputs: int, periodic_axes: tuple[int, ...] = ()) -> MLP:
    return MLP(inputs, outputs, width=4, depth=1, periodic_axes=periodic_axes)


@pytest.mark.parametrize(("constraint", "hard"), [("auto", True), ("hard", True), ("soft", False)])
def test_a_periodic_problem_makes_the_network_periodic(constraint: str, hard: bool) -> None:
    problem = CASES["wave_periodic"]("wave_periodic")
    built = Ansatz(problem, periodic_net, constraint)
    assert built.hard == hard
    u = built.u.double()
    left = torch.tensor([[0.0, 0.4]], dtype=torch.float64)
    right = torch.tensor([[1.0, 0.4]], dtype=torch.float64)
    gap = (u(left) - u(right)).abs().item()
    assert gap < 1e-14 if hard else gap > 1e-4
