import itertools
import math

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import Tensor

import pinnderiv
from pinnderiv.domains import (
    Ball,
    Box,
    Difference,
    Domain,
    HalfSpace,
    Intersection,
    Interval,
    Polygon,
    SobolSampler,
    SpaceTime,
    UniformSampler,
    Union,
)
from pinnderiv.errors import ArgumentError, ShapeError, UnsupportedOperationError
from tests.domains.shapes import pierced_square

SQUARE = Box([0.0, 0.0], [1.0, 1.0])
FAR = Ball([5.0, 5.0], 1.0)
ORDERS = ["(a|b)-c", "a&(b|c)", "a-(b&c)", "(a&b)|c", "a|b|c", "(a-b)&c", "a-(b-c)"]


def grid_of(domain: Domain, n: int = 41) -> Tensor:
    # Off the round numbers, on which shapes of the tests end.
    return domain.grid(n) * 1.1 - 0.0137


@settings(max_examples=20, deadline=None)
@given(
    centres=st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=2, max_size=3),
    radii=st.lists(st.floats(0.3, 0.6), min_size=3, max_size=3),
    order=st.sampled_from(ORDERS),
)
def test_operators_are_those_of_sets(
    centres: list[tuple[float, float]], radii: list[float], order: str
) -> None:
    # Spheres that nearly coincide leave slivers, which have a test of their own.
    assume(all(math.dist(p, q) > 0.1 for p, q in itertools.combinations(centres, 2)))
    balls = [Ball(c, r) for c, r in zip(centres, radii, strict=False)]
    shapes = dict(zip("abc", [*balls, SQUARE], strict=False))
    x = grid_of(Box([-0.7, -0.7], [1.7, 1.7]))
    inside = {letter: shape.contains(x) for letter, shape in shapes.items()}
    expected = eval(order.replace("-", "&~"), dict(inside))
    try:
        domain = eval(order, dict(shapes))
    except ArgumentError as error:
        # Only what has next to no points may be refused, be it an operand or the whole.
        inner = order[order.index("(") + 1 : order.index(")")]
        part = eval(inner.replace("-", "&~"), dict(inside))
        assert "empty" in str(error) and min(part.sum(), expected.sum()) <= 3
        return
    assert torch.equal(domain.contains(x), expected)
    assert torch.equal(domain._level(x)[:, 0] > 0, expected)
    points = domain.sample(UniformSampler(1), 50)
    assert domain.contains(points).all() and (domain.distance(points) > 0).all()
    edge = domain.sample_piece("boundary", UniformSampler(1), 50)
    assert domain.contains(edge).all()
    assert float(domain.distance(edge).abs().max()) < 1e-14
    normals = 1e-5 * domain.normals("boundary", edge)
    assert domain.contains(edge - normals).double().mean() > 0.9
    assert domain.contains(edge + normals).double().mean() < 0.1


def test_python_operators() -> None:
    ball = Ball([1.0, 1.0], 0.5)
    assert isinstance(SQUARE | ball, Union) and isinstance(SQUARE + ball, Union)
    assert isinstance(SQUARE & ball, Intersection) and isinstance(SQUARE - ball, Difference)
    with pytest.raises(TypeError):
        SQUARE - 1  # type: ignore[operator]


def test_a_square_with_four_holes() -> None:
    domain = pierced_square()
    holes = ("sphere_1", "sphere_2", "sphere_3", "sphere_4")
    assert domain.pieces == ("walls", *holes)
    assert {"boundary", "sphere", "x_min", "x_max", "y_min", "y_max"} <= set(domain.names)
    # The holes lie inside and apart: nothing is estimated.
    assert domain.measure == pytest.approx(1 - 0.04 * math.pi, rel=1e-14)
    assert domain.measure_error == 0.0
    assert domain.piece_measure("walls") == pytest.approx(4.0)
    centres = [(-0.3, -0.3), (-0.3, 0.3), (0.3, -0.3), (0.3, 0.3)]
    for hole, centre in zip(holes, centres, strict=True):
        points = domain.sample_piece(hole, SobolSampler(0), 100)
        offset = points - torch.tensor(centre, dtype=torch.float64)
        assert torch.allclose(offset.norm(dim=1), torch.full((100,), 0.1, dtype=torch.float64))
        # Out of the domain is into the hole.
        assert torch.allclose(domain.normals(hole, points), -offset / 0.1)
        assert domain.piece_measure(hole) == pytest.approx(0.2 * math.pi)
    every = domain.sample_piece("sphere", SobolSampler(0), 400)
    assert ((every.sign() + 1) @ torch.tensor([1.0, 0.5], dtype=torch.float64)).unique(
        return_counts=True
    )[1].tolist() == pytest.approx([100] * 4, abs=4)


def test_names_that_were_given_come_first() -> None:
    plate = Box([0.0, 0.0], [4.0, 1.0], name="plate")
    domain = plate - Ball([1.0, 0.5], 0.2, name="hole_1") - Ball([3.0, 0.5], 0.2, name="hole_2")
    assert domain.pieces == ("plate", "hole_1", "hole_2")
    assert {"plate_x_min", "x_min"} <= set(domain.names)
    assert (domain.sample_piece("plate_x_min", UniformSampler(), 9)[:, 0] == 0).all()
    one = domain.sample_piece("hole_1", UniformSampler(), 20)
    assert (one[:, 0] < 1.3).all()
    # The same name for several shapes makes one piece of them.
    both = plate - Ball([1.0, 0.5], 0.2, name="hole") - Ball([3.0, 0.5], 0.2, name="hole")
    assert both.pieces == ("plate", "hole")
    assert both.piece_measure("hole") == pytest.approx(0.8 * math.pi)
    # A combination can have a name, too, and keeps it inside another.
    holes = (Ball([1.0, 0.5], 0.2) | Ball([3.0, 0.5], 0.2)).named("holes")
    pierced = plate - holes
    assert "holes" in pierced.names and pierced.pieces == ("plate", "sphere_1", "sphere_2")
    assert pierced.piece_measure("holes") == pytest.approx(0.8 * math.pi)


def test_a_face_name_that_two_shapes_have_must_say_whose() -> None:
    domain = Box([0.0, 1.0], [3.0, 2.0], name="beam") | Box([1.0, 0.0], [2.0, 3.0])
    assert domain.pieces == ("beam", "walls")
    assert "x_min" not in domain.names and {"beam_x_min", "walls_x_min"} <= set(domain.names)
    with pytest.raises(ArgumentError, match=r"Did you mean '(beam|walls)_x_min'"):
        domain.sample_piece("x_min", UniformSampler(), 3)


def test_faces_that_coincide_count_once() -> None:
    domain = Box([0.0, 0.0], [2.0, 1.0]) | Box([1.0, 0.0], [3.0, 1.0])
    assert domain.piece_measure("boundary") == pytest.approx(8.0, rel=1e-3)
    top = domain.sample_piece("boundary", SobolSampler(0), 4000)
    top = top[top[:, 1] == 1.0, 0]
    counts = [int(((top >= k) & (top < k + 1)).sum()) for k in range(3)]
    assert counts == pytest.approx([500, 500, 500], abs=25)
    # Each box alone still owns what is on its face.
    assert domain.piece_measure("walls_1") == pytest.approx(5.0, rel=1e-3)


def test_a_shared_face_inside_is_no_boundary() -> None:
    domain = Box([0.0, 0.0], [1.0, 1.0]) | Box([1.0, 0.0], [2.0, 1.0])
    edge = domain.sample_piece("boundary", SobolSampler(0), 1000)
    seam = (edge[:, 0] == 1.0) & (edge[:, 1] > 1e-6) & (edge[:, 1] < 1 - 1e-6)
    assert not seam.any()
    assert domain.piece_measure("boundary") == pytest.approx(6.0, rel=1e-3)
    assert domain.measure == pytest.approx(2.0)
    # Levels of the two vanish on the seam, and so would any distance made of them.
    for call in (domain.distance, lambda x: domain.piece_distance("walls_1", x)):
        with pytest.raises(UnsupportedOperationError, match="let them overlap"):
            call(torch.rand(3, 2))
    covered = domain | Box([0.5, 0.0], [1.5, 1.0])
    assert (covered.distance(torch.tensor([[1.0, 0.5]])) > 0.1).all()


def test_distance_to_a_piece_ends_where_the_piece_ends() -> None:
    # The vertical box's left side goes on inside the horizontal one, where it is no boundary.
    domain = Box([0.0, 1.0], [3.0, 2.0]) | Box([1.0, 0.0], [2.0, 3.0])
    crossing = torch.tensor([[1.0, 1.5], [2.0, 1.3], [1.5, 1.0]], dtype=torch.float64)
    for piece in domain.names:
        assert (domain.piece_distance(piece, crossing) > 0.05).all()
    # The same for a hole made of an intersection.
    half = Ball([1.0, 1.0], 0.5) & HalfSpace([1.0, 1.0], [1.0, 0.0])
    domain = Box([0.0, 0.0], [2.0, 2.0]) - half
    beyond = torch.tensor([[1.5, 1.0], [1.0, 1.8]], dtype=torch.float64)
    assert (domain.piece_distance("sphere", beyond[:1]) > 0.05).all()
    assert (domain.piece_distance("plane", beyond[1:]) > 0.05).all()


def test_distances_to_pieces_have_slope_one() -> None:
    domain = pierced_square()
    for piece in ("x_min", "sphere_2", "sphere"):
        points = domain.sample_piece(piece, UniformSampler(3), 50)
        inward = points - 1e-6 * domain.normals(piece, points)
        slope = pinnderiv.jacobian(lambda x, p=piece: domain.piece_distance(p, x))(inward)
        assert torch.allclose(slope.norm(dim=-1), torch.ones(50, 1, dtype=torch.float64), atol=1e-3)


def test_several_pieces_have_a_distance_together() -> None:
    domain = pierced_square()
    names = ["x_min", "sphere_1"]
    for name in names:
        points = domain.sample_piece(name, UniformSampler(0), 50)
        assert float(domain.piece_distance(names, points).abs().max()) < 1e-14
    opposite = domain.sample_piece("x_max", UniformSampler(0), 50)
    assert (domain.piece_distance(names, opposite) > 0).all()
    cylinder = SpaceTime(domain, (0.0, 2.0))
    names.append("initial")
    for name in names:
        points = cylinder.sample_piece(name, UniformSampler(0), 50)
        assert float(cylinder.piece_distance(names, points).abs().max()) < 1e-14
    assert (cylinder.piece_distance(names, cylinder.sample(UniformSampler(0), 50)) > 0).all()


def test_a_hidden_shape_has_no_piece() -> None:
    domain = SQUARE | Ball([0.5, 0.5], 0.2)
    assert domain.pieces == ("walls",) and "sphere" in domain.names
    assert domain.piece_measure("sphere") == 0.0
    with pytest.raises(ArgumentError, match=r"piece 'sphere'.*empty"):
        domain.sample_piece("sphere", UniformSampler(), 5)
    assert domain.measure == 1.0 and domain.measure_error == 0.0


@pytest.mark.parametrize(
    ("make", "measure"),
    [
        (lambda: SQUARE | FAR, 1 + math.pi),
        (lambda: SQUARE - FAR, 1.0),
        (lambda: SQUARE & Ball([0.5, 0.5], 0.2), 0.04 * math.pi),
        (lambda: SQUARE & HalfSpace([2.0, 0.0], [1.0, 0.1]), 1.0),
        (lambda: SQUARE - HalfSpace([2.0, 0.0], [-1.0, 0.1]), 1.0),
        (lambda: Polygon([[0, 0], [4, 0], [0, 4]]) - Ball([1.0, 1.0], 0.9), 8 - 0.81 * math.pi),
        (
            lambda: Ball([0.0, 0.0], 2.0) - (SQUARE - Ball([0.5, 0.5], 0.25)),
            4 * math.pi - 1 + math.pi / 16,
        ),
        (
            lambda: Ball([0.0] * 30, 1.0) - Ball([0.0] * 30, 0.5),
            math.pi**15 / math.factorial(15) * (1 - 0.5**30),
        ),
    ],
)
def test_simple_measures_are_exact(make: object, measure: float) -> None:
    domain = make()  # type: ignore[operator]
    assert domain.measure_error == 0.0
    assert domain.measure == pytest.approx(measure, rel=1e-12)


@pytest.mark.parametrize(
    "make",
    [
        lambda: SQUARE & FAR,
        lambda: SQUARE & Ball([1.4, 1.4], 0.5),
        lambda: Ball([0.5, 0.5], 0.2) - SQUARE,
        lambda: SQUARE & HalfSpace([-1.0, 0.0], [1.0, 0.0]),
        lambda: SQUARE - (SQUARE | FAR),
        lambda: Interval(0.0, 1.0) - Interval(0.0, 1.0),
    ],
)
def test_an_empty_domain_is_refused(make: object) -> None:
    with pytest.raises(ArgumentError, match="empty"):
        make()  # type: ignore[operator]


def test_operands_must_fit() -> None:
    with pytest.raises(ShapeError, match=r"2 in .* and 1 in"):
        SQUARE | Interval(0.0, 1.0)
    with pytest.raises(ArgumentError, match=r"SpaceTime\(a - b, duration\)"):
        SpaceTime(SQUARE, (0.0, 1.0)) - SpaceTime(SQUARE, (0.0, 0.5))
    with pytest.raises(ArgumentError, match="must be domains"):
        Union(SQUARE, 3)  # type: ignore[arg-type]


def test_points_of_a_combination_come_by_rejection_only() -> None:
    domain = pierced_square()
    for call in (domain.interior, lambda unit: domain.on_piece("walls", unit)):
        with pytest.raises(UnsupportedOperationError, match=r"sample\(sampler, n\)"):
            call(torch.rand(5, 2))


def test_a_thin_domain_is_filled_by_several_draws() -> None:
    domain = SQUARE & Ball([1.02, 1.02], 0.04)
    assert domain.contains(domain.sample(UniformSampler(2), 1000)).all()
    sliver = Ball([0.0, 0.0], 1.0) - Ball([1e-3, 0.0], 1.0)
    points = sliver.sample(UniformSampler(2), 200)
    assert sliver.contains(points).all() and len(points.unique(dim=0)) == 200


def test_half_spaces_need_company() -> None:
    half = HalfSpace([0.0, 0.0], [2.0, 0.0])
    assert half.measure == math.inf and half.normal == (1.0, 0.0)
    assert half.upper == (0.0, math.inf)
    assert half.contains(torch.tensor([[-3.0, 8.0], [0.1, 0.0]])).tolist() == [True, False]
    for call in (
        lambda: half.sample(UniformSampler(), 3),
        lambda: half.sample_piece("plane", UniformSampler(), 3),
        lambda: half.interior(torch.rand(3, 2)),
        lambda: (half & HalfSpace([0.0, 0.0], [0.0, 1.0])).sample(UniformSampler(), 3),
        lambda: (half | SQUARE).sample(UniformSampler(), 3),
        lambda: half.grid(3),
        lambda: SpaceTime(half, (0.0, 1.0)),
    ):
        with pytest.raises(ArgumentError, match="bounded"):
            call()
    # Together they may be bounded.
    quarter = HalfSpace([0.0, 0.0], [1.0, 0.0]) & HalfSpace([0.0, 0.0], [0.0, 1.0])
    triangle = quarter & HalfSpace([-1.0, 0.0], [-1.0, -1.0]) & Box([-2.0, -2.0], [1.0, 1.0])
    assert triangle.measure == pytest.approx(0.5, rel=2e-3)
    assert triangle.pieces == ("plane_1", "plane_2", "plane_3")
    with pytest.raises(ArgumentError, match="normal must not be zero"):
        HalfSpace([0.0], [0.0])
    with pytest.raises(ArgumentError, match="2 entries"):
        HalfSpace([0.0, 0.0], [1.0])


def test_distances_are_smooth_where_nothing_is_trimmed() -> None:
    disc, square = Ball([0, 0], 1), Box([-2, -2], [2, 2])
    hole = square - disc.named("hole")
    assert hole.smooth("hole") and hole.smooth("x_min")
    # a box is smooth inside and has corners outside; faces that end inside a shape are trimmed
    frame = disc - Box([-0.5, -0.5], [0.5, 0.5]).named("window")
    assert frame.smooth("sphere") and not frame.smooth("window")
    joined = disc | Box([0, -0.5], [2, 0.5])
    assert not joined.smooth("sphere")
    two = square - Ball([-1, 0], 0.5).named("holes") - Ball([1, 0], 0.5).named("holes")
    assert two.smooth("holes") and two.smooth("boundary")
    near = square - Ball([-0.4, 0], 0.5).named("holes") - Ball([0.4, 0], 0.5).named("holes")
    assert not near.smooth("holes")
    assert SpaceTime(hole, (0, 1)).smooth("hole")
    upper = hole.piece_where("above", "hole", lambda x: x[:, 1] > 0)
    assert upper.smooth("hole") and not upper.smooth("above")
