import pytest
import torch

from pinnderiv.domains import Box, SobolSampler, SpaceTime
from pinnderiv.errors import ArgumentError

SPACES = [Box([-0.1], [0.7]), Box([0.0, 1.0], [1.0, 3.0]), Box([0.0] * 3, [1.0, 2.0, 0.3])]


@pytest.mark.parametrize("space", SPACES, ids=["1d", "2d", "3d"])
def test_pieces_lie_where_their_names_say(space: Box) -> None:
    domain = SpaceTime(space, (0.3, 2.3))
    assert domain.dim == space.dim + 1
    assert domain.time_axis == space.dim
    assert domain.pieces == ("walls", "initial")
    assert domain.lower == (*space.lower, 0.3) and domain.upper == (*space.upper, 2.3)
    unit = SobolSampler(2).draw(1000, domain.dim)

    lower = torch.tensor(space.lower, dtype=torch.float64)
    upper = torch.tensor(space.upper, dtype=torch.float64)
    walls = domain.on_piece("walls", unit)
    assert ((walls[:, :-1] == lower) | (walls[:, :-1] == upper)).any(dim=1).all()
    assert walls[:, -1].mean() == pytest.approx(1.3, abs=0.01)

    initial = domain.on_piece("initial", unit)
    assert (initial[:, -1] == 0.3).all()
    assert torch.allclose(initial[:, :-1].mean(dim=0), (lower + upper) / 2, atol=0.02)

    for points in (walls, initial, domain.interior(unit)):
        assert domain.contains(points).all()


def test_measures() -> None:
    domain = SpaceTime(Box([0.0, 0.0], [1.0, 2.0]), (0.0, 3.0))
    assert domain.measure == 6.0
    assert domain.piece_measure("walls") == 18.0
    assert domain.piece_measure("initial") == 2.0


def test_contains_looks_at_time() -> None:
    domain = SpaceTime(Box([0.0], [1.0]), (0.0, 2.0))
    x = torch.tensor([[0.5, 1.0], [0.5, 2.5], [0.5, -0.1], [1.5, 1.0]])
    assert domain.contains(x).tolist() == [True, False, False, False]
    assert domain.grid(4).shape == (16, 2)


@pytest.mark.parametrize("duration", [(1.0, 1.0), (2.0, 0.0), (0.0, float("inf")), (0.0,), 1.0])
def test_a_duration_that_is_none_is_refused(duration: object) -> None:
    with pytest.raises(ArgumentError, match="duration"):
        SpaceTime(Box([0.0], [1.0]), duration)  # type: ignore[arg-type]


def test_time_does_not_nest() -> None:
    domain = SpaceTime(Box([0.0], [1.0]), (0.0, 1.0))
    with pytest.raises(ArgumentError, match="without time"):
        SpaceTime(domain, (0.0, 1.0))
    with pytest.raises(ArgumentError, match="Did you mean 'initial'"):
        domain.on_piece("inital", torch.rand(3, 2))
