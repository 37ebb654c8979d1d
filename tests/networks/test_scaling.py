import pytest
import torch
from torch import nn

from pinnderiv.errors import ArgumentError
from pinnderiv.networks import MLP, Normalise, Scaled

LOWER, UPPER = [-0.1, 2.0], [0.7, 2.5]


def test_the_box_becomes_the_unit_cube() -> None:
    normalise = Normalise(LOWER, UPPER).double()
    corners = torch.tensor([LOWER, UPPER, [0.3, 2.25]], dtype=torch.float64)
    expected = torch.tensor([[-1.0, -1.0], [1.0, 1.0], [0.0, 0.0]], dtype=torch.float64)
    assert torch.allclose(normalise(corners), expected, atol=1e-14)


def test_scaled_is_the_network_of_scaled_inputs() -> None:
    network = MLP(2, 1)
    x = torch.rand(5, 2)
    assert torch.equal(Scaled(network, LOWER, UPPER)(x), network(Normalise(LOWER, UPPER)(x)))


def test_bounds_survive_every_change_of_dtype() -> None:
    scaled = Scaled(MLP(2, 1), LOWER, UPPER).to(torch.float32).half().float().double()
    assert scaled.normalise.lower.tolist() == LOWER
    assert scaled.normalise.lower.dtype == torch.float64
    assert scaled.float().normalise.lower.dtype == torch.float32
    nested = nn.Sequential(scaled).double()
    assert nested[0].normalise.lower.tolist() == LOWER


def test_a_checkpoint_holds_no_bounds() -> None:
    assert set(Scaled(nn.Linear(2, 1), LOWER, UPPER).state_dict()) == {
        "network.weight",
        "network.bias",
    }


@pytest.mark.parametrize(
    ("lower", "upper", "message"),
    [
        ([0.0], [1.0, 1.0], "1 in lower and 2 in upper"),
        ([0.0, 1.0], [1.0, 1.0], "axis 1"),
        ([0.0], [float("nan")], "axis 0"),
        (0.0, 1.0, "lists"),
        ([], [], "one number a coordinate"),
    ],
)
def test_bad_bounds_are_refused(lower: object, upper: object, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        Normalise(lower, upper)  # type: ignore[arg-type]
