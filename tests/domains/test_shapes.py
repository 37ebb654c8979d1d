"""What holds for domains of every kind."""

import math

import pytest
import torch
from torch import Tensor

import pinnderiv
from pinnderiv.domains import (
    Domain,
    LatinHypercubeSampler,
    Sampler,
    SobolSampler,
    SpaceTime,
    UniformSampler,
)
from pinnderiv.errors import ArgumentError
from tests.domains.shapes import CASES, NAMES

SAMPLERS: list[type[Sampler]] = [UniformSampler, LatinHypercubeSampler, SobolSampler]


@pytest.fixture(scope="module", params=NAMES)
def name(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
def domain(name: str) -> Domain:
    return CASES[name].make()


def in_bounding_box(domain: Domain, n: int, seed: int = 5) -> Tensor:
    lower = torch.tensor(domain.lower, dtype=torch.float64)
    upper = torch.tensor(domain.upper, dtype=torch.float64)
    return lower + UniformSampler(seed).draw(n, domain.dim) * (upper - lower)


def test_measures_are_those_of_geometry(domain: Domain, name: str) -> None:
    case = CASES[name]
    # Sixteen scramblings give the error itself a spread: 5 of them are never reached.
    slack = 5 * domain.measure_error + 1e-12 * case.measure
    assert abs(domain.measure - case.measure) <= slack
    assert domain.measure_error <= 5e-4 * domain.measure
    boundary = domain.piece_measure("boundary")
    error = domain.piece_measure_error("boundary")
    assert abs(boundary - case.boundary) <= 5 * error + 1e-12 * case.boundary
    assert error <= 1e-3 * boundary
    parts = sum(domain.piece_measure(piece) for piece in domain.pieces)
    errors = sum(domain.piece_measure_error(piece) for piece in domain.pieces)
    # The crossed boxes share no face, so that the pieces add up to the whole.
    assert abs(parts - boundary) <= 5 * (error + errors) + 1e-12 * boundary


def test_measure_agrees_with_what_contains_says(domain: Domain) -> None:
    n = 40_000
    box = math.prod(h - low for low, h in zip(domain.lower, domain.upper, strict=True))
    share = float(domain.contains(in_bounding_box(domain, n)).double().mean())
    spread = math.sqrt(share * (1 - share) / n)
    assert abs(share * box - domain.measure) <= (4.5 * spread + 1e-9) * box


@pytest.mark.parametrize("kind", SAMPLERS)
def test_samples_lie_inside_and_on_their_piece(domain: Domain, kind: type[Sampler]) -> None:
    sampler = kind(3)
    inside = domain.sample(sampler, 300)
    assert inside.shape == (300, domain.dim) and inside.dtype == torch.float64
    assert domain.contains(inside).all()
    for piece in domain.names:
        try:
            points = domain.sample_piece(piece, sampler, 60)
        except ArgumentError:
            # A wall that the half-space has cut off.
            assert domain.piece_measure(piece) == 0
            continue
        assert points.shape == (60, domain.dim)
        assert domain.contains(points).all()
        assert float(domain.piece_distance(piece, points).abs().max()) < 1e-14
        assert float(domain.distance(points).abs().max()) < 1e-14


def test_normals_point_out_by_one_unit(domain: Domain) -> None:
    for piece in domain.names:
        if domain.piece_measure(piece) == 0:
            continue
        points = domain.sample_piece(piece, UniformSampler(1), 200)
        normals = domain.normals(piece, points)
        assert torch.allclose(normals.norm(dim=1), torch.ones(200, dtype=torch.float64))
        # Within a step of a corner the other face decides: few random points are.
        step = 1e-6
        assert domain.contains(points - step * normals).double().mean() >= 0.99
        assert domain.contains(points + step * normals).double().mean() <= 0.01


def test_normals_are_the_slope_of_the_distance(domain: Domain) -> None:
    points = domain.sample_piece("boundary", SobolSampler(2), 128)
    normals = domain.normals("boundary", points)
    inward = points - 1e-5 * normals
    gradient = pinnderiv.jacobian(domain.distance, method="reverse")(inward)[:, 0]
    along = torch.nn.functional.cosine_similarity(gradient, -normals, dim=1)
    # In corners the distance is flat, or turns.
    assert (along > 0.999).double().mean() > 0.9


@pytest.mark.parametrize("kind", SAMPLERS)
def test_points_are_uniform(domain: Domain, kind: type[Sampler]) -> None:
    """χ² over the halves, quarters, … of the bounding box, against counts of plain rejection."""
    n = 4096
    cells = torch.tensor([2**k for k in range(domain.dim)])

    def counts(points: Tensor) -> Tensor:
        lower, upper = torch.tensor(domain.lower), torch.tensor(domain.upper)
        # A cut off the middle, so that symmetric shapes fill the cells unevenly.
        bits = ((points - lower) / (upper - lower) > 0.43).long()
        return torch.bincount((bits * cells).sum(dim=1), minlength=2**domain.dim).double()

    proposed = in_bounding_box(domain, 100_000, seed=11)
    expected = counts(proposed[domain._within(proposed, 0.0)])
    total, expected = expected.sum(), expected / expected.sum()
    seen = counts(domain.sample(kind(7), n)) / n
    variance = expected * (1 - expected) * (1 / n + 1 / total)
    assert bool(((seen - expected).abs() <= 4.5 * variance.sqrt() + 1e-12).all())


def test_points_on_the_boundary_are_uniform(domain: Domain) -> None:
    """∮ n ds = 0 on any closed boundary, and ∮ x·n ds = d times the measure (Gauss)."""
    n = 8192
    points = domain.sample_piece("boundary", SobolSampler(4), n)
    normals = domain.normals("boundary", points)
    size = domain.piece_measure("boundary")
    assert normals.mean(dim=0).abs().max() < 4.5 / math.sqrt(n)
    flux = (points * normals).sum(dim=1)
    assert (
        abs(float(flux.mean()) * size - domain.dim * domain.measure)
        < (4.5 * float(flux.std()) / math.sqrt(n) + 1e-9) * size
    )


def test_distance_is_positive_inside_alone(domain: Domain) -> None:
    inside = domain.sample(UniformSampler(9), 2000)
    assert bool((domain.distance(inside) > 0).all())
    for piece in domain.pieces:
        assert bool((domain.piece_distance(piece, inside) > 0).all())
    level = domain._level(points := in_bounding_box(domain, 2000))
    assert torch.equal(level[:, 0] > 0, domain._within(points, 0.0))


def test_engines_agree_on_second_derivatives_of_the_distance(domain: Domain) -> None:
    inside = domain.sample(SobolSampler(0), 64)
    edge = domain.sample_piece("boundary", SobolSampler(1), 32)
    finer = [name for name in domain.names if name not in domain.pieces]
    for piece in (None, *domain.pieces[:2], *finer[:2]):

        def function(x: Tensor, piece: str | None = piece) -> Tensor:
            return domain.distance(x) if piece is None else domain.piece_distance(piece, x)

        laplacians = [
            pinnderiv.laplacian(function, method=method)(inside)
            for method in ("nested", "taylor", "reverse")
        ]
        scale = laplacians[0].abs().max() + 1
        assert laplacians[0].shape == (64, 1) and laplacians[0].isfinite().all()
        for other in laplacians[1:]:
            assert (other - laplacians[0]).abs().max() < 1e-10 * scale
        # Finite on the boundary itself, and in corners, where the distance has no derivative.
        corners = domain.grid(2)
        for points in (edge, corners):
            assert pinnderiv.laplacian(function, method="taylor")(points).isfinite().all()


def test_second_derivatives_agree_with_differences(domain: Domain) -> None:
    points = domain.sample(SobolSampler(5), 64)
    points = points[domain.distance(points)[:, 0] > 0.02]
    step = 1e-4
    differences = torch.zeros(len(points), 1, dtype=torch.float64)
    for axis in range(domain.dim):
        shift = torch.zeros(domain.dim, dtype=torch.float64)
        shift[axis] = step
        differences += domain.distance(points + shift) + domain.distance(points - shift)
        differences -= 2 * domain.distance(points)
    laplacian = pinnderiv.laplacian(domain.distance)(points)
    assert torch.allclose(laplacian, differences / step**2, rtol=1e-3, atol=1e-3)


def test_distance_keeps_dtype_and_batch(domain: Domain) -> None:
    inside = domain.sample(UniformSampler(0), 6)
    double, single = domain.distance(inside), domain.distance(inside.float())
    assert single.dtype == torch.float32
    assert torch.allclose(double.float(), single, atol=1e-5)
    assert torch.equal(domain.distance(inside.reshape(2, 3, -1)), double.reshape(2, 3, 1))


@pytest.mark.parametrize("kind", SAMPLERS)
def test_a_saved_sampler_goes_on_bit_for_bit(name: str, kind: type[Sampler]) -> None:
    domain, sampler = SpaceTime(CASES[name].make(), (0.0, 1.0)), kind(2)
    domain.sample(sampler, 50)
    state = sampler.state_dict()
    expected = [domain.sample(sampler, 33), domain.sample_piece("boundary", sampler, 21)]
    # Another object of the same shapes, as after a restart.
    again, resumed = SpaceTime(CASES[name].make(), (0.0, 1.0)), kind(0)
    resumed.load_state_dict(state)
    assert torch.equal(again.sample(resumed, 33), expected[0])
    assert torch.equal(again.sample_piece("boundary", resumed, 21), expected[1])
    assert sampler.state_dict() == resumed.state_dict()


def test_over_time_every_domain_is_the_same_at_every_moment(domain: Domain) -> None:
    cylinder = SpaceTime(domain, (1.0, 3.0))
    assert cylinder.measure == pytest.approx(2 * domain.measure)
    assert cylinder.pieces == (*domain.pieces, "initial")
    assert {"final", "boundary", *domain.names} <= set(cylinder.names)
    points = cylinder.sample(SobolSampler(1), 512)
    assert cylinder.contains(points).all()
    assert float(points[:, -1].mean()) == pytest.approx(2.0, abs=0.03)
    assert torch.equal(cylinder.distance(points), domain.distance(points[:, :-1]))
    for end, time, sign in (("initial", 1.0, -1.0), ("final", 3.0, 1.0)):
        points = cylinder.sample_piece(end, SobolSampler(1), 64)
        assert (points[:, -1] == time).all() and domain.contains(points[:, :-1]).all()
        assert cylinder.piece_measure(end) == domain.measure
        assert (cylinder.normals(end, points)[:, -1] == sign).all()
        assert (cylinder.piece_distance(end, points) == 0).all()
    walls = cylinder.sample_piece("boundary", SobolSampler(1), 256)
    assert float(cylinder.distance(walls).abs().max()) < 1e-14
    assert float(walls[:, -1].mean()) == pytest.approx(2.0, abs=0.1)
    normals = cylinder.normals("boundary", walls)
    assert torch.equal(normals[:, :-1], domain.normals("boundary", walls[:, :-1]))
    assert (normals[:, -1] == 0).all()


def test_what_is_called_smooth_has_bounded_second_derivatives(domain: Domain) -> None:
    x = domain.sample(UniformSampler(4), 3000)
    for name in domain.names:
        if not domain.smooth(name):
            continue
        bends = pinnderiv.laplacian(
            lambda x, name=name: domain.piece_distance(name, x), check=False
        )(x).abs()
        assert float(bends.max()) <= 40 * float(bends.median()) + 1e-9
