"""Trains Poisson problems in 1,000 and 100,000 dimensions on estimated Laplacians.

−Δu = f in the unit ball, u = 0 on the sphere, with the manufactured solution

    u(x) = (1 − |x|²) s(x),    s(x) = sin(a·x) + ½ cos(b·x),

a and b random vectors of length √D, so that a·x and b·x are of the size of |x| for nearly every
direction of x. The trained function is g N with g = 1 − |x|² and a network N, so that

    Δ(g N) = g ΔN − 4 x·∇N − 2 D N.

ΔN is estimated along K random directions that are drawn anew at each step; the rest is exact and
costs one direction (`linear_operator`), and so is f.
"""

from __future__ import annotations

import argparse
import csv
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from pinnderiv import linear_operator, stochastic

HERE = Path(__file__).resolve().parent
COLUMNS = [
    "dimension", "sampler", "directions", "points", "seed", "steps", "seconds", "relative_l2",
    "loss",
]  # fmt: skip


@dataclass(frozen=True)
class Settings:
    """How a problem of one dimension is trained."""

    dimension: int
    directions: int
    points: int
    width: int
    rate: float
    seconds: float
    per_point: bool


# Directions of their own for each point average out sooner; the same for all cost a first layer of
# 100,000 columns nothing that grows with the number of points.
SETTINGS = [
    Settings(1_000, directions=16, points=128, width=128, rate=2e-3, seconds=120, per_point=True),
    Settings(100_000, directions=64, points=256, width=64, rate=1e-3, seconds=600, per_point=False),
]


def bubble(x: Tensor) -> Tensor:
    """g = 1 − |x|², (N,)."""
    return 1 - x.square().sum(1)


class Problem:
    """The exact solution, its source, and points of uniform radius and direction."""

    def __init__(self, dimension: int, generator: torch.Generator) -> None:
        self.dimension = dimension
        self.generator = generator
        made = torch.randn(2, dimension, generator=generator)
        self.a, self.b = made * dimension**0.5 / made.norm(dim=1, keepdim=True)

    def points(self, count: int) -> Tensor:
        x = torch.randn(count, self.dimension, generator=self.generator)
        radius = torch.rand(count, 1, generator=self.generator)
        return x * (radius / x.norm(dim=1, keepdim=True))

    def solution(self, x: Tensor) -> Tensor:
        s = torch.sin(x @ self.a) + 0.5 * torch.cos(x @ self.b)
        return bubble(x) * s

    def source(self, x: Tensor) -> Tensor:
        """−Δ((1 − r²) s) = 2 D s + 4 x·∇s − (1 − r²) Δs, with |a|² = |b|² = D."""
        pa, pb = x @ self.a, x @ self.b
        s = pa.sin() + 0.5 * pb.cos()
        slope = pa * pa.cos() - 0.5 * pb * pb.sin()
        return 2 * self.dimension * s + 4 * slope + bubble(x) * self.dimension * s


class Network(nn.Module):
    """N(√D x), an MLP whose inputs are of size one."""

    def __init__(self, dimension: int, width: int) -> None:
        super().__init__()
        self.scale = dimension**0.5
        self.layers = nn.Sequential(
            nn.Linear(dimension, width), nn.Tanh(), nn.Linear(width, width), nn.Tanh(),
            nn.Linear(width, 1),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(self.scale * x)


def relative_error(problem: Problem, network: nn.Module, x: Tensor) -> float:
    with torch.no_grad():
        exact = problem.solution(x)
        found = bubble(x) * network(x).squeeze(1)
        return float((found - exact).norm() / exact.norm())


def train(
    settings: Settings, sampler: str, seed: int, seconds: float
) -> Iterator[dict[str, object]]:
    """Trains within a time; yields a row about ten times on the way."""
    generator = torch.Generator().manual_seed(seed)
    torch.manual_seed(seed)
    problem = Problem(settings.dimension, generator)
    network = Network(settings.dimension, settings.width)
    test = problem.points(512)
    optimiser = torch.optim.Adam(network.parameters(), lr=settings.rate)
    estimate = stochastic.laplacian(
        network,
        settings.directions,
        sampler=sampler,
        generator=generator,
        per_point=settings.per_point,
    )
    began = time.perf_counter()
    reported, steps = 0.0, 0
    while True:
        spent = time.perf_counter() - began
        for group in optimiser.param_groups:  # down along half a cosine, by time
            group["lr"] = settings.rate * 0.5 * (1 + math.cos(math.pi * min(spent / seconds, 1)))
        x = problem.points(settings.points)
        # In units of the dimension, which the Laplacian of every such u is proportional to.
        exact = linear_operator(network, first=-4 * x, zeroth=-2.0 * settings.dimension)(x)
        laplacian = bubble(x) * estimate(x).squeeze(1) + exact.squeeze(1)
        residual = (-laplacian - problem.source(x)) / settings.dimension
        loss = residual.square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        steps += 1
        spent = time.perf_counter() - began
        if spent >= reported or spent >= seconds:
            reported += seconds / 10
            yield {
                "dimension": settings.dimension,
                "sampler": sampler,
                "directions": settings.directions,
                "points": settings.points,
                "seed": seed,
                "steps": steps,
                "seconds": f"{spent:.1f}",
                "relative_l2": f"{relative_error(problem, network, test):.3e}",
                "loss": f"{float(loss.detach()):.3e}",
            }
        if spent >= seconds:
            return


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="1,000 dimensions, ten seconds")
    parser.add_argument("--dimensions", type=int, nargs="+", help="only these")
    parser.add_argument("--samplers", nargs="+", default=["rademacher", "coordinates"])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seconds", type=float, help="for each run, in place of the settings'")
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    output = options.output or HERE / ("quick_results.csv" if options.quick else "results.csv")
    chosen = [s for s in SETTINGS if not options.dimensions or s.dimension in options.dimensions]
    if options.quick:
        chosen = chosen[:1]
    with output.open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        for settings in chosen:
            for sampler in options.samplers:
                seconds = options.seconds or (10.0 if options.quick else settings.seconds)
                for row in train(settings, sampler, options.seed, seconds):
                    writer.writerow(row)
                    file.flush()
                    print(*(f"{name}={value}" for name, value in row.items()), flush=True)


if __name__ == "__main__":
    main()
