"""Bands of frequencies, and the frequencies of what a problem gives."""

import math

import pytest
import torch

from pinnderiv.networks import RandomFeatureNetwork
from pinnderiv.training.optimisers.feature_bands import Band, FeatureBands, tones_of_data
from pinnderiv.training.optimisers.linear_part import LinearPart

HALF_WAVE = math.pi / 2


@pytest.fixture
def network() -> RandomFeatureNetwork:
    torch.manual_seed(0)
    return RandomFeatureNetwork(3, 1, 64).double()


def frequencies(network: RandomFeatureNetwork) -> torch.Tensor:
    return (network.scale * network.hidden.weight).detach()


def test_a_band_around_tones_holds_the_frequencies(network: RandomFeatureNetwork) -> None:
    bands, nan = FeatureBands(network), float("nan")
    bands.tones = torch.tensor([[30.0, 3.0, nan], [10.0, 5.0, nan]], dtype=torch.float64)
    assert bands.free == [2]
    bands.put(Band((1.0, 1.0, 8.0), spread=0.1))
    found = frequencies(network)
    for number, tone in enumerate(bands.tones[:, :2]):
        own = found[number::2, :2]
        gap = own.abs() - tone
        assert 0.0 < float(gap.abs().max()) <= 0.1
        # every combination of signs, equally often
        assert torch.unique(own.sign(), dim=0, return_counts=True)[1].tolist() == [8, 8, 8, 8]
    assert 4.0 < float(found[:, 2].abs().max()) <= 8.0
    assert bands.reach(Band((1.0, 1.0, 8.0), spread=0.1)).tolist() == [0.1, 0.1, 8.0]


def test_an_axis_that_one_tone_says_nothing_of_is_free_for_it(
    network: RandomFeatureNetwork,
) -> None:
    bands, nan = FeatureBands(network), float("nan")
    bands.tones = torch.tensor([[30.0, 3.0, nan], [20.0, 4.0, 5.0]], dtype=torch.float64)
    bands.put(Band((1.0, 1.0, 2.0), spread=0.1))
    found = frequencies(network)
    assert bands.free == [2]
    assert float(found[0::2, 2].abs().max()) <= 2.0
    assert float((found[1::2, 2].abs() - 5.0).abs().max()) <= 0.1


def test_the_draw_comes_back_without_tones(network: RandomFeatureNetwork) -> None:
    drawn = network.hidden.weight.detach().clone()
    bands = FeatureBands(network)
    bands.tones = torch.ones(1, 3, dtype=torch.float64)
    bands.put(Band.even(2.0, 3, spread=0.1))
    assert not torch.equal(network.hidden.weight, drawn)
    bands.put(Band((2.0, 3.0, 4.0)))
    assert torch.equal(network.hidden.weight, drawn)
    assert network.scale.tolist() == [2.0, 3.0, 4.0]


def test_a_narrowed_network_has_its_first_features(network: RandomFeatureNetwork) -> None:
    bands, hidden = FeatureBands(network), network.hidden
    with bands.narrowed(5):
        assert torch.equal(network.hidden.weight, hidden.weight[:5])
        assert torch.equal(network.hidden.bias, hidden.bias[:5])
    assert network.hidden is hidden


def test_a_band_is_restored_from_its_state() -> None:
    band = Band((1.0, 2.0), spread=0.1)
    assert Band.of(band.state()) == band
    # what checkpoints held before there were tones
    assert Band.of(torch.tensor([1.0, 2.0])) == Band((1.0, 2.0))


def test_initial_values_tell_the_frequencies_in_space_alone(objective) -> None:
    made = objective("heat", constraint="soft", dimension=2, frequencies=[[6, 2]], points=300)
    points = made.collocation.points
    found = tones_of_data(LinearPart(made.loss, points), points, 64.0)
    assert found[:, :2].tolist() == [pytest.approx([6 * HALF_WAVE, 2 * HALF_WAVE], rel=1e-8)]
    assert bool(found[:, 2].isnan().all())


def test_a_source_tells_the_frequencies_on_all_axes(objective) -> None:
    made = objective("poisson", constraint="soft", frequencies=[[2, 5]], points=300)
    points = made.collocation.points
    found = tones_of_data(LinearPart(made.loss, points), points, 64.0)
    assert found.tolist() == [pytest.approx([2 * HALF_WAVE, 5 * HALF_WAVE], rel=1e-8)]


def test_more_coordinates_than_can_be_looked_at_are_left_out(objective) -> None:
    made = objective("poisson", constraint="soft", dimension=4, points=100)
    points = made.collocation.points
    assert tones_of_data(LinearPart(made.loss, points), points, 64.0).shape == (0, 4)
