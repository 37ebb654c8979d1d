"""The network of random sines."""

import pytest
import torch

from pinnderiv.errors import ArgumentError
from pinnderiv.networks import RandomFeatureNetwork


def test_it_is_one_layer_of_sines_of_scaled_inputs() -> None:
    network = RandomFeatureNetwork(3, 2, 11, scale=2.5)
    torch.nn.init.normal_(network.output.weight)
    x = torch.randn(5, 3)
    expected = torch.sin(2.5 * x @ network.hidden.weight.T + network.hidden.bias)
    expected = expected @ network.output.weight.T
    torch.testing.assert_close(network(x), expected)


def test_the_frequencies_fill_the_band_and_nothing_beyond() -> None:
    weight = RandomFeatureNetwork(2, 1, 2000).hidden.weight
    assert 0.99 < float(weight.detach().abs().max()) <= 1.0
    assert abs(float(weight.detach().abs().mean()) - 0.5) < 0.02


def test_features_look_at_as_many_coordinates_as_asked() -> None:
    network = RandomFeatureNetwork(5, 1, 300, orders=[1, 2, 9])
    counts = (network.hidden.weight != 0).sum(dim=1)
    assert counts[0::3].unique().tolist() == [1]
    assert counts[1::3].unique().tolist() == [2]
    assert counts[2::3].unique().tolist() == [5]
    # every coordinate gets its share of those that look at one
    assert (network.hidden.weight[0::3] != 0).any(dim=0).all()


@pytest.mark.parametrize("bad", [{"scale": 0.0}, {"width": 0}, {"orders": [1, 0]}])
def test_sizes_that_make_no_sense_are_refused(bad: dict) -> None:
    with pytest.raises(ArgumentError):
        RandomFeatureNetwork(2, 1, **bad)
