"""The residual as a linear function of the output layer."""

import pytest
import torch
from torch import nn

from pinnderiv.errors import ConfigurationError, UnsupportedOperationError
from pinnderiv.networks import (
    MLP,
    FourierFeatureMLP,
    ModifiedMLP,
    PirateNet,
    RandomFeatureNetwork,
    Siren,
)
from pinnderiv.training.optimisers.linear_part import LinearPart

NETWORKS = {
    "mlp": lambda inputs, outputs: MLP(inputs, outputs, 7, 2),
    "siren": lambda inputs, outputs: Siren(inputs, outputs, 7, 2, 3.0),
    "fourier": lambda inputs, outputs: FourierFeatureMLP(inputs, outputs, 7, 2, features=4),
    "modified": lambda inputs, outputs: ModifiedMLP(inputs, outputs, 7, 2),
    "adaptive": lambda inputs, outputs: MLP(inputs, outputs, 7, 2, adaptive="neuron"),
    "piratenet": lambda inputs, outputs: PirateNet(inputs, outputs, 8, 1),
    "random_features": lambda inputs, outputs: RandomFeatureNetwork(inputs, outputs, 9),
}


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize(
    ("case", "constraint"), [("wave", "hard"), ("wave", "soft"), ("wave_periodic", "soft")]
)
def test_a_c_minus_b_is_the_residual(objective, network: str, case: str, constraint: str) -> None:
    weights = {"walls": 3.0, "equation": 0.1}
    made = objective(case, NETWORKS[network], constraint, points=20, weights=weights)
    linear = LinearPart(made.loss, made.collocation.points)
    coefficients = torch.linspace(-1, 2, len(linear.coefficients), dtype=torch.float64)
    linear.set_coefficients(coefficients)
    points = made.collocation.points
    residual = linear.matrix(points) @ coefficients - linear.target(points)
    expected = made.residuals(made.vector()).detach()
    torch.testing.assert_close(residual, expected, rtol=1e-10, atol=1e-10)
    terms, wanted = linear.terms(residual, points), made.evaluate().terms
    for name, value in wanted.items():
        torch.testing.assert_close(terms[name], value, rtol=1e-8, atol=1e-12)
    assert torch.equal(linear.coefficients, coefficients)


class Bounded(nn.Module):
    """Not linear in its output layer."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.hidden, self.output = nn.Linear(inputs, 5), nn.Linear(5, outputs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.tanh(self.output(torch.tanh(self.hidden(x))))


def test_a_nonlinear_end_of_the_network_is_found_out(objective) -> None:
    made = objective("heat", Bounded)
    linear = LinearPart(made.loss, made.collocation.points)
    with pytest.raises(UnsupportedOperationError, match="levenberg_marquardt"):
        linear.require_affine(made.collocation.points)


def test_a_network_without_an_output_layer_is_refused(objective) -> None:
    made = objective("heat", lambda inputs, outputs: nn.Sequential(nn.Linear(inputs, outputs)))
    with pytest.raises(ConfigurationError, match="'output'"):
        LinearPart(made.loss, made.collocation.points)
