"""Relative L2 errors of the accurate settings, on named cases, their neighbours and several seeds.

Each run is the command itself, in a process of its own, with the settings of conf/experiment as
they are shipped: a neighbour changes the problem and nothing else.
"""

from __future__ import annotations

import argparse
import csv
import statistics
import sys
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from command import Failed, solve


@dataclass(frozen=True)
class Row:
    """A case: its settings, its problem, and the error that it is expected to stay below."""

    name: str
    experiment: str
    problem: tuple[str, ...]
    bound: float
    neighbour: bool = False


def _neighbour(name: str, experiment: str, bound: float, *problem: str) -> Row:
    return Row(name, experiment, problem, bound, neighbour=True)


ROWS = [
    Row("Poisson 2-d", "accurate_poisson", (), 1e-11),
    _neighbour(
        "Poisson 2-d, two modes",
        "accurate_poisson",
        1e-9,
        "problem.frequencies=[1,3]",
        "problem=poisson",
        "problem.amplitudes=[1.0,0.5]",
    ),
    _neighbour(
        "Poisson 2-d, 2 by 5",
        "accurate_poisson",
        1e-9,
        "problem=poisson",
        "problem.frequencies=[[2,5]]",
        "problem.amplitudes=[1.0]",
    ),
    _neighbour("Poisson 2-d, box 2 by 1", "accurate_poisson", 1e-9, "problem.upper=[2.0,1.0]"),
    Row("heat 1+1-d", "accurate_heat", (), 1e-11),
    _neighbour("heat, κ = 0.05", "accurate_heat", 1e-9, "problem.diffusivity=0.05"),
    _neighbour("heat, κ = 1", "accurate_heat", 1e-9, "problem.diffusivity=1.0"),
    _neighbour("heat, 3 half-waves", "accurate_heat", 1e-9, "problem.frequencies=[3]"),
    Row("Wave1d-C", "accurate_wave", (), 1e-6),
    _neighbour("Wave1d-C, c = 1", "accurate_wave", 1e-6, "problem.speed=1.0"),
    _neighbour("Wave1d-C, modes 2 and 3", "accurate_wave", 1e-6, "problem.frequencies=[2,3]"),
    _neighbour("Wave1d-C, modes 1 and 5", "accurate_wave", 1e-4, "problem.frequencies=[1,5]"),
    Row("Heat2d-MS", "accurate_multiscale", (), 1e-4),
    _neighbour("Heat2d-MS, 12 by 2", "accurate_multiscale", 1e-3, "problem.frequencies=[[12,2]]"),
    _neighbour(
        "Heat2d-MS, 1 by 15",
        "accurate_multiscale",
        1e-3,
        "problem.frequencies=[[1,15]]",
        "problem.diffusivity=[0.1,0.0001]",
    ),
    _neighbour("Heat2d-MS, 24 by 1", "accurate_multiscale", 1e-3, "problem.frequencies=[[24,1]]"),
    Row("Poisson 5-d", "accurate_high_dimension", ("problem=poisson5d_cos",), 1e-6),
    _neighbour(
        "PoissonNd in 5-d, two modes",
        "accurate_high_dimension",
        1e-5,
        "problem=poisson_nd",
        "problem.frequencies=[1.5,2.5]",
        "problem.amplitudes=[1.0,0.5]",
    ),
    _neighbour(
        "PoissonNd in 7-d",
        "accurate_high_dimension",
        1e-5,
        "problem=poisson_nd",
        "problem.dimension=7",
    ),
    _neighbour(
        "Poisson 5-d on [-1, 1]^5",
        "accurate_high_dimension",
        1e-5,
        "problem=poisson5d_cos",
        "problem.lower=-1.0",
    ),
    _neighbour(
        "Poisson 5-d on [-0.5, 1]^5",
        "accurate_high_dimension",
        1e-5,
        "problem=poisson5d_cos",
        "problem.lower=-0.5",
    ),
    _neighbour(
        "Poisson 5-d on [0, 1.5]^5",
        "accurate_high_dimension",
        1e-5,
        "problem=poisson5d_cos",
        "problem.upper=1.5",
    ),
    Row("PoissonNd", "accurate_high_dimension", ("problem=poisson_nd",), 1e-6),
    _neighbour(
        "PoissonNd on [0, 1.5]^5",
        "accurate_high_dimension",
        1e-5,
        "problem=poisson_nd",
        "problem.upper=1.5",
    ),
    Row("Poisson 10-d", "accurate_high_dimension", ("problem=poisson10d",), 1e-5),
    _neighbour(
        "Poisson 10-d on [-1, 2]^10",
        "accurate_high_dimension",
        1e-4,
        "problem=poisson10d",
        "problem.lower=-1.0",
        "problem.upper=2.0",
    ),
    _neighbour(
        "Poisson 10-d on [-1, 1]^10",
        "accurate_high_dimension",
        1e-4,
        "problem=poisson10d",
        "problem.lower=-1.0",
    ),
    _neighbour(
        "Poisson 10-d on [0, 2]^10",
        "accurate_high_dimension",
        1e-4,
        "problem=poisson10d",
        "problem.upper=2.0",
    ),
    Row("Poisson 100-d", "accurate_high_dimension", ("problem=poisson100d",), 1e-3),
    _neighbour(
        "Poisson 100-d, in 50-d",
        "accurate_high_dimension",
        1e-3,
        "problem=poisson100d",
        "problem.dimension=50",
    ),
    _neighbour(
        "Poisson 100-d, in 70-d",
        "accurate_high_dimension",
        1e-3,
        "problem=poisson100d",
        "problem.dimension=70",
    ),
    _neighbour(
        "Poisson 100-d on [-1, 1]^100",
        "accurate_high_dimension",
        1e-3,
        "problem=poisson100d",
        "problem.lower=-1.0",
    ),
]

COLUMNS = [
    "case",
    "neighbour",
    "seconds",
    "seed",
    "relative_l2",
    "training_seconds",
    "process_seconds",
    "steps",
    "bound",
    "note",
]


def measure(row: Row, seed: int, seconds: float, threads: int) -> dict[str, object]:
    """One run of the command, its error and its time from start to end of the process."""
    arguments = [f"experiment={row.experiment}", *row.problem, f"seed={seed}"]
    try:
        metrics, took = solve([*arguments, f"training.max_seconds={seconds}"], threads)
    except Failed as error:
        sys.exit(str(error))
    return {
        "case": row.name,
        "neighbour": int(row.neighbour),
        "seconds": seconds,
        "seed": seed,
        "relative_l2": f"{metrics['relative_l2']:.3e}",
        "training_seconds": f"{metrics['training_seconds']:.1f}",
        "process_seconds": f"{took:.1f}",
        "steps": metrics["steps"],
        "bound": row.bound,
        "note": metrics["note"],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=5, help="seeds of each case (neighbours: 1)")
    parser.add_argument("--seconds", type=float, default=60, help="training.max_seconds")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--only", default="", help="cases whose name contains this")
    parser.add_argument("--quick", action="store_true", help="one seed, no neighbours")
    parser.add_argument("--output", type=Path, default=HERE / "results.csv")
    options = parser.parse_args()
    chosen = [row for row in ROWS if options.only in row.name]
    if options.quick:
        chosen = [row for row in chosen if not row.neighbour]
    with options.output.open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        for row in chosen:
            seeds = 1 if row.neighbour or options.quick else options.seeds
            found = []
            for seed in range(seeds):
                found.append(measure(row, seed, options.seconds, options.threads))
                writer.writerow(found[-1])
                file.flush()
            errors = sorted(float(each["relative_l2"]) for each in found)
            took = statistics.median(float(each["process_seconds"]) for each in found)
            print(
                f"{row.name:32} {statistics.median(errors):9.1e} "
                f"({errors[0]:.1e} to {errors[-1]:.1e})  {took:5.1f} s  wanted {row.bound:.0e}",
                flush=True,
            )


if __name__ == "__main__":
    main()
