import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pinnderiv.domains import Ball, Ellipse, Ellipsoid, SobolSampler, UniformSampler
from pinnderiv.errors import ArgumentError, UnsupportedOperationError


@settings(max_examples=50, deadline=None)
@given(
    centre=st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=6),
    radius=st.floats(1e-3, 1e3),
    unit=st.tuples(*[st.sampled_from([0.0, 1e-17, 0.25, 0.5, math.nextafter(1.0, 0.0)])] * 6),
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_no_rounding_carries_a_point_out(
    centre: list[float], radius: float, unit: tuple[float, ...], dtype: torch.dtype
) -> None:
    ball = Ball(centre, radius)
    points = torch.tensor([unit[: ball.dim]], dtype=torch.float64).to(dtype).clamp(max=1 - 6e-8)
    for mapped in (ball.interior(points), ball.on_piece("sphere", points)):
        assert mapped.dtype == dtype and mapped.isfinite().all()
        assert ball.contains(mapped).all()


@pytest.mark.parametrize("dim", [1, 2, 3, 4, 7])
def test_radii_and_directions_have_their_distributions(dim: int) -> None:
    ball = Ball([0.0] * dim, 2.0)
    points = ball.interior(SobolSampler(1).draw(4096, dim))
    radii = points.norm(dim=1) / 2
    # (r/R)^d is uniform; a direction has mean zero and variance 1/d, and knows nothing of r.
    levels = torch.linspace(0.1, 0.9, 9, dtype=torch.float64)
    below = (radii[:, None] ** dim < levels).double().mean(dim=0)
    assert torch.allclose(below, levels, atol=0.02)
    on_sphere = ball.on_piece("sphere", SobolSampler(2).draw(4096, dim))
    for half in (points[radii > radii.median()], on_sphere):
        direction = half / half.norm(dim=1, keepdim=True)
        assert direction.mean(dim=0).abs().max() < 0.05
        covariance = direction.T @ direction / len(direction)
        assert torch.allclose(covariance, torch.eye(dim, dtype=torch.float64) / dim, atol=0.02)


def test_a_low_discrepancy_set_stays_one() -> None:
    """The mean of a smooth function converges much faster than n^-1/2."""
    for dim in (2, 3, 5):
        ball = Ball([0.0] * dim, 1.0)
        # The mean of r² over a ball is d/(d + 2).
        points = ball.interior(SobolSampler(3).draw(8192, dim))
        assert float(points.square().sum(dim=1).mean()) == pytest.approx(dim / (dim + 2), abs=2e-4)
        assert points.mean(dim=0).abs().max() < 1e-3


@pytest.mark.parametrize(
    ("centre", "radius", "message"),
    [
        ([0.0, 0.0], 0.0, "radius must be above zero"),
        ([0.0, 0.0], -1.0, "radius must be above zero"),
        ([0.0, 0.0], math.nan, "radius must be a finite number"),
        ([0.0, 0.0], "wide", "radius must be a finite number"),
        ([0.0, math.nan], 1.0, "centre .* finite"),
        ([], 1.0, "centre must hold at least one"),
        (0.5, 1.0, "centre must be a list"),
    ],
)
def test_a_ball_that_is_none_is_refused(centre: object, radius: object, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        Ball(centre, radius)  # type: ignore[arg-type]


def test_a_name_must_be_a_free_word() -> None:
    assert Ball([0.0], 1.0, name="hole_1").names == ("sphere", "hole_1", "boundary")
    for name in ("two words", "", "1st", 3):
        with pytest.raises(ArgumentError, match="word"):
            Ball([0.0], 1.0, name=name)  # type: ignore[arg-type]
    for name in ("boundary", "initial", "sphere"):
        with pytest.raises(ArgumentError, match="taken"):
            Ball([0.0], 1.0, name=name)


@settings(max_examples=30, deadline=None)
@given(a=st.floats(0.5, 4.0), b=st.floats(0.5, 4.0), angle=st.floats(-7, 7))
def test_points_of_an_ellipse_are_uniform_by_length(a: float, b: float, angle: float) -> None:
    ellipse = Ellipse([1.0, -1.0], [a, b], angle)
    turn = torch.linspace(0, 1, 2001, dtype=torch.float64)[:-1]
    points = ellipse.on_piece("ellipse", torch.stack([turn, turn], dim=1))
    # Equal shares of the length have equal chords, but for the curvature.
    chords = (points.roll(-1, 0) - points).norm(dim=1)
    assert float(chords.sum()) == pytest.approx(ellipse.piece_measure("ellipse"), rel=1e-3)
    assert torch.allclose(chords, chords.mean(), rtol=2e-3)
    assert ellipse.contains(points).all()


def test_ellipsoids_agree_with_balls_and_with_each_other() -> None:
    ball = Ball([0.0, 0.0, 0.0], 2.0)
    for stretch in (0.0, 1e-7, 3e-5, 1e-4):
        near = Ellipsoid([0.0] * 3, [2.0, 2.0 + stretch, 2.0 - stretch / 2])
        assert near.piece_measure("ellipsoid") == pytest.approx(
            ball.piece_measure("sphere") * (1 + stretch / 6), rel=1e-8
        )
    # Area of an ellipsoid with three different axes, by quadrature of its surface element.
    a, b, c = 3.0, 2.0, 1.0
    n = 400
    theta = (torch.arange(n, dtype=torch.float64) + 0.5) * math.pi / n
    phi = (torch.arange(n, dtype=torch.float64) + 0.5) * 2 * math.pi / n
    t, p = torch.meshgrid(theta, phi, indexing="ij")
    normal = torch.stack([t.sin() * p.cos() / a, t.sin() * p.sin() / b, t.cos() / c]).norm(dim=0)
    area = float((normal * t.sin()).sum()) * a * b * c * math.pi / n * 2 * math.pi / n
    ellipsoid = Ellipsoid([0.0] * 3, [a, c, b])
    assert ellipsoid.piece_measure("boundary") == pytest.approx(area, rel=1e-4)
    # And in four dimensions, where it is estimated.
    round_one = Ellipsoid([0.0] * 4, [1.0] * 4)
    assert round_one.piece_measure("boundary") == pytest.approx(2 * math.pi**2, rel=1e-12)
    long_one = Ellipsoid([0.0] * 4, [1.0, 1.0, 1.0, 2.0])
    assert 0 < long_one.piece_measure_error("boundary") < 1e-3 * long_one.piece_measure("boundary")
    with pytest.raises(UnsupportedOperationError, match="rejection"):
        long_one.on_piece("ellipsoid", torch.rand(3, 4))


def test_a_turned_ellipse_lies_along_its_angle() -> None:
    ellipse = Ellipse([0.0, 0.0], [2.0, 0.1], math.pi / 4)
    points = ellipse.sample(UniformSampler(1), 500)
    assert (points[:, 0] - points[:, 1]).abs().max() <= 0.1 * math.sqrt(2) + 1e-9
    assert (points[:, 0] + points[:, 1]).abs().max() > 2.0
    assert ellipse.upper == pytest.approx([math.sqrt(2 + 0.005)] * 2)


def test_an_ellipse_that_is_none_is_refused() -> None:
    with pytest.raises(ArgumentError, match="semi_axes must all be above zero"):
        Ellipse([0.0, 0.0], [1.0, 0.0])
    with pytest.raises(ArgumentError, match="semi_axes must have 2 entries"):
        Ellipsoid([0.0, 0.0], [1.0])
    with pytest.raises(ArgumentError, match="centre must have 2 entries"):
        Ellipse([0.0, 0.0, 0.0], [1.0, 1.0, 1.0])
    with pytest.raises(ArgumentError, match="orthogonal"):
        Ellipsoid([0.0, 0.0], [1.0, 1.0], [[1.0, 0.1], [0.0, 1.0]])
    with pytest.raises(ArgumentError, match="angle must be a finite number"):
        Ellipse([0.0, 0.0], [1.0, 1.0], math.inf)
