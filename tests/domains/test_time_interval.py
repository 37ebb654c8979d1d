"""Time alone, as a domain."""

import pytest
import torch

from pinnderiv.domains import Box, SobolSampler, SpaceTime, TimeInterval
from pinnderiv.errors import ArgumentError, UnsupportedOperationError

DOMAIN = TimeInterval(0.3, 2.3)


def test_points_lie_where_their_names_say() -> None:
    assert (DOMAIN.dim, DOMAIN.time_axis, DOMAIN.duration) == (1, 0, (0.3, 2.3))
    assert (DOMAIN.pieces, DOMAIN.names) == (("initial",), ("initial", "final"))
    assert (DOMAIN.lower, DOMAIN.upper) == ((0.3,), (2.3,))
    inside = DOMAIN.sample(SobolSampler(0), 500)
    assert inside.shape == (500, 1) and DOMAIN.contains(inside).all()
    assert inside.mean() == pytest.approx(1.3, abs=0.01) and inside.std() > 0.5
    for name, time in (("initial", 0.3), ("final", 2.3)):
        at = DOMAIN.sample_piece(name, SobolSampler(0), 7)
        assert at.shape == (7, 1) and (at == time).all() and DOMAIN.contains(at).all()
        assert torch.equal(DOMAIN.on_piece(name, torch.rand(7, 1).double()), at)
        assert DOMAIN.normals(name, at).tolist() == [[-1.0 if name == "initial" else 1.0]] * 7
    outside = torch.tensor([[0.29], [2.31]], dtype=torch.float64)
    assert not DOMAIN.contains(outside).any()
    assert DOMAIN.grid(3)[:, 0].tolist() == pytest.approx([0.3, 1.3, 2.3])
    assert repr(DOMAIN) == "TimeInterval(0.3, 2.3)"


def test_measures_and_distances() -> None:
    assert DOMAIN.measure == pytest.approx(2.0) and DOMAIN.piece_measure("initial") == 1.0
    x = torch.tensor([[0.3], [0.8], [2.3]], dtype=torch.float64)
    assert DOMAIN.piece_distance("initial", x)[:, 0].tolist() == pytest.approx([0.0, 0.5, 2.0])
    assert DOMAIN.piece_distance("final", x)[:, 0].tolist() == pytest.approx([2.0, 1.5, 0.0])
    both = DOMAIN.piece_distance(["initial", "final"], x)[:, 0].tolist()
    assert both == pytest.approx([0.0, 0.375, 0.0])
    with pytest.raises(UnsupportedOperationError, match="no boundary"):
        DOMAIN.distance(x)


@pytest.mark.parametrize("name", ["boundary", "walls", "t_min"])
def test_it_has_no_boundary(name: str) -> None:
    with pytest.raises(ArgumentError, match=r"TimeInterval named .* Known: initial; also final"):
        DOMAIN.sample_piece(name, SobolSampler(0), 3)


@pytest.mark.parametrize("ends", [(1.0, 1.0), (2.0, 0.0), (0.0, float("inf")), ("a", 1.0)])
def test_times_that_are_none_are_refused(ends: tuple[float, float]) -> None:
    with pytest.raises(ArgumentError, match="duration"):
        TimeInterval(*ends)


def test_it_is_no_space() -> None:
    with pytest.raises(ArgumentError, match="without time; got a TimeInterval"):
        SpaceTime(DOMAIN, (0.0, 1.0))
    with pytest.raises(ArgumentError, match="combined in space"):
        DOMAIN | TimeInterval(2.0, 3.0)


@pytest.mark.parametrize("whole", [DOMAIN, SpaceTime(Box([0.0], [1.0]), (0.3, 2.3))])
def test_a_part_of_time_has_the_same_names(whole: SpaceTime | TimeInterval) -> None:
    named = whole.piece_where("here", "initial", lambda x: x[:, 0] < 0.7)
    assert named.piece_measure("here") > 0
    part = named.during(0.5, 1.0)
    assert part.names == named.names and part.duration == (0.5, 1.0)
    assert part.measure == pytest.approx(whole.measure / 4)
    points = part.sample_piece("here", SobolSampler(0), 9)
    assert (points[:, -1] == 0.5).all() and (points[:, 0] < 0.7).all()
    assert named.duration == (0.3, 2.3)
    with pytest.raises(ArgumentError, match="start before it ends"):
        whole.during(1.0, 1.0)
