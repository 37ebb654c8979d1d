import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pinnderiv.domains import Box, SobolSampler, UniformSampler
from pinnderiv.errors import ArgumentError, DtypeError, ShapeError

# Bounds that float64 and float32 both round.
LOWER, UPPER = (-0.1, 0.3, 1.7), (0.7, 0.9, 4.1)


@pytest.mark.parametrize("dim", [1, 2, 3])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_points_lie_inside_and_on_the_walls(dim: int, dtype: torch.dtype) -> None:
    box = Box(LOWER[:dim], UPPER[:dim])
    unit = UniformSampler(1).draw(500, dim).to(dtype)
    inside, walls = box.interior(unit), box.on_piece("walls", unit)
    assert inside.dtype == walls.dtype == dtype
    assert inside.shape == walls.shape == (500, dim)
    assert box.contains(inside).all() and box.contains(walls).all()
    lower, upper = torch.tensor(box.lower, dtype=dtype), torch.tensor(box.upper, dtype=dtype)
    on_a_bound = (walls == lower) | (walls == upper)
    assert on_a_bound.any(dim=1).all()
    # Only the coordinate that a face fixes stands on its bound.
    assert (on_a_bound.sum(dim=1) == 1).all()


@settings(max_examples=50, deadline=None)
@given(
    corners=st.lists(st.tuples(st.floats(-1e3, 1e3), st.floats(1e-3, 1e3)), min_size=1, max_size=4),
    edge=st.sampled_from([0.0, 0.5, math.nextafter(1.0, 0.0)]),
)
def test_no_rounding_carries_a_point_out(corners: list[tuple[float, float]], edge: float) -> None:
    box = Box([low for low, _ in corners], [low + width for low, width in corners])
    unit = torch.full((1, box.dim), edge, dtype=torch.float64)
    assert box.contains(box.interior(unit)).all()
    assert box.contains(box.on_piece("walls", unit)).all()


def test_interior_points_are_uniform() -> None:
    box = Box([0.0, -2.0], [1.0, 2.0])
    points = box.interior(SobolSampler(3).draw(4096, 2))
    centre, variance = torch.tensor([0.5, 0.0]), torch.tensor([1 / 12, 16 / 12])
    assert torch.allclose(points.mean(dim=0).float(), centre, atol=2e-3)
    assert torch.allclose(points.var(dim=0).float(), variance, rtol=5e-3)


def test_faces_get_points_in_proportion_to_their_measure() -> None:
    box = Box([0.0, 0.0, 0.0], [1.0, 2.0, 3.0])
    walls = box.on_piece("walls", SobolSampler(0).draw(4096, 3))
    assert box.piece_measure("walls") == pytest.approx(2 * (6 + 3 + 2))
    for axis, measure in enumerate((6.0, 3.0, 2.0)):
        for bound in (box.lower[axis], box.upper[axis]):
            on_face = walls[:, axis] == bound
            assert on_face.double().mean() == pytest.approx(measure / 22, abs=2e-3)
            # Uniform on the face, too: its centre is the mean.
            for other in {0, 1, 2} - {axis}:
                middle = (box.lower[other] + box.upper[other]) / 2
                mean = walls[on_face, other].mean()
                assert mean == pytest.approx(middle, abs=0.02 * box.widths[other])


def test_sampling_is_one_draw_mapped_into_the_box() -> None:
    """Runs that were begun with interior and on_piece go on with sample and sample_piece."""
    box = Box(LOWER, UPPER)
    unit = SobolSampler(5).draw(77, 3)
    assert torch.equal(box.sample(SobolSampler(5), 77), box.interior(unit))
    for name in box.names:
        points = box.sample_piece(name, SobolSampler(5), 77)
        assert torch.equal(points, box.on_piece(name, unit))


def test_faces_have_names_of_their_own() -> None:
    box = Box(LOWER, UPPER)
    faces = ("x_min", "x_max", "y_min", "y_max", "z_min", "z_max")
    assert box.pieces == ("walls",) and box.names == ("walls", *faces, "boundary")
    for number, face in enumerate(faces):
        axis, bound = number // 2, (LOWER, UPPER)[number % 2]
        points = box.sample_piece(face, UniformSampler(1), 50)
        assert (points[:, axis] == bound[axis]).all()
        assert len(points[:, (axis + 1) % 3].unique()) == 50
        normal = torch.zeros(3, dtype=torch.float64)
        normal[axis] = 2.0 * (number % 2) - 1
        assert (box.normals(face, points) == normal).all()
        assert (box.piece_distance(face, points) == 0).all()
    assert sum(map(box.piece_measure, faces)) == pytest.approx(box.piece_measure("walls"))
    assert Box([0.0] * 4, [1.0] * 4).names[1] == "x1_min"
    assert Box([0.0], [1.0], coordinates=("r",)).names == ("walls", "r_min", "r_max", "boundary")
    for coordinates in (("x",), ("x", "x", "y"), ("x", "y", "a b")):
        with pytest.raises(ArgumentError, match=r"coordinates|word"):
            Box(LOWER, UPPER, coordinates=coordinates)
    with pytest.raises(ArgumentError, match="taken"):
        Box(LOWER, UPPER, name="x_min")


def test_an_interval_has_two_ends() -> None:
    box = Box([-1.0], [3.0])
    ends = box.on_piece("walls", torch.tensor([[0.0], [0.4999], [0.5], [0.99]]))
    assert ends.flatten().tolist() == [-1.0, -1.0, 3.0, 3.0]
    assert (box.dim, box.measure, box.piece_measure("walls")) == (1, 4.0, 2.0)


def test_grid_has_both_ends_and_the_first_coordinate_slowest() -> None:
    box = Box([0.0, 1.0], [1.0, 4.0])
    grid = box.grid((3, 4))
    assert grid.shape == (12, 2) and grid.dtype == torch.float64
    assert grid[:, 0].reshape(3, 4)[:, 0].tolist() == [0.0, 0.5, 1.0]
    assert grid[:, 1].reshape(3, 4)[0].tolist() == [1.0, 2.0, 3.0, 4.0]
    assert box.grid(5, dtype=torch.float32).shape == (25, 2)
    assert box.contains(grid).all()


def test_contains_is_false_outside() -> None:
    box = Box([0.0, 0.0], [1.0, 1.0])
    x = torch.tensor([[[0.5, 0.5], [1.5, 0.5]], [[0.5, -0.1], [1.0, 0.0]]])
    assert box.contains(x).tolist() == [[True, False], [False, True]]


@pytest.mark.parametrize(
    ("lower", "upper", "message"),
    [
        ([0.0], [1.0, 2.0], "1 in lower and 2 in upper"),
        ([0.0, 1.0], [1.0, 1.0], "axis 1"),
        ([0.0], [-1.0], "axis 0"),
        ([], [], "at least one number"),
        ([0.0], [math.inf], "finite"),
        (0.0, 1.0, r"such as \[0.0, 0.0\]"),
        (["a"], [1.0], "lower must be a list"),
    ],
)
def test_a_box_that_is_none_is_refused(lower: object, upper: object, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        Box(lower, upper)  # type: ignore[arg-type]


def test_bad_points_are_refused() -> None:
    box = Box([0.0, 0.0], [1.0, 1.0])
    unit = torch.rand(4, 2)
    with pytest.raises(ArgumentError, match="Did you mean 'walls'"):
        box.on_piece("wall", unit)
    with pytest.raises(ArgumentError, match="Known: walls"):
        box.piece_measure("initial")
    with pytest.raises(ShapeError, match=r"\(N, 2\)"):
        box.interior(torch.rand(4, 3))
    with pytest.raises(ShapeError, match=r"\(4,\)"):
        box.interior(torch.rand(4))
    with pytest.raises(DtypeError, match="int64"):
        box.interior(torch.zeros(4, 2, dtype=torch.int64))
    with pytest.raises(DtypeError, match="list"):
        box.on_piece("walls", [[0.1, 0.2]])  # type: ignore[arg-type]
    with pytest.raises(ArgumentError, match=r"from -3 to"):
        box.interior(torch.tensor([[-3.0, 0.5]]))
    with pytest.raises(ArgumentError, match="nan"):
        box.interior(torch.tensor([[float("nan"), 0.5]]))
    with pytest.raises(ShapeError, match=r"\(\*batch, 2\)"):
        box.contains(torch.rand(4, 3))


def test_grids_that_cannot_be_held_are_refused() -> None:
    with pytest.raises(ArgumentError, match="10,000,000,000 points"):
        Box([0.0] * 10, [1.0] * 10).grid(10)
    for counts in (1, (3,), (3, 1)):
        with pytest.raises(ArgumentError, match="n_per_axis"):
            Box([0.0, 0.0], [1.0, 1.0]).grid(counts)
