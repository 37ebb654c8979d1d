"""What is begun only where it will end in time."""

from collections.abc import Callable

import pytest
import torch

from pinnderiv.training.objective import Objective
from pinnderiv.training.optimisers import FeatureSearch, VariableProjection
from pinnderiv.training.optimisers.pace import Pace


def test_cost_grows_with_entries_and_with_their_columns() -> None:
    pace = Pace.measured(torch.ones(10, 4), 8.0, torch.ones(10, 2), 4.0)
    assert pace == Pace(matrix=0.2, solution=0.1)
    assert pace.seconds(10, 4) == pytest.approx(8.0 + 16.0)
    assert pace.seconds(20, 8) == pytest.approx(4 * 8.0 + 8 * 16.0)
    assert pace.or_faster(Pace(0.1, 0.3)) == Pace(0.1, 0.1)
    assert pace.or_faster(None) == pace


def test_a_search_ends_with_its_best_where_no_trial_fits(
    objective: Callable[..., Objective],
) -> None:
    made = objective("heat")
    search = FeatureSearch(features=30)
    search.begin(made)
    search.seconds_left = 1e-12  # nothing is known of the pace, so the first trial is taken
    first = search.step(made)
    assert not first.stalled
    reached = made.vector()
    last = search.step(made)
    assert last.stalled
    assert "no time for larger trials" in last.note
    assert torch.equal(made.vector(), reached)
    assert last.evaluation.loss == first.evaluation.loss


def test_time_enough_changes_nothing(objective: Callable[..., Objective]) -> None:
    results = []
    for seconds in (float("inf"), 1e9):
        made = objective("heat")
        for optimiser in (FeatureSearch(features=30, rungs=3), VariableProjection()):
            optimiser.begin(made)
            optimiser.seconds_left = seconds
            while not optimiser.step(made).stalled:
                pass
        results.append(made.vector())
    assert torch.equal(*results)


def test_a_solution_that_will_not_fit_is_left_out(objective: Callable[..., Objective]) -> None:
    made = objective("heat")
    before, optimiser = made.vector(), VariableProjection()
    optimiser.begin(made)
    optimiser.seconds_left = 1e-12
    report = optimiser.step(made)
    assert report.stalled
    assert report.out_of_time
    assert "raise training.max_seconds" in report.note
    assert report.evaluation.finite
    assert torch.equal(made.vector(), before)


@pytest.mark.parametrize("constraint", ["hard", "soft"])
def test_the_loss_that_is_reported_is_that_of_the_network(
    objective: Callable[..., Objective], constraint: str
) -> None:
    """It comes out of the linear problem, without a derivative of the network."""
    made = objective("heat_manufactured", constraint=constraint, weights={"walls": 3.0})
    optimiser = VariableProjection()
    optimiser.begin(made)
    report, expected = optimiser.step(made), made.evaluate()
    torch.testing.assert_close(report.evaluation.loss, expected.loss, rtol=1e-4, atol=1e-14)
    for name, value in expected.terms.items():
        torch.testing.assert_close(report.evaluation.terms[name], value, rtol=1e-4, atol=1e-14)


def test_a_solution_takes_the_points_that_there_is_time_for(
    objective: Callable[..., Objective], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = {}
    for seconds_left in (float("inf"), 6.0, 0.01):
        made, optimiser = objective("heat", points=200), VariableProjection()
        monkeypatch.setattr(optimiser, "_seconds_needed", lambda points: 10.0)
        optimiser.begin(made)
        optimiser.seconds_left = seconds_left
        before = float(made.evaluate().loss)
        report = optimiser.step(made)
        found[seconds_left] = float(made.evaluate().loss) / before, report.out_of_time
    whole, part, none = found.values()
    assert not whole[1] and not part[1] and none[1]
    # a part of the points is no best solution at all of them, and far better than none
    assert whole[0] < part[0] < 0.1
    assert none[0] == 1.0
