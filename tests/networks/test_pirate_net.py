"""PirateNet against its paper."""

import pytest
import torch
from torch import Tensor, nn

from pinnderiv import laplacian
from pinnderiv.networks import PirateNet


def opened(network: PirateNet, alpha: float = 0.6) -> PirateNet:
    with torch.no_grad():
        for block in network.blocks:
            block.alpha.fill_(alpha)
    return network


def as_written(network: PirateNet, x: Tensor) -> Tensor:
    """Equations 4.1 to 4.7 of the paper, term by term."""

    def dense(layer: nn.Linear, z: Tensor) -> Tensor:
        return torch.tanh(z @ layer.weight.T + layer.bias)

    angle = x @ network.features.frequencies.T
    phi = torch.cat([angle.cos(), angle.sin()], dim=1)
    u, v = dense(network.encoder_u, phi), dense(network.encoder_v, phi)
    state = phi
    for block in network.blocks:
        f = dense(block.layers[0], state)
        z1 = f * u + (1 - f) * v
        g = dense(block.layers[1], z1)
        z2 = g * u + (1 - g) * v
        h = dense(block.layers[2], z2)
        state = block.alpha * h + (1 - block.alpha) * state
    return state @ network.output.weight.T + network.output.bias


def test_it_starts_as_the_last_layer_of_its_embedding() -> None:
    network = PirateNet(3, 2, width=24, depth=4)
    x = torch.randn(7, 3)
    assert torch.equal(network(x), network.output(network.features(x)))
    assert not torch.equal(opened(network)(x), network.output(network.features(x)))


def test_it_is_its_formula() -> None:
    torch.manual_seed(0)
    network = opened(PirateNet(2, 3, width=10, depth=3).double())
    x = torch.randn(9, 2, dtype=torch.float64)
    torch.testing.assert_close(network(x), as_written(network, x), rtol=1e-13, atol=1e-13)


def test_it_has_the_parameters_of_its_layers() -> None:
    w, blocks, outputs = 12, 3, 2
    dense = w * w + w
    network = PirateNet(4, outputs, width=w, depth=blocks)
    expected = 2 * dense + blocks * (3 * dense + 1) + outputs * (w + 1)
    assert sum(each.numel() for each in network.parameters()) == expected


@pytest.mark.parametrize("alpha", [0.0, 0.6])
def test_engines_agree(alpha: float) -> None:
    torch.manual_seed(1)
    network = opened(PirateNet(2, 2, width=16, depth=2, sigma=2.0).double(), alpha)
    x = torch.rand(11, 2, dtype=torch.float64)
    found = {method: laplacian(network, method=method)(x) for method in ("taylor", "reverse")}
    assert found["reverse"].abs().max() > 0.1
    torch.testing.assert_close(found["taylor"], found["reverse"], rtol=1e-10, atol=1e-10)


def test_training_opens_its_blocks() -> None:
    torch.manual_seed(0)
    network = PirateNet(1, 1, width=16, depth=2)
    x = torch.linspace(-1, 1, 64)[:, None]
    wanted = torch.sin(6 * x) + torch.tanh(8 * x)
    optimiser = torch.optim.Adam(network.parameters(), lr=1e-2)
    first = (network(x) - wanted).square().mean().item()
    for _ in range(300):
        optimiser.zero_grad()
        loss = (network(x) - wanted).square().mean()
        loss.backward()
        optimiser.step()
    assert loss.item() < 1e-3 * first
    assert all(block.alpha.abs().item() > 1e-3 for block in network.blocks)
