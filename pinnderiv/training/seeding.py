"""One seed for a whole run, and the state of every random generator that it feeds."""

from __future__ import annotations

import random
import zlib
from typing import Any

import numpy as np
import torch

from pinnderiv.errors import ArgumentError

_LARGEST_SEED = 2**32 - 1


def seed_everything(seed: int) -> None:
    """Seeds Python's, NumPy's and PyTorch's global generators (CPU and CUDA).

    Args:
        seed: from 0 to 2**32 − 1, the range that NumPy accepts.

    Raises:
        ArgumentError: the seed is out of range.
    """
    if not 0 <= seed <= _LARGEST_SEED:
        raise ArgumentError(f"seed must be between 0 and {_LARGEST_SEED}, got {seed}")
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)


def child_seed(seed: int, *names: str) -> int:
    """A seed of its own for each part of a run, fixed by the run's seed and the part's name.

    Naming the parts rather than counting them keeps the points of one piece of the domain the
    same when another piece is added.
    """
    words = [seed, *(zlib.crc32(name.encode()) for name in names)]
    return int(np.random.SeedSequence(words).generate_state(1)[0])


def random_state() -> dict[str, Any]:
    """The global generators' states, as plain values and tensors.

    Nothing else is used, so that a checkpoint that holds them loads with ``weights_only=True``.
    """
    version, internal, gauss = random.getstate()
    kind, keys, position, has_gauss, cached = np.random.get_state()
    return {
        "python": [version, list(internal), gauss],
        "numpy": [
            str(kind),
            torch.from_numpy(np.asarray(keys, dtype=np.int64)),
            int(position),
            int(has_gauss),
            float(cached),
        ],
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
    }


def restore_random_state(state: dict[str, Any]) -> None:
    """Puts the generators back to what :func:`random_state` saw.

    A checkpoint from a machine with another number of CUDA devices restores the CPU generators
    only: there is no generator to put the others into.
    """
    version, internal, gauss = state["python"]
    random.setstate((version, tuple(internal), gauss))
    kind, keys, position, has_gauss, cached = state["numpy"]
    np.random.set_state((kind, keys.numpy().astype(np.uint32), position, has_gauss, cached))
    torch.set_rng_state(state["torch"].cpu())
    if torch.cuda.is_available() and len(state["cuda"]) == torch.cuda.device_count():
        torch.cuda.set_rng_state_all([each.cpu() for each in state["cuda"]])
