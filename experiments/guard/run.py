"""What the guard costs: the first checked call, later checked calls, and unchecked calls.

python experiments/guard/run.py
"""

from __future__ import annotations

import argparse
import csv
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn

import pinnderiv

HERE = Path(__file__).resolve().parent
METHODS = ("auto", "taylor", "reverse", "nested")


def tanh_network(columns: int, width: int) -> nn.Module:
    layers: list[nn.Module] = [nn.Linear(columns, width), nn.Tanh()]
    for _ in range(3):
        layers += [nn.Linear(width, width), nn.Tanh()]
    return nn.Sequential(*layers, nn.Linear(width, 1))


def layer_norm_network(columns: int, width: int) -> nn.Module:
    return nn.Sequential(
        nn.Linear(columns, width), nn.LayerNorm(width), nn.Tanh(), nn.Linear(width, 1)
    )


FUNCTIONS: dict[str, Callable[[], tuple[nn.Module, torch.Tensor]]] = {
    "tanh 2-64x4-1, 1024 points": lambda: (tanh_network(2, 64), torch.rand(1024, 2)),
    "tanh 3-128x4-1, 2048 points": lambda: (tanh_network(3, 128), torch.rand(2048, 3)),
    "tanh 100-256x4-1, 64 points": lambda: (tanh_network(100, 256), torch.rand(64, 100)),
    "LayerNorm 3-64-1, 1024 points": lambda: (layer_norm_network(3, 64), torch.rand(1024, 3)),
}


def milliseconds(operator: Callable[[torch.Tensor], object], x: torch.Tensor) -> float:
    start = time.perf_counter()
    operator(x)
    return (time.perf_counter() - start) * 1e3


def measure(
    make: Callable[[], tuple[nn.Module, torch.Tensor]], method: str, repeats: int
) -> tuple[float, float, float]:
    """Medians in ms: what the first call takes above later ones, and later calls with and
    without the guard, interleaved."""
    first, checked, unchecked = [], [], []
    for _ in range(repeats):
        f, x = make()  # a new network is a new function to the guard
        operator = pinnderiv.laplacian(f, method=method)
        bare = pinnderiv.laplacian(f, method=method, check=False)
        bare(x)
        first.append(milliseconds(operator, x))
        for _ in range(3):
            unchecked.append(milliseconds(bare, x))
            checked.append(milliseconds(operator, x))
    later = statistics.median(checked)
    return statistics.median(first) - later, later, statistics.median(unchecked)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, default=HERE / "results_cpu.csv")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    pinnderiv.laplacian(nn.Linear(1, 1))(torch.rand(2, 1))  # what PyTorch loads on first use
    rows = []
    for name, make in FUNCTIONS.items():
        for method in METHODS:
            once, later, bare = measure(make, method, options.repeats)
            rows.append((name, method, f"{once:.1f}", f"{later:.2f}", f"{bare:.2f}"))
            print(f"{name:30} {method:8} once {once:6.1f} ms, later {later:7.2f}, bare {bare:7.2f}")
    with options.out.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("function", "method", "examination_ms", "checked_ms", "unchecked_ms"))
        writer.writerows(rows)
    print(f"{platform.machine()}, {options.threads} threads, torch {torch.__version__}")


if __name__ == "__main__":
    main()
