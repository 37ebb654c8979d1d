from pathlib import Path

import numpy as np
import pytest
import torch

from pinnderiv.domains import Box, PointCloud, SobolSampler, SpaceTime, UniformSampler
from pinnderiv.errors import ArgumentError, ShapeError, UnsupportedOperationError

INSIDE = np.random.default_rng(0).random((400, 2))
WALL = [[0.0, 0.0], [0.0, 0.5], [0.0, 1.0]]
CLOUD = PointCloud(INSIDE, {"wall": WALL, "lid": [[0.5, 1.0]]}, {"wall": [[-2.0, 0.0]] * 3})


@pytest.mark.parametrize("kind", [UniformSampler, SobolSampler])
def test_points_are_picked_and_none_twice(kind: type) -> None:
    sampler = kind(3)
    picked = CLOUD.sample(sampler, 100)
    given = {tuple(point) for point in INSIDE.tolist()}
    chosen = [tuple(point) for point in picked.tolist()]
    assert set(chosen) <= given and len(set(chosen)) == 100
    # Every draw picks others; the state says which.
    state = sampler.state_dict()
    following = CLOUD.sample(sampler, 100)
    assert not torch.equal(picked, following)
    again = kind(0)
    again.load_state_dict(state)
    assert torch.equal(CLOUD.sample(again, 100), following)
    assert sorted(CLOUD.sample(sampler, 400).tolist()) == sorted(INSIDE.tolist())
    assert sorted(CLOUD.sample_piece("wall", sampler, 3).tolist()) == WALL
    assert len(CLOUD.sample_piece("boundary", sampler, 4).unique(dim=0)) == 4
    with pytest.raises(ArgumentError, match="400 points inside; got n=401"):
        CLOUD.sample(sampler, 401)
    with pytest.raises(ArgumentError, match="3 points on 'wall'"):
        CLOUD.sample_piece("wall", sampler, 4)


def test_what_a_cloud_knows_and_what_not() -> None:
    assert CLOUD.pieces == ("wall", "lid") and CLOUD.names == ("wall", "lid", "boundary")
    assert CLOUD.lower[0] == 0.0 and CLOUD.upper[1] == 1.0
    wall = torch.tensor(WALL, dtype=torch.float64)
    assert CLOUD.normals("wall", wall).tolist() == [[-1.0, 0.0]] * 3
    assert CLOUD.contains(CLOUD.sample(UniformSampler(), 50)).all()
    assert CLOUD.contains(wall).all() and not CLOUD.contains(torch.tensor([[1.5, 0.5]])).any()
    upper = CLOUD.piece_where("upper", "wall", lambda x: x[:, 1] > 0.4)
    assert sorted(upper.sample_piece("upper", UniformSampler(), 2).tolist()) == WALL[1:]
    assert PointCloud(INSIDE, measure=1.0).measure == 1.0
    for call in (
        lambda: CLOUD.measure,
        lambda: CLOUD.piece_measure("wall"),
        lambda: CLOUD.normals("boundary", wall),
        lambda: CLOUD.distance(wall),
    ):
        with pytest.raises(UnsupportedOperationError):
            call()
    for pair in (lambda: CLOUD & Box([0.0, 0.0], [1.0, 1.0]), lambda: Box([0.0], [1.0]) - CLOUD):
        with pytest.raises(ArgumentError, match="cannot be combined"):
            pair()
    with pytest.raises(ArgumentError, match="no points on its boundary"):
        PointCloud(INSIDE).sample_piece("boundary", UniformSampler(), 1)
    with pytest.raises(ShapeError, match="predicate"):
        CLOUD.piece_where("part", "wall", lambda x: x)


def test_over_time() -> None:
    cylinder = SpaceTime(CLOUD, (0.0, 2.0))
    points = cylinder.sample(SobolSampler(1), 64)
    given = {tuple(point) for point in INSIDE.tolist()}
    assert {tuple(point) for point in points[:, :-1].tolist()} <= given
    assert len(points[:, -1].unique()) == 64
    wall = cylinder.sample_piece("wall", SobolSampler(1), 64)
    assert (wall[:, 0] == 0).all() and cylinder.contains(wall).all()


def test_a_csv_file(tmp_path: Path) -> None:
    path = tmp_path / "points.csv"
    path.write_text(
        "x, y, piece, n_x, n_y\n0.5,0.5,,,\n0.25,0.5,interior,,\n0,0.5,wall,-1,0\n1,0.5,outlet,,\n"
    )
    cloud = PointCloud.from_file(path)
    assert cloud.pieces == ("wall", "outlet")
    assert sorted(cloud.sample(UniformSampler(), 2).tolist()) == [[0.25, 0.5], [0.5, 0.5]]
    wall = cloud.sample_piece("wall", UniformSampler(), 1)
    assert cloud.normals("wall", wall).tolist() == [[-1.0, 0.0]]
    with pytest.raises(UnsupportedOperationError, match=r"'outlet' .* no normals"):
        cloud.normals("outlet", wall)
    path.write_text("x,y\n0,1\n2,3\n")
    assert PointCloud.from_file(path, spacing=0.1).pieces == ()


def test_an_npz_file(tmp_path: Path) -> None:
    path = tmp_path / "points.npz"
    np.savez(path, interior=INSIDE, wall=WALL, wall_normals=[[-1.0, 0.0]] * 3)
    cloud = PointCloud.from_file(path, measure=1.0)
    assert cloud.pieces == ("wall",) and cloud.measure == 1.0
    assert (cloud.normals("wall", torch.tensor(WALL)) == torch.tensor([-1.0, 0.0])).all()
    np.savez(path, wall=WALL)
    with pytest.raises(ArgumentError, match="lacks the array interior; it has wall"):
        PointCloud.from_file(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x,y\n", "a header line and a line for each point"),
        ("x,y\n0,1\n2\n", "row 3: 1 entries for 2 columns"),
        ("x,y\n0,1\n2,wide\n", "row 3: column y must be a finite number; got 'wide'"),
        ("x,y\n0,1\n2,nan\n", "row 3: column y must be a finite number"),
        ("x,y,n_x\n0,1,1\n2,3,1\n", "lacks the columns n_y"),
        ("x,y,piece\n0,1,\n1,1,my wall\n", "must be a word"),
        ("x,y,piece\n0,1,wall\n1,1,wall\n", "interior"),
    ],
)
def test_a_bad_csv_file_is_refused(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "points.csv"
    path.write_text(text)
    with pytest.raises(ArgumentError, match=message):
        PointCloud.from_file(path)


def test_bad_arrays_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match="finite"):
        PointCloud([[0.0, float("nan")], [1.0, 0.0]])
    with pytest.raises(ArgumentError, match=r"piece 'wall' must be \(N, 2\)"):
        PointCloud(INSIDE, {"wall": [[0.0]]})
    with pytest.raises(ArgumentError, match="one a point, none zero"):
        PointCloud(INSIDE, {"wall": WALL}, {"wall": [[0.0, 0.0]] * 3})
    with pytest.raises(ArgumentError, match="no piece of this cloud"):
        PointCloud(INSIDE, {"wall": WALL}, {"lid": WALL})
    with pytest.raises(ArgumentError, match="two points"):
        PointCloud([[0.0, 1.0]])
    with pytest.raises(ArgumentError, match=r"\.csv or \.npz"):
        PointCloud.from_file(tmp_path / "points.txt")
    with pytest.raises(ArgumentError, match="no file"):
        PointCloud.from_file(tmp_path / "points.csv")
