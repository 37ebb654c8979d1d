import random

import numpy as np
import pytest
import torch

from pinnderiv.errors import ArgumentError
from pinnderiv.training.seeding import (
    child_seed,
    random_state,
    restore_random_state,
    seed_everything,
)


def draw() -> tuple[float, float, list[float]]:
    return random.random(), float(np.random.normal()), torch.randn(3).tolist()


def test_one_seed_decides_all_generators() -> None:
    seed_everything(3)
    first = draw()
    seed_everything(3)
    assert draw() == first
    seed_everything(4)
    assert all(new != old for new, old in zip(draw(), first, strict=True))


@pytest.mark.parametrize("seed", [-1, 2**32])
def test_seeds_that_numpy_refuses_are_refused(seed: int) -> None:
    with pytest.raises(ArgumentError, match=str(seed)):
        seed_everything(seed)


def test_parts_have_seeds_of_their_own() -> None:
    names = [("points", "interior"), ("points", "walls"), ("evaluation",), ("points",)]
    seeds = [child_seed(seed, *name) for seed in (0, 1) for name in names]
    assert len(set(seeds)) == len(seeds)
    assert child_seed(0, "points", "walls") == child_seed(0, "points", "walls")


def test_the_state_survives_a_file_that_holds_no_code(tmp_path) -> None:
    seed_everything(5)
    np.random.normal()  # leaves a second normal number cached
    torch.save(random_state(), tmp_path / "state.pt")
    expected = draw()
    draw()
    restore_random_state(torch.load(tmp_path / "state.pt", weights_only=True))
    assert draw() == expected
