"""Random weight factorisation against its paper."""

from collections.abc import Callable

import pytest
import torch
from torch import nn

from pinnderiv import laplacian
from pinnderiv.networks import MLP, FourierFeatureMLP, ModifiedMLP, PirateNet
from pinnderiv.networks.factorisation import FactorisedLinear
from pinnderiv.networks.initialisations import linear

# Each with the number of its hidden layers.
NETWORKS: dict[str, tuple[Callable[..., nn.Module], int]] = {
    "mlp": (lambda **options: MLP(2, 1, 8, 3, **options), 3),
    "modified_mlp": (lambda **options: ModifiedMLP(2, 1, 8, 3, **options), 5),
    "fourier": (lambda **options: FourierFeatureMLP(2, 1, 8, 3, features=4, **options), 3),
    "piratenet": (lambda **options: PirateNet(2, 1, 8, 2, **options), 8),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_every_hidden_layer_is_factorised_and_no_other(name: str) -> None:
    build, layers = NETWORKS[name]
    for factorised in (False, True):
        network = build(factorised=factorised, adaptive="layer")
        found = [each for each in network.modules() if isinstance(each, FactorisedLinear)]
        assert len(found) == (layers if factorised else 0)
        plain = [each for each in network.modules() if isinstance(each, nn.Linear)]
        assert len(plain) == (1 if factorised else layers + 1)


def test_it_starts_as_the_layer_that_it_was_made_of() -> None:
    torch.manual_seed(0)
    layer = linear(30, 4000, "xavier").double()
    nn.init.normal_(layer.bias)
    factorised = FactorisedLinear(layer)
    x = torch.randn(5, 30, dtype=torch.float64)
    torch.testing.assert_close(factorised(x), layer(x), rtol=1e-12, atol=1e-12)
    assert factorised.exponent.mean().item() == pytest.approx(1.0, abs=0.01)
    assert factorised.exponent.std().item() == pytest.approx(0.1, rel=0.05)
    assert set(dict(factorised.named_parameters())) == {"exponent", "direction", "bias"}


def test_every_neuron_has_a_rate_of_its_own() -> None:
    """The gradients by s and V are those of W by the chain rule, scaled by eˢ neuron by neuron."""
    torch.manual_seed(0)
    layer = linear(3, 4, "xavier").double()
    factorised = FactorisedLinear(layer)
    x, wanted = torch.randn(20, 3, dtype=torch.float64), torch.randn(20, 4, dtype=torch.float64)
    for each in (layer, factorised):
        (each(x) - wanted).square().sum().backward()
    gradient, scale = layer.weight.grad, factorised.exponent.detach().exp()[:, None]
    direction = factorised.direction.detach()
    torch.testing.assert_close(factorised.direction.grad, scale * gradient)
    torch.testing.assert_close(
        factorised.exponent.grad[:, None], scale * (gradient * direction).sum(1, keepdim=True)
    )


def test_engines_agree() -> None:
    torch.manual_seed(0)
    network = MLP(2, 2, width=8, depth=2, factorised=True, adaptive="neuron").double()
    x = torch.rand(7, 2, dtype=torch.float64)
    found = {method: laplacian(network, method=method)(x) for method in ("taylor", "reverse")}
    assert found["reverse"].abs().max() > 1e-2
    torch.testing.assert_close(found["taylor"], found["reverse"], rtol=1e-10, atol=1e-10)
