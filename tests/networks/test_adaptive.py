"""Adaptive activations: σ(n a z) with a trained slope a."""

from collections.abc import Callable

import pytest
import torch
from torch import nn

from pinnderiv import laplacian
from pinnderiv.networks import MLP, FourierFeatureMLP, ModifiedMLP, PirateNet

NETWORKS: dict[str, Callable[..., nn.Module]] = {
    "mlp": lambda **options: MLP(2, 1, 8, 3, **options),
    "modified_mlp": lambda **options: ModifiedMLP(2, 1, 8, 3, **options),
    "fourier": lambda **options: FourierFeatureMLP(2, 1, 8, 3, features=4, **options),
    "piratenet": lambda **options: PirateNet(2, 1, 8, 2, **options),
}
# Layers that an activation follows.
LAYERS = {"mlp": 3, "modified_mlp": 5, "fourier": 3, "piratenet": 8}

networks = pytest.mark.parametrize("name", NETWORKS)


def slopes(network: nn.Module) -> list[nn.Parameter]:
    return [each for name, each in network.named_parameters() if name.endswith("slope")]


@networks
@pytest.mark.parametrize(("adaptive", "size"), [("none", None), ("layer", 1), ("neuron", 8)])
def test_every_activation_gets_its_slopes(name: str, adaptive: str, size: int | None) -> None:
    found = slopes(NETWORKS[name](adaptive=adaptive))
    assert [each.numel() for each in found] == ([size] * LAYERS[name] if size else [])


@networks
@pytest.mark.parametrize("adaptive", ["layer", "neuron"])
def test_it_starts_as_the_network_without(name: str, adaptive: str) -> None:
    torch.manual_seed(3)
    plain = NETWORKS[name]().double()
    torch.manual_seed(3)
    # 1/8 is exact, so that n a is 1 in any dtype
    network = NETWORKS[name](adaptive=adaptive, adaptive_scale=8.0).double()
    following = torch.rand(1)
    torch.manual_seed(3)
    NETWORKS[name]()
    assert torch.equal(torch.rand(1), following)  # it drew nothing more
    x = torch.rand(5, 2, dtype=torch.float64)
    assert torch.equal(network(x), plain(x))
    torch.testing.assert_close(laplacian(network)(x), laplacian(plain)(x), rtol=1e-12, atol=1e-12)


def test_it_is_its_formula() -> None:
    torch.manual_seed(0)
    network = MLP(2, 1, width=4, depth=2, adaptive="neuron", adaptive_scale=5.0).double()
    for slope in slopes(network):
        nn.init.uniform_(slope, 0.1, 0.4)
    (a, b), x = network.hidden, torch.rand(6, 2, dtype=torch.float64)
    h = torch.tanh(5 * a.slope * (x @ a.layer.weight.T + a.layer.bias))
    h = torch.tanh(5 * b.slope * (h @ b.layer.weight.T + b.layer.bias))
    torch.testing.assert_close(network(x), network.output(h), rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("adaptive", ["layer", "neuron"])
def test_engines_agree(adaptive: str) -> None:
    torch.manual_seed(0)
    network = MLP(2, 2, width=8, depth=2, adaptive=adaptive).double()
    for slope in slopes(network):
        nn.init.uniform_(slope, 0.05, 0.2)
    x = torch.rand(7, 2, dtype=torch.float64)
    torch.testing.assert_close(
        laplacian(network, method="taylor")(x),
        laplacian(network, method="reverse")(x),
        rtol=1e-10,
        atol=1e-10,
    )


def test_n_speeds_the_slope_up() -> None:
    """One step of gradient descent moves n a by n² times what n = 1 does."""
    moved = []
    for scale in (1.0, 8.0):
        torch.manual_seed(0)
        network = MLP(1, 1, width=8, depth=1, adaptive="layer", adaptive_scale=scale).double()
        x = torch.linspace(-1, 1, 20, dtype=torch.float64)[:, None]
        (network(x) - torch.sin(5 * x)).square().mean().backward()
        (slope,) = slopes(network)
        moved.append(scale * slope.grad.item())
    assert moved[0] != 0.0
    assert moved[1] == pytest.approx(64 * moved[0], rel=1e-12)
