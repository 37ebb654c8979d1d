"""The count sketch, and Levenberg–Marquardt on it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from pinnderiv.errors import ConfigurationError
from pinnderiv.networks import MLP
from pinnderiv.training.optimisers import LevenbergMarquardt, sketch
from pinnderiv.training.optimisers import levenberg_marquardt as module
from pinnderiv.training.optimisers.sketch import count_sketch


def mlp(inputs: int, outputs: int) -> MLP:
    return MLP(inputs, outputs, width=6, depth=2)


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def test_it_is_one_matrix_for_both_with_one_sign_in_each_column() -> None:
    eye = torch.eye(50, dtype=torch.float64)
    residual = random(50)
    matrix, vector = count_sketch(eye, residual, 12, torch.Generator().manual_seed(1))
    # of the identity, the sketch is S itself
    assert matrix.shape == (12, 50)
    assert torch.equal(matrix.abs().sum(dim=0), torch.ones(50, dtype=torch.float64))
    assert set(matrix.unique().tolist()) == {-1.0, 0.0, 1.0}
    torch.testing.assert_close(vector, matrix @ residual)


def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    jacobian, residual = random(40, 7), random(40, seed=1)
    whole = count_sketch(jacobian, residual, 9, torch.Generator().manual_seed(3))
    monkeypatch.setattr(sketch, "_BLOCK", 21)
    parts = count_sketch(jacobian, residual, 9, torch.Generator().manual_seed(3))
    torch.testing.assert_close(parts[0], whole[0])


def test_in_expectation_it_is_the_whole_system() -> None:
    """Means of JᵀSᵀSJ and JᵀSᵀSr over many draws, within four of their standard errors."""
    jacobian, residual = random(60, 3), random(60, seed=1) + 1.0
    generator = torch.Generator().manual_seed(5)
    draws = []
    for _ in range(3000):
        matrix, vector = count_sketch(jacobian, residual, 20, generator)
        draws.append(torch.cat([(matrix.mT @ matrix).reshape(-1), matrix.mT @ vector]))
    found = torch.stack(draws)
    expected = torch.cat([(jacobian.mT @ jacobian).reshape(-1), jacobian.mT @ residual])
    error = found.std(dim=0) / len(draws) ** 0.5
    assert bool(((found.mean(dim=0) - expected).abs() < 4 * error).all())
    assert bool((error < 0.05 * expected.abs().max()).all())


def test_without_fewer_rows_every_step_is_the_dense_one(objective) -> None:
    vectors = []
    for choice in (None, 1000.0):
        made = objective("heat", mlp, points=60)
        optimiser = LevenbergMarquardt(sketch=choice)
        optimiser.begin(made)
        for _ in range(4):
            optimiser.step(made)
        vectors.append(made.vector())
    assert torch.equal(*vectors)


def test_sketched_steps_converge_as_the_dense_ones(objective, monkeypatch) -> None:
    solved: list[int] = []

    def watched(matrix: Tensor, target: Tensor, damping: float) -> Tensor | None:
        solved.append(len(matrix))
        return solve(matrix, target, damping)

    solve = module.damped
    monkeypatch.setattr(module, "damped", watched)
    last = {}
    for choice in (None, 2.0):
        torch.manual_seed(4)
        made = objective("heat1d_engd", mlp, "soft", points=300)
        first = float(made.evaluate().loss)
        optimiser = LevenbergMarquardt(sketch=choice)
        optimiser.begin(made)
        solved.clear()
        losses = [float(optimiser.step(made).evaluation.loss) for _ in range(40)]
        assert losses == sorted(losses, reverse=True)
        last[choice] = losses[-1]
    rows = 2 * made.size
    assert rows < 600
    # most steps are the sketch's, and no system is of another size
    assert set(solved) <= {rows, 900} and solved.count(rows) > 0.7 * len(solved)
    assert last[None] < 1e-4 * first and last[2.0] < 5 * last[None], last


def test_where_the_sketch_fails_the_step_is_solved_without_it(objective, monkeypatch) -> None:
    """A sketch that has lost everything foretells nothing: the loss falls all the same."""

    def useless(jacobian: Tensor, residual: Tensor, rows: int, _: Any) -> tuple[Tensor, Tensor]:
        return jacobian[:rows], 1e3 * random(rows)

    made, twin = (objective("heat", mlp, points=300) for _ in range(2))
    optimiser, dense = LevenbergMarquardt(sketch=1.0), LevenbergMarquardt()
    optimiser.begin(made)
    dense.begin(twin)
    monkeypatch.setattr(module, "count_sketch", useless)
    report, expected = optimiser.step(made), dense.step(twin)
    assert report.evaluations == expected.evaluations + 3
    assert torch.equal(made.vector(), twin.vector())


def test_a_single_trial_is_one_without_a_sketch(objective) -> None:
    made, twin = (objective("heat", mlp, points=300) for _ in range(2))
    for each, optimiser in (
        (made, LevenbergMarquardt(max_trials=1, sketch=1.0)),
        (twin, LevenbergMarquardt(max_trials=1)),
    ):
        optimiser.begin(each)
        optimiser.step(each)
    assert torch.equal(made.vector(), twin.vector())
    assert len(made.linearise().residual) > made.size


def test_two_and_three_steps_of_a_run_are_five(small: Callable[..., Any]) -> None:
    choices = {
        "optimisers": lambda: {"lm": LevenbergMarquardt(sketch=1.0)},
        "resample_every": 4,
        "points": 200,
        "width": 6,
    }
    whole, _ = small("whole", max_steps=5, **choices).train()
    other, _ = small("other", max_steps=5, seed=1, **choices).train()
    parts = small("parts", max_steps=2, **choices)
    parts.train()
    parts.max_steps = 5
    resumed, _ = parts.resume()
    expected = whole.network.state_dict()
    assert all(torch.equal(each, expected[k]) for k, each in resumed.network.state_dict().items())
    states = [run.phases.optimisers[0].state_dict()["random"] for run in (whole, resumed, other)]
    assert torch.equal(states[0], states[1]) and not torch.equal(states[0], states[2])


@pytest.mark.parametrize("choice", [0.5, float("nan"), float("inf"), -1.0])
def test_too_few_rows_are_refused(choice: float) -> None:
    with pytest.raises(ConfigurationError, match="sketch of the levenberg_marquardt phase"):
        LevenbergMarquardt(sketch=choice)
