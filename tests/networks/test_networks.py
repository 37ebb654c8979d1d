import copy
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, hessian, jvp, vmap

from pinnderiv.errors import ArgumentError
from pinnderiv.networks import (
    MLP,
    FourierFeatureMLP,
    FourierFeatures,
    HardConstraint,
    ModifiedMLP,
    PirateNet,
    Scaled,
    Siren,
)


def wall_data(x: Tensor) -> Tensor:
    return torch.cat([torch.sin(x).sum(1, keepdim=True), torch.exp(x[:, :1])], dim=1)


def opened(network: PirateNet) -> PirateNet:
    """With blocks that are not the identity."""
    with torch.no_grad():
        for number, block in enumerate(network.blocks):
            block.alpha.fill_(0.3 + 0.4 * number)
    return network


BUILDERS: dict[str, Callable[[], nn.Module]] = {
    "mlp": lambda: MLP(3, 2, width=16, depth=2),
    "mlp sin orthogonal": lambda: MLP(3, 2, 16, 1, "sin", "orthogonal"),
    "fourier": lambda: FourierFeatureMLP(3, 2, width=16, depth=2, features=8, sigma=[1.0, 5.0]),
    "modified": lambda: ModifiedMLP(3, 2, width=16, depth=3, activation="gelu"),
    "adaptive": lambda: MLP(3, 2, width=16, depth=2, adaptive="neuron"),
    "periodic": lambda: MLP(3, 2, width=16, depth=2, periodic_axes=[0, 2], harmonics=2),
    "factorised": lambda: MLP(3, 2, width=16, depth=2, factorised=True),
    "pirate": lambda: opened(PirateNet(3, 2, width=16, depth=2)),
    "siren": lambda: Siren(3, 2, width=16, depth=2, omega_0=5.0),
    "scaled": lambda: Scaled(MLP(3, 2, width=16), [0.1, -1.0, 0.0], [0.7, 1.0, 3.0]),
    "hard": lambda: HardConstraint(
        MLP(3, 2, width=16),
        [0.1, -1.0, 0.0],
        [0.7, 1.0, 3.0],
        wall_data,
        time_axis=2,
        time_order=1,
    ),
}

networks = pytest.mark.parametrize("build", BUILDERS.values(), ids=BUILDERS.keys())


def second_derivative_by_reverse(network: nn.Module, x: Tensor, axis: int) -> Tensor:
    """d²/dx_axis² of every output by reverse mode twice, one output at a time."""
    x = x.clone().requires_grad_()
    columns = []
    for output in network(x).unbind(dim=1):
        (first,) = torch.autograd.grad(output.sum(), x, create_graph=True)
        (second,) = torch.autograd.grad(first[:, axis].sum(), x, retain_graph=True)
        columns.append(second[:, axis])
    return torch.stack(columns, dim=1)


@networks
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_any_leading_shape_in_any_dtype(build: Callable[[], nn.Module], dtype: torch.dtype) -> None:
    network = build().to(dtype)
    x = torch.rand(4, 5, 3, dtype=dtype)
    y = network(x)
    assert y.shape == (4, 5, 2) and y.dtype == dtype
    tolerance = 1e-5 if dtype == torch.float32 else 1e-12
    assert torch.allclose(network(x.reshape(20, 3)).reshape(4, 5, 2), y, atol=tolerance)
    assert torch.allclose(network(x[1, 2]), y[1, 2], atol=tolerance)
    assert torch.allclose(vmap(network)(x[0]), y[0], atol=tolerance)


@networks
def test_forward_mode_twice_equals_reverse_mode_twice(build: Callable[[], nn.Module]) -> None:
    torch.manual_seed(0)
    network = build().double()
    x = torch.rand(6, 3, dtype=torch.float64)
    for axis in range(3):
        v = torch.zeros(3, dtype=torch.float64)
        v[axis] = 1

        def along(z: Tensor, v: Tensor = v) -> Tensor:
            return jvp(network, (z,), (v.expand_as(z),))[1]

        forward = jvp(along, (x,), (v.expand_as(x),))[1]
        reverse = second_derivative_by_reverse(network, x, axis)
        assert reverse.abs().max() > 1e-3
        assert torch.allclose(forward, reverse, rtol=1e-10, atol=1e-10)


@networks
def test_rows_under_vmap_and_parameters_under_functional_call(
    build: Callable[[], nn.Module],
) -> None:
    torch.manual_seed(0)
    network = build().double()
    x = torch.rand(5, 3, dtype=torch.float64)
    hessians = vmap(hessian(network))(x)
    expected = second_derivative_by_reverse(network, x, 1)
    assert torch.allclose(hessians[:, :, 1, 1], expected, rtol=1e-10, atol=1e-10)

    parameters = dict(network.named_parameters())

    def loss(weights: dict[str, Tensor], row: Tensor) -> Tensor:
        return functional_call(network, weights, (row,)).square().sum()

    per_row = vmap(grad(loss), in_dims=(None, 0))(parameters, x)
    network(x).square().sum().backward()
    for name, parameter in network.named_parameters():
        assert torch.allclose(per_row[name].sum(dim=0), parameter.grad, rtol=1e-9, atol=1e-12)


@networks
def test_compiles_in_one_graph_with_backward(build: Callable[[], nn.Module]) -> None:
    torch.manual_seed(0)
    network = build().double()
    x = torch.rand(7, 3, dtype=torch.float64)
    torch._dynamo.reset()
    compiled = torch.compile(network, backend="aot_eager", fullgraph=True)
    assert torch.allclose(compiled(x), network(x), rtol=1e-12, atol=1e-12)
    compiled(x).square().sum().backward()
    got = {name: parameter.grad.clone() for name, parameter in network.named_parameters()}
    network.zero_grad()
    network(x).square().sum().backward()
    for name, parameter in network.named_parameters():
        assert torch.allclose(got[name], parameter.grad, rtol=1e-10, atol=1e-12)


@networks
def test_one_seed_fixes_everything_and_a_state_restores_it(
    build: Callable[[], nn.Module],
) -> None:
    x = torch.rand(4, 3)
    torch.manual_seed(7)
    first = build()
    torch.manual_seed(7)
    assert torch.equal(build()(x), first(x))
    other = build()
    assert not torch.equal(other(x), first(x))
    other.load_state_dict(first.state_dict())
    assert torch.equal(other(x), first(x))
    assert torch.equal(copy.deepcopy(first)(x), first(x))


def test_mlp_is_its_formula() -> None:
    network = MLP(2, 1, width=4, depth=2, activation="silu")
    a, b = network.hidden
    x = torch.rand(5, 2)
    h = nn.functional.silu(x @ a.weight.T + a.bias)
    h = nn.functional.silu(h @ b.weight.T + b.bias)
    assert torch.allclose(network(x), h @ network.output.weight.T + network.output.bias)
    assert sum(p.numel() for p in network.parameters()) == (2 * 4 + 4) + (4 * 4 + 4) + (4 + 1)


def test_modified_mlp_is_its_formula() -> None:
    torch.manual_seed(0)
    network = ModifiedMLP(2, 1, width=4, depth=3).double()
    x = torch.rand(5, 2, dtype=torch.float64)
    u, v = torch.tanh(network.encoder_u(x)), torch.tanh(network.encoder_v(x))
    h = torch.tanh(network.first(x))
    for layer in network.gates:
        z = torch.tanh(layer(h))
        h = (1 - z) * u + z * v
    assert len(network.gates) == 2
    assert torch.allclose(network(x), network.output(h), rtol=1e-13)


def test_fourier_features_are_cosines_and_sines_at_each_scale() -> None:
    torch.manual_seed(0)
    features = FourierFeatures(2, features=4000, sigma=(1.0, 10.0)).double()
    assert not list(features.parameters())
    frequencies = features.frequencies
    for scale, sigma in enumerate((1.0, 10.0)):
        assert frequencies[scale::2].std().item() == pytest.approx(sigma, rel=0.05)
    x = torch.rand(3, 2, dtype=torch.float64)
    angle = x @ frequencies.T
    assert torch.allclose(features(x), torch.cat([angle.cos(), angle.sin()], dim=1))
    assert "frequencies" in features.state_dict()


def test_siren_keeps_the_distribution_of_its_activations_through_depth() -> None:
    torch.manual_seed(0)
    network = Siren(2, 1, width=512, depth=6, omega_0=30.0)
    x = torch.rand(2000, 2) * 2 - 1
    bounds = [1 / 2, *[(6 / 512) ** 0.5 / 30] * 6]
    for layer, bound in zip([*network.hidden, network.output], bounds, strict=True):
        largest = layer.weight.abs().max().item()
        assert 0.9 * bound < largest <= bound
    # The paper's theorem: arcsine distributed, so of standard deviation 1/√2, at every layer.
    for layer in network.hidden:
        x = torch.sin(network.omega_0 * layer(x))
        assert x.std().item() == pytest.approx(0.5**0.5, abs=0.03)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: MLP(0, 1), "inputs must be"),
        (lambda: MLP(2, 1, width=3.5), "width must be"),
        (lambda: MLP(2, 1, depth=0), "depth must be"),
        (lambda: MLP(2, True), "outputs must be"),
        (lambda: MLP(2, 1, activation="tahn"), "Did you mean 'tanh'"),
        (lambda: MLP(2, 1, initialisation="Xavier"), "Did you mean 'xavier'"),
        (lambda: ModifiedMLP(2, 1, activation="snake"), "Known: gelu, mish"),
        (lambda: ModifiedMLP(2, 1, depth=1), "Use MLP"),
        (lambda: PirateNet(2, 1, width=7), "width must be even"),
        (lambda: PirateNet(2, 1, depth=0), "depth must be"),
        (lambda: MLP(2, 1, adaptive="neurons"), "Did you mean 'neuron'"),
        (lambda: PirateNet(2, 1, adaptive_scale=0.5), "adaptive_scale must be"),
        (lambda: MLP(2, 1, periodic_axes=[2]), "columns from 0 to 1"),
        (lambda: Siren(2, 1, periodic_axes=[1, -1]), "each column once"),
        (lambda: MLP(2, 1, periodic_axes=[0.0]), "periodic_axes must list columns"),
        (lambda: ModifiedMLP(2, 1, periodic_axes=[0], harmonics=0), "harmonics must be"),
        (lambda: Siren(2, 1, omega_0=0.0), "omega_0"),
        (lambda: FourierFeatureMLP(2, 1, sigma=-1.0), "sigma"),
        (lambda: FourierFeatureMLP(2, 1, sigma=[]), "sigma"),
        (lambda: FourierFeatureMLP(2, 1, features=1, sigma=[1.0, 2.0]), "number of scales"),
    ],
)
def test_bad_arguments_are_refused(build: Callable[[], nn.Module], message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        build()
