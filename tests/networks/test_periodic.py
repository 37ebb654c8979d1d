"""Periodic coordinates: equal at both ends of the box, with all derivatives."""

import itertools
import math
from collections.abc import Callable

import pytest
import torch
from torch import nn

from pinnderiv import partial
from pinnderiv.errors import ArgumentError
from pinnderiv.networks import (
    MLP,
    FourierFeatureMLP,
    ModifiedMLP,
    PeriodicEmbedding,
    PirateNet,
    RandomFeatureNetwork,
    Scaled,
    Siren,
)
from pinnderiv.networks.initialisations import linear

# Bounds that binary numbers round.
LOWER, UPPER = [0.1, -1.3, 0.7], [0.7, 0.4, 1.9]


def random_features(**options: object) -> RandomFeatureNetwork:
    network = RandomFeatureNetwork(3, 2, 30, scale=2.0, **options)
    nn.init.normal_(network.output.weight)
    return network


def pirate_net(**options: object) -> PirateNet:
    network = PirateNet(3, 2, 8, 2, **options)
    for block in network.blocks:
        nn.init.constant_(block.alpha, 0.5)
    return network


NETWORKS: dict[str, Callable[..., nn.Module]] = {
    "mlp": lambda **options: MLP(3, 2, 8, 2, **options),
    "modified_mlp": lambda **options: ModifiedMLP(3, 2, 8, 2, **options),
    "fourier": lambda **options: FourierFeatureMLP(3, 2, 8, 1, features=6, **options),
    "siren": lambda **options: Siren(3, 2, 8, 2, omega_0=2.0, **options),
    "random_features": random_features,
    "piratenet": pirate_net,
}


@pytest.mark.parametrize("axes", [(0,), (0, 2), (0, 1, 2)])
@pytest.mark.parametrize("name", NETWORKS)
def test_derivatives_up_to_third_order_agree_at_both_ends(name: str, axes: tuple[int]) -> None:
    torch.manual_seed(0)
    network = NETWORKS[name](periodic_axes=axes, harmonics=2)
    u = Scaled(network, LOWER, UPPER).double()
    low, high = torch.tensor([LOWER, UPPER], dtype=torch.float64)
    for axis in axes:
        x = low + torch.rand(4, 3, dtype=torch.float64) * (high - low)
        ends = []
        for bound in (low, high):
            x[:, axis] = bound[axis]
            other = (axis + 1) % 3
            asked = [(), (axis,), (axis,) * 2, (axis,) * 3, (axis, axis, other), (other,)]
            ends.append([partial(u, each)(x) if each else u(x) for each in asked])
        for at_lower, at_upper in zip(*ends, strict=True):
            size = at_lower.abs().max()
            assert size > 1e-3
            assert (at_lower - at_upper).abs().max() < 1e-12 * max(size, 1.0)


def test_other_axes_are_not_periodic() -> None:
    torch.manual_seed(0)
    network = MLP(2, 1, periodic_axes=[-1]).double()
    left, right = torch.tensor([[[-1.0, 0.3]], [[1.0, 0.3]]], dtype=torch.float64)
    assert (network(left) - network(right)).abs().item() > 1e-3
    assert (network(left) - network(left + torch.tensor([0.0, 2.0]))).abs().item() < 1e-14


def test_the_embedding_is_its_formula() -> None:
    embedding = PeriodicEmbedding(3, [1], harmonics=3).double()
    z = torch.rand(5, 3, dtype=torch.float64)
    waves = [
        f(math.pi * k * z[:, 1]) for f, k in itertools.product((torch.cos, torch.sin), [1, 2, 3])
    ]
    torch.testing.assert_close(
        embedding(z), torch.stack([z[:, 0], z[:, 2], *waves], dim=1), rtol=1e-14, atol=1e-14
    )
    assert embedding.outputs == embedding(z).shape[1] == 8
    assert torch.equal(embedding(z)[:, :2], z[:, [0, 2]])
    assert not embedding.state_dict()


def test_without_axes_it_is_nothing() -> None:
    x = torch.rand(4, 2)
    assert PeriodicEmbedding(2)(x) is x


def test_without_axes_it_draws_nothing_and_saves_nothing() -> None:
    torch.manual_seed(5)
    layers = [linear(3, 8, "xavier"), linear(8, 8, "xavier"), linear(8, 2, "xavier")]
    torch.manual_seed(5)
    network = MLP(3, 2, 8, 2, harmonics=4)
    for layer, expected in zip([*network.hidden, network.output], layers, strict=True):
        assert torch.equal(layer.weight, expected.weight)
    assert set(network.state_dict()) == {
        f"{layer}.{field}"
        for layer in ("hidden.0", "hidden.1", "output")
        for field in ("weight", "bias")
    }


@pytest.mark.parametrize("axes", [[3], [0, 0], [True]])
def test_axes_that_are_none_are_refused(axes: list[int]) -> None:
    with pytest.raises(ArgumentError, match="periodic_axes must"):
        PeriodicEmbedding(3, axes)
