"""How much memory a run holds."""

from __future__ import annotations

import os
from pathlib import Path

import torch

_STATM = Path("/proc/self/statm")


def memory_in_use(device: torch.device | str) -> float:
    """Memory in bytes: on CUDA the most that tensors held, else the process's resident set.

    NaN where the system does not tell (the resident set is read from Linux's ``/proc``).
    """
    device = torch.device(device)
    if device.type == "cuda":
        return float(torch.cuda.max_memory_allocated(device))
    if not _STATM.exists():
        return float("nan")
    return float(_STATM.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
