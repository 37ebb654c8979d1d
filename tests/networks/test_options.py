import warnings

import pytest
import torch
from torch import nn

from pinnderiv.networks import ACTIVATIONS, INITIALISATIONS, MLP
from pinnderiv.networks.activations import softplus
from pinnderiv.networks.initialisations import linear


@pytest.mark.parametrize("name", sorted(set(ACTIVATIONS) - {"relu"}))
def test_every_smooth_activation_bends(name: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        network = MLP(1, 1, width=8, depth=1, activation=name).double()
    x = torch.linspace(-1, 1, 9, dtype=torch.float64)[:, None].requires_grad_()
    (slope,) = torch.autograd.grad(network(x).sum(), x, create_graph=True)
    (curvature,) = torch.autograd.grad(slope.sum(), x)
    step = 1e-4
    difference = network(x + step) - 2 * network(x) + network(x - step)
    assert torch.allclose(curvature, difference / step**2, atol=1e-6)
    assert curvature.abs().max() > 1e-3


def test_relu_is_built_with_a_warning_that_points_at_the_caller() -> None:
    with pytest.warns(UserWarning, match="second derivative of relu is zero") as caught:
        network = MLP(2, 1, activation="relu")
    assert caught[0].filename == __file__
    assert network(torch.rand(3, 2)).shape == (3, 1)


def test_a_function_serves_as_activation() -> None:
    network = MLP(2, 1, depth=1, activation=torch.cos)
    x = torch.rand(3, 2)
    assert torch.allclose(network(x), network.output(torch.cos(network.hidden[0](x))))


def test_softplus_is_smooth_to_rounding_where_torch_jumps() -> None:
    x = torch.linspace(19, 45, 200, dtype=torch.float64)
    exact = x + torch.log1p(torch.exp(-x))
    assert (softplus(x) - exact).abs().max() < 1e-14
    assert (nn.functional.softplus(x) - exact).abs().max() > 1e-9


# Standard deviations for fan_in 300 and fan_out 100.
STANDARD_DEVIATION = {
    "xavier": (2 / 400) ** 0.5,
    "glorot": (2 / 400) ** 0.5,
    "he": (2 / 300) ** 0.5,
    "kaiming": (2 / 300) ** 0.5,
    "lecun": (1 / 300) ** 0.5,
    "orthogonal": (1 / 300) ** 0.5,
}


@pytest.mark.parametrize("name", sorted(INITIALISATIONS))
def test_initialisations_have_the_variance_of_their_papers(name: str) -> None:
    torch.manual_seed(0)
    layer = linear(300, 100, name)
    expected = STANDARD_DEVIATION[name.partition("_")[0]]
    assert layer.weight.std().item() == pytest.approx(expected, rel=0.02)
    assert (layer.bias == 0).all()
    largest = layer.weight.abs().max().item()
    if name.endswith("_normal"):
        assert largest > 3 * expected
    elif name != "orthogonal":
        assert largest <= 3**0.5 * expected * (1 + 1e-6)


def test_orthogonal_rows_are_orthonormal() -> None:
    weight = linear(50, 20, "orthogonal").weight
    assert torch.allclose(weight @ weight.T, torch.eye(20), atol=1e-5)
