"""What every test shares: one thread a process, so that parallel workers do not slow each other."""

import os

# Before torch is imported, and inherited by the processes that tests start.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("MKL_NUM_THREADS", "1")
# Figures are drawn to files only.
os.environ.setdefault("MPLBACKEND", "Agg")

import torch

torch.set_num_threads(1)
