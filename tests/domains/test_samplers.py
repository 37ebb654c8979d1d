import subprocess
import sys
import warnings
from pathlib import Path

import pytest
import torch

from pinnderiv.domains import LatinHypercubeSampler, Sampler, SobolSampler, UniformSampler
from pinnderiv.errors import ArgumentError, CheckpointError

SAMPLERS = [UniformSampler, LatinHypercubeSampler, SobolSampler]


@pytest.mark.parametrize("kind", SAMPLERS)
def test_one_seed_one_stream(kind: type[Sampler]) -> None:
    first, second, other = kind(5), kind(5), kind(6)
    a, b = first.draw(100, 3), first.draw(100, 3)
    assert a.shape == (100, 3) and a.dtype == torch.float64
    assert a.min() >= 0 and a.max() < 1
    assert torch.equal(a, second.draw(100, 3)) and torch.equal(b, second.draw(100, 3))
    # Each draw and each seed gives points of its own.
    assert not torch.isin(a, b).any()
    assert not torch.isin(a, other.draw(100, 3)).any()


@pytest.mark.parametrize("kind", SAMPLERS)
def test_a_saved_stream_goes_on_bit_for_bit(kind: type[Sampler], tmp_path: Path) -> None:
    sampler = kind(11)
    sampler.draw(64, 2)
    sampler.draw(10, 5)
    torch.save(sampler.state_dict(), tmp_path / "sampler.pt")
    expected = [sampler.draw(33, 4), sampler.draw(7, 1)]

    resumed = kind(0)
    resumed.load_state_dict(torch.load(tmp_path / "sampler.pt", weights_only=True))
    for points in expected:
        assert torch.equal(resumed.draw(*points.shape), points)


@pytest.mark.parametrize("kind", SAMPLERS)
@pytest.mark.parametrize("n", [1, 2, 5, 128, 1000])
def test_any_number_of_points_without_a_warning(kind: type[Sampler], n: int) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert kind(0).draw(n, 3).shape == (n, 3)


@pytest.mark.parametrize("kind", [LatinHypercubeSampler, SobolSampler])
def test_stratified_samplers_put_one_point_in_each_slab(kind: type[Sampler]) -> None:
    points = kind(4).draw(256, 3)
    slab = (points * 256).long().sort(dim=0).values
    assert torch.equal(slab, torch.arange(256)[:, None].expand(-1, 3))


def test_sobol_integrates_better_than_random_points() -> None:
    def error(sampler: Sampler) -> float:
        means = [sampler.draw(1024, 3).prod(dim=1).mean() - 1 / 8 for _ in range(20)]
        return float(torch.stack(means).square().mean().sqrt())

    assert error(SobolSampler(0)) < error(UniformSampler(0)) / 10


def test_a_wrong_state_is_refused() -> None:
    with pytest.raises(CheckpointError, match=r"SobolSampler.*UniformSampler"):
        UniformSampler().load_state_dict(SobolSampler().state_dict())
    with pytest.raises(CheckpointError, match="draws"):
        UniformSampler().load_state_dict({"sampler": "UniformSampler", "seed": 0})


@pytest.mark.parametrize("seed", [-1, 1.5, "0", True, None])
def test_a_wrong_seed_is_refused(seed: object) -> None:
    with pytest.raises(ArgumentError, match="seed"):
        UniformSampler(seed)  # type: ignore[arg-type]


def test_a_wrong_size_is_refused() -> None:
    with pytest.raises(ArgumentError, match="n must be"):
        UniformSampler().draw(0, 2)
    with pytest.raises(ArgumentError, match="dim must be"):
        UniformSampler().draw(2, 0)
    sampler = SobolSampler()
    with pytest.raises(ArgumentError, match="21201"):
        sampler.draw(2, 21202)
    # What was refused was not drawn.
    assert sampler.draws == 0


def test_domains_do_not_wait_for_scipy() -> None:
    code = "import sys, pinnderiv.domains; print('scipy' in sys.modules)"
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=root
    )
    assert done.stdout.strip() == "False"
