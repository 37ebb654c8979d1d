import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pinnderiv.domains import Polygon, SobolSampler, UniformSampler
from pinnderiv.errors import ArgumentError
from tests.domains.shapes import ARROW, L_SHAPE


@settings(max_examples=60, deadline=None)
@given(
    radii=st.lists(st.floats(0.2, 2.0), min_size=3, max_size=12),
    turn=st.floats(0, 6),
    clockwise=st.booleans(),
)
def test_star_shaped_polygons(radii: list[float], turn: float, clockwise: bool) -> None:
    count = len(radii)
    angles = [turn + 2 * math.pi * k / count for k in range(count)]
    vertices = [[r * math.cos(a), r * math.sin(a)] for r, a in zip(radii, angles, strict=True)]
    polygon = Polygon(vertices[::-1] if clockwise else vertices)
    # In a star the radius at an angle says what is inside.
    wedges = [
        radii[k] * radii[(k + 1) % count] * math.sin(2 * math.pi / count) / 2 for k in range(count)
    ]
    assert polygon.measure == pytest.approx(sum(wedges))
    points = polygon.sample(SobolSampler(1), 512)
    assert polygon.contains(points).all()
    angle = (torch.atan2(points[:, 1], points[:, 0]) - turn) % (2 * math.pi)
    wedge = (angle / (2 * math.pi / count)).long().clamp(max=count - 1)
    shares = torch.bincount(wedge, minlength=count).double() / 512
    expected = torch.tensor(wedges) / sum(wedges)
    assert ((shares - expected).abs() < 5 * (expected / 512).sqrt() + 0.01).all()
    level = polygon._level(x := UniformSampler(2).draw(500, 2) * 4 - 2)
    assert torch.equal(level[:, 0] > 0, polygon._within(x, 0.0))
    edge = polygon.sample_piece("boundary", UniformSampler(3), 64)
    normals = polygon.normals("boundary", edge)
    assert polygon.contains(edge - 1e-7 * normals).double().mean() > 0.95
    assert polygon.contains(edge + 1e-7 * normals).double().mean() < 0.05


def test_edges_have_names_in_order() -> None:
    polygon = Polygon(L_SHAPE)
    assert polygon.pieces == ("boundary",)
    assert polygon.names == ("boundary", *(f"edge_{k}" for k in range(6)))
    points = polygon.sample_piece("edge_2", UniformSampler(0), 20)
    assert (points[:, 1] == 1.0).all() and (points[:, 0] >= 1.0).all()
    assert polygon.normals("edge_2", points).tolist() == [[0.0, 1.0]] * 20
    assert polygon.piece_measure("edge_2") == 1.0
    with pytest.raises(ArgumentError, match="Did you mean 'edge_5'"):
        polygon.sample_piece("edge_6", UniformSampler(0), 2)


def test_distance_vanishes_on_edges_and_vertices_alone() -> None:
    polygon = Polygon(ARROW)
    corners = torch.tensor(ARROW, dtype=torch.float64)
    for dtype in (torch.float64, torch.float32):
        assert (polygon.distance(corners.to(dtype)) == 0).all()
        middles = ((corners + corners.roll(-1, 0)) / 2).to(dtype)
        assert polygon.distance(middles).abs().max() < 4 * torch.finfo(dtype).eps
    # The line through an edge goes on inside, and there is no boundary there.
    inside = torch.tensor([[1.5, 1.0], [2.0, 1.1]], dtype=torch.float64)
    assert (polygon.distance(inside) > 0.05).all()
    for k in range(4):
        assert (polygon.piece_distance(f"edge_{k}", inside) > 0.05).all()
        ends = corners[[k, (k + 1) % 4]]
        assert polygon.piece_distance(f"edge_{k}", ends).abs().max() < 1e-14
        others = corners[[(k + 2) % 4, (k + 3) % 4]]
        assert (polygon.piece_distance(f"edge_{k}", others) > 0.1).all()


def test_distance_is_the_distance_near_an_edge() -> None:
    polygon = Polygon(L_SHAPE)
    for height in (1e-3, 1e-2):
        x = torch.tensor([[0.7, height]], dtype=torch.float64)
        assert float(polygon.distance(x)) == pytest.approx(height, rel=3 * height)
        assert float(polygon.piece_distance("edge_0", x)) == pytest.approx(height, rel=1e-6)


def test_a_polygon_with_many_edges() -> None:
    angles = [2 * math.pi * k / 720 for k in range(720)]
    disc = Polygon([[math.cos(a), math.sin(a)] for a in angles])
    assert disc.convex and disc.measure == pytest.approx(math.pi, rel=2e-5)
    points = disc.sample(SobolSampler(0), 1000)
    assert disc.contains(points).all()
    assert float(points.square().sum(dim=1).mean()) == pytest.approx(0.5, abs=0.005)


@pytest.mark.parametrize(
    ("vertices", "message"),
    [
        ([[0, 0], [1, 1]], "at least three vertices; got 2"),
        ([[0, 0], [1, 1], [1, 0], [0, 1]], "edges 0 and 2 meet"),
        ([[0, 0], [2, 0], [2, 2], [1, 0], [0, 2]], "crosses itself"),
        ([[0, 0], [1, 0], [1, 0], [0, 1]], "vertices 1 and 2 are the same"),
        ([[0, 0], [1, 0], [0, 1], [0, 0]], "vertices 3 and 0 are the same"),
        ([[0, 0], [2, 0], [1, 0]], "run back on each other"),
        ([[0, 0], [1, 0], [0, math.nan]], "vertex 2 .* finite"),
        ([[0, 0], [1, 0], [0, 1, 2]], "vertex 2 must have 2 entries"),
        (3, "list of pairs"),
    ],
)
def test_a_polygon_that_is_none_is_refused(vertices: object, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        Polygon(vertices)  # type: ignore[arg-type]


def test_an_edge_is_smooth_where_its_line_does_not_come_back() -> None:
    corner = Polygon([[0, 0], [2, 0], [2, 1], [1, 1], [1, 2], [0, 2]])
    smooth = [corner.smooth(f"edge_{k}") for k in range(6)]
    assert smooth == [True, True, False, False, True, True] and not corner.smooth("boundary")
    x = torch.tensor([[0.3, 0.4], [1.9, 0.1]], dtype=torch.float64)
    assert torch.equal(corner.piece_distance("edge_0", x), x[:, 1:])
    # on either side of the way round
    turned = Polygon([[0, 2], [1, 2], [1, 1], [2, 1], [2, 0], [0, 0]])
    assert torch.equal(turned.piece_distance("edge_4", x), x[:, 1:])
    # a vertex further on lies on the line of the first edge
    bay = Polygon([[0, 0], [1, 0], [1.5, 1], [2, 0], [3, 0], [3, 2], [0, 2]])
    assert not bay.smooth("edge_0") and bay.smooth("edge_4")
