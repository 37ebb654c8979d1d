"""The search of the frequencies of random features."""

from collections.abc import Callable

import pytest
import torch

from pinnderiv.errors import ConfigurationError
from pinnderiv.networks import MLP, RandomFeatureNetwork
from pinnderiv.training.loss_objective import LossObjective
from pinnderiv.training.optimisers import FeatureSearch, VariableProjection, feature_search
from pinnderiv.training.optimisers.feature_bands import Band


def mlp(inputs: int, outputs: int) -> MLP:
    return MLP(inputs, outputs, width=10, depth=1)


Measure = Callable[[LossObjective], float]


def solve(made: LossObjective, search: FeatureSearch) -> int:
    """Both phases; how many trials the first took."""
    search.begin(made)
    trials = 1
    while not search.step(made).stalled:
        trials += 1
    projection = VariableProjection()
    projection.begin(made)
    projection.step(made)
    return trials


def test_the_search_finds_frequencies_by_itself(objective, relative_l2) -> None:
    def network(inputs: int, outputs: int) -> RandomFeatureNetwork:
        return RandomFeatureNetwork(inputs, outputs, 200, scale=0.5)

    # half-waves: twelve along x, one along y; in scaled units 6π and π/2
    made = objective("poisson", network, points=600, frequencies=[[12, 1]], amplitudes=[1.0])
    search, solve = FeatureSearch(features=100), VariableProjection()
    search.begin(made)
    trials = 1
    while not search.step(made).stalled:
        trials += 1
    assert 10 < trials < 200
    scale = made.loss.network.get_parameter("constraint.network.network.scale").detach()
    assert 15 < float(scale[0]) < 50 and float(scale[1]) < 8
    solve.begin(made)
    solve.step(made)
    assert relative_l2(made) < 1e-4


@pytest.mark.parametrize(("constraint", "steps"), [("hard", 5), ("soft", 5), ("soft", 75)])
def test_a_search_that_is_resumed_tries_what_comes_next(
    objective, constraint: str, steps: int
) -> None:
    made = objective("wave", constraint=constraint, points=120)
    first, second = FeatureSearch(features=30), FeatureSearch(features=30)
    first.begin(made)
    for _ in range(steps):
        first.step(made)
    around_tones = Band.of(first.state_dict()["base"]).spread is not None
    assert around_tones == (steps == 75)
    saved, vector = first.state_dict(), made.vector()
    expected = [float(first.step(made).evaluation.loss) for _ in range(5)]
    made.set_vector(vector)
    second.begin(made)
    second.load_state_dict(saved)
    assert [float(second.step(made).evaluation.loss) for _ in range(5)] == expected


def test_a_search_measures_its_best_scale_anew_at_other_points(objective) -> None:
    made, search = objective("poisson"), FeatureSearch(features=30)
    search.begin(made)
    for _ in range(8):
        search.step(made)
    before = search.state_dict()
    made.collocation.resample(made.loss.equation_residual)
    search.points_changed()
    report, after = search.step(made), search.state_dict()

    fresh = FeatureSearch(features=30)
    fresh.begin(made)
    shares = []
    winner = Band.of(before["winner"])
    for band in (winner, Band.even(search.ladder[8], len(winner.scale))):
        fresh._best = float("inf")
        fresh._compare(made, band, whole=False)
        shares.append(fresh._best)
    assert after["best"] == min(shares) != before["best"]
    assert after["tried"] == before["tried"] + 1 and not after["outdated"]
    # what it says of the loss is of these points, too
    fresh._compare(made, Band.of(after["winner"]), whole=False)
    assert float(report.evaluation.loss) == float(fresh._here.loss)


def test_a_search_needs_random_features(objective) -> None:
    with pytest.raises(ConfigurationError, match="random_features"):
        FeatureSearch().begin(objective("heat", mlp))


def test_what_helps_on_two_axes_together_is_found_from_the_initial_values(
    objective, relative_l2: Measure, monkeypatch: pytest.MonkeyPatch
) -> None:
    errors = []
    for tones in (feature_search.tones_of_data, lambda *_: torch.zeros(0, 3)):
        monkeypatch.setattr(feature_search, "tones_of_data", tones)
        made = objective(
            "heat",
            lambda inputs, outputs: RandomFeatureNetwork(inputs, outputs, 150),
            "soft",
            points=450,
            dimension=2,
            frequencies=[[9, 4]],
            diffusivity=0.01,
        )
        solve(made, FeatureSearch(features=100))
        errors.append(relative_l2(made))
    assert errors[0] < 1e-3 and errors[1] > 0.1


@pytest.mark.parametrize("constraint", ["hard", "soft"])
def test_tones_are_for_features_that_are_u_itself(objective, constraint: str) -> None:
    made, search = objective("heat", constraint=constraint, points=60), FeatureSearch(features=10)
    search.begin(made)
    search.step(made)
    found = search.state_dict()["bands"]["tones"]
    assert found.shape == ((0, 2) if constraint == "hard" else (1, 2))


def test_tones_of_all_coordinates_say_nothing_of_features_of_few(objective) -> None:
    made = objective(
        "heat",
        lambda inputs, outputs: RandomFeatureNetwork(inputs, outputs, 20, orders=[1]),
        "soft",
    )
    search = FeatureSearch(features=10)
    search.begin(made)
    search.step(made)
    assert len(search.state_dict()["bands"]["tones"]) == 0


def test_bands_around_tones_are_taken_only_where_they_leave_less(
    objective, monkeypatch: pytest.MonkeyPatch
) -> None:
    # as if the values had said ten half-waves, where there is one
    wrong = torch.tensor([[10 * torch.pi / 2, float("nan")]], dtype=torch.float64)
    monkeypatch.setattr(feature_search, "tones_of_data", lambda *_: wrong)
    made, search = objective("heat", constraint="soft", points=120), FeatureSearch(features=40)
    solve(made, search)
    assert Band.of(search.state_dict()["winner"]).spread is None
