"""Cases of the PINNacle benchmark from their problem files, with errors beside the published ones.

Each run is the command itself in a process of its own. Poisson2d-C has no exact solution: its
reference is made by fem_reference.py in a virtual environment of the experiment, or is a file in
COMSOL's format given with --poisson2d-c.
"""

from __future__ import annotations

import argparse
import csv
import statistics
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from command import Failed, solve
from peers import Unavailable, peers_python


@dataclass(frozen=True)
class Row:
    """A case: how it is solved, and what Hao et al. (2023) report for it.

    ``vanilla`` and ``best`` are the relative L2 errors of a plain PINN and of the best of more than
    ten methods there, where we know them; ``target`` is what is asked for here.
    """

    name: str
    arguments: tuple[str, ...]
    seconds: int
    vanilla: float | None
    best: float | None
    target: float


ROWS = [
    Row(
        "Poisson2d-C",
        (
            "problem=poisson2d_c",
            "optimiser=adam_self_scaled",
            "sampler.points.interior=2000",
            "sampler.points.walls=300",
        ),
        120,
        0.694,
        1.23e-2,
        1e-3,
    ),
    Row(
        "PoissonNd",
        ("experiment=accurate_high_dimension", "problem=poisson_nd"),
        60,
        3.0e-3,
        4.67e-4,
        1e-5,
    ),
    Row("Heat2d-MS", ("experiment=accurate_multiscale",), 60, 6.2e-2, 4.4e-2, 1e-3),
    Row(
        "HeatNd",
        (
            "problem=heat_nd",
            "optimiser=adam_self_scaled",
            "network.width=24",
            "network.depth=2",
            "sampler.points.interior=2000",
            "sampler.points.walls=800",
            "sampler.points.initial=800",
        ),
        60,
        0.361,
        1.19e-4,
        1e-4,
    ),
    Row("Wave1d-C", ("experiment=accurate_wave",), 60, 0.588, 9.79e-2, 1e-4),
    Row(
        "Burgers 1-d",
        (
            "problem=burgers",
            "optimiser=adam_self_scaled",
            "sampler.points.interior=3000",
            "sampler.adaptive=rad",
            "sampler.resample_every=500",
        ),
        120,
        None,
        None,
        1e-3,
    ),
]


def measure(row: Row, seed: int, seconds: int, extra: list[str], threads: int) -> dict[str, object]:
    """One run of the command; its metrics."""
    arguments = [*row.arguments, *extra, f"seed={seed}", f"training.max_seconds={seconds}"]
    try:
        metrics, spent = solve(arguments, threads)
    except Failed as error:
        print(f"{row.name}: {error}", file=sys.stderr)
        return {"case": row.name, "seed": seed, "failed": 1}
    return {
        "case": row.name,
        "seed": seed,
        "relative_l2": metrics["relative_l2"],
        "training_seconds": round(metrics["training_seconds"], 1),
        "process_seconds": round(spent, 1),
    }


def reference(given: Path | None) -> list[str]:
    """What the command must be told to measure Poisson2d-C, or nothing if there is no reference."""
    file = given or HERE / "poisson2d_c.npz"
    if not file.exists():
        try:
            python = peers_python(HERE, "fem")
        except Unavailable as error:
            print(f"Poisson2d-C cannot be measured: {error}", file=sys.stderr)
            return []
        subprocess.run([python, str(HERE / "fem_reference.py"), "--out", str(file)], check=True)
    return [f"problem.reference={file.resolve()}"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--seconds", type=int, help="of training, for every case alike")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--only", default="", help="cases with this in their name")
    parser.add_argument("--poisson2d-c", type=Path, help="reference values in COMSOL's format")
    parser.add_argument("--out", type=Path, default=HERE / "results.csv")
    arguments = parser.parse_args()
    found = []
    for row in ROWS:
        if arguments.only not in row.name:
            continue
        extra = reference(arguments.poisson2d_c) if row.name == "Poisson2d-C" else []
        runs = []
        for seed in range(arguments.seeds):
            seconds = arguments.seconds or row.seconds
            runs.append(measure(row, seed, seconds, extra, arguments.threads))
            print(runs[-1], flush=True)
        found += runs
        errors = [each["relative_l2"] for each in runs if each.get("relative_l2") is not None]
        if errors:
            published = f"published: plain {row.vanilla}, best {row.best}; " if row.best else ""
            print(
                f"{row.name}: median {statistics.median(errors):.1e} ({min(errors):.1e} to "
                f"{max(errors):.1e}); {published}asked for {row.target:.0e}",
                flush=True,
            )
    names = ["case", "seed", "relative_l2", "training_seconds", "process_seconds", "failed"]
    with arguments.out.open("w", newline="") as file:
        writer = csv.DictWriter(file, names)
        writer.writeheader()
        writer.writerows(found)


if __name__ == "__main__":
    main()
