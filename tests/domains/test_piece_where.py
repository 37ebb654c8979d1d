import pytest
import torch

from pinnderiv.domains import Ball, Box, SobolSampler, SpaceTime, UniformSampler
from pinnderiv.errors import ArgumentError, ShapeError, UnsupportedOperationError

SQUARE = Box([0.0, 0.0], [1.0, 1.0])
INLET = SQUARE.piece_where("inlet", "x_min", lambda x: x[:, 1] > 0.75)


def test_a_predicate_names_a_part_of_a_piece() -> None:
    assert "inlet" in INLET.names and INLET.pieces == ("walls",)
    assert "inlet" not in SQUARE.names
    points = INLET.sample_piece("inlet", SobolSampler(0), 256)
    assert (points[:, 0] == 0).all() and (points[:, 1] > 0.75).all()
    assert float(points[:, 1].mean()) == pytest.approx(0.875, abs=0.01)
    assert (INLET.normals("inlet", points) == torch.tensor([-1.0, 0.0])).all()
    assert abs(INLET.piece_measure("inlet") - 0.25) <= 5 * INLET.piece_measure_error("inlet")
    assert INLET.piece_measure_error("inlet") < 1e-4
    # A part of the part.
    corner = INLET.piece_where("corner", "inlet", lambda x: x[:, 1:] > 0.9)
    assert (corner.sample_piece("corner", UniformSampler(0), 20)[:, 1] > 0.9).all()
    assert corner.piece_measure("corner") == pytest.approx(0.1, abs=1e-3)


def test_it_is_kept_over_time_and_in_combinations() -> None:
    cylinder = SpaceTime(INLET, (0.0, 2.0))
    points = cylinder.sample_piece("inlet", SobolSampler(0), 64)
    assert (points[:, 0] == 0).all() and (points[:, 1] > 0.75).all()
    assert cylinder.piece_measure("inlet") == pytest.approx(0.5, rel=1e-3)
    early = cylinder.piece_where("early", "inlet", lambda x: x[:, 2] < 0.5)
    assert (early.sample_piece("early", UniformSampler(0), 30)[:, 2] < 0.5).all()

    pierced = INLET - Ball([0.0, 1.0], 0.1)
    points = pierced.sample_piece("inlet", UniformSampler(0), 200)
    assert (points[:, 0] == 0).all()
    assert (points[:, 1] > 0.75).all() and (points[:, 1] <= 0.9).all()
    assert pierced.piece_measure("inlet") == pytest.approx(0.15, rel=2e-3)
    lower = pierced.piece_where("arc_low", "sphere", lambda x: x[:, 0] > x[:, 1] - 0.92)
    inside = lower & Box([-1.0, -1.0], [2.0, 2.0])
    points = inside.sample_piece("arc_low", UniformSampler(0), 50)
    offset = points - torch.tensor([0.0, 1.0], dtype=torch.float64)
    assert torch.allclose(offset.norm(dim=1), torch.full((50,), 0.1, dtype=torch.float64))
    assert (points[:, 0] > points[:, 1] - 0.92).all()
    assert torch.allclose(inside.normals("arc_low", points), -offset / 0.1)


def test_parts_of_two_shapes_under_one_name_count_once() -> None:
    # Both tops lie on one line and overlap for x from 1 to 2; the predicates differ.
    first = Box([0.0, 0.0], [2.0, 1.0]).piece_where("vent", "y_max", lambda x: x[:, 0] < 1.5)
    second = Box([1.0, 0.0], [3.0, 1.0]).piece_where("vent", "y_max", lambda x: x[:, 0] < 2.5)
    domain = first | second
    assert domain.piece_measure("vent") == pytest.approx(2.5, rel=1e-3)
    points = domain.sample_piece("vent", SobolSampler(0), 1000)[:, 0]
    counts = [int(((points >= k / 2) & (points < (k + 1) / 2)).sum()) for k in range(5)]
    assert counts == pytest.approx([200] * 5, abs=12)


def test_one_state_of_the_sampler_gives_the_same_points() -> None:
    first, second = UniformSampler(4), UniformSampler(4)
    assert torch.equal(
        INLET.sample_piece("inlet", first, 100),
        SQUARE.piece_where("inlet", "x_min", lambda x: x[:, 1] > 0.75).sample_piece(
            "inlet", second, 100
        ),
    )
    assert first.draws == second.draws


def test_predicates_that_cannot_work_are_refused() -> None:
    with pytest.raises(ArgumentError, match=r"'nowhere'.*empty"):
        SQUARE.piece_where("nowhere", "walls", lambda x: x[:, 0] > 3)
    with pytest.raises(ArgumentError, match="Did you mean 'x_min'"):
        SQUARE.piece_where("part", "xmin", lambda x: x[:, 0] > 3)
    for name in ("walls", "x_min", "boundary", "initial"):
        with pytest.raises(ArgumentError, match="taken"):
            SQUARE.piece_where(name, "walls", lambda x: x[:, 0] > 0.5)
    with pytest.raises(ArgumentError, match="word"):
        SQUARE.piece_where("a piece", "walls", lambda x: x[:, 0] > 0.5)
    for predicate in (lambda x: x[:, 0], lambda x: x > 0.5, lambda x: True):
        with pytest.raises(ShapeError, match=r"predicate \(of piece 'part'\)"):
            SQUARE.piece_where("part", "walls", predicate)
    pierced = INLET - Ball([0.0, 1.0], 0.1)
    for domain in (INLET, SpaceTime(INLET, (0.0, 1.0)), pierced):
        with pytest.raises(UnsupportedOperationError, match="soft"):
            domain.piece_distance("inlet", torch.rand(3, domain.dim))
    with pytest.raises(UnsupportedOperationError, match="rejection"):
        INLET.on_piece("inlet", torch.rand(3, 2))
