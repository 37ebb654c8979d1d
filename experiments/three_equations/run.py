"""Solves every named case with the default settings and writes what came out to a CSV file.

    python experiments/three_equations/run.py                 # a minute of training for each
    python experiments/three_equations/run.py --seconds 10 --cases heat wave
    python experiments/three_equations/run.py --quick         # does it run at all?

Each case is one call of the command ``pinnderiv``, so that what is measured is what a user gets.
"""

from __future__ import annotations

import argparse
import csv
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(HERE.parent))

from command import Failed, solve

COLUMNS = (
    "case",
    "constraint",
    "parameters",
    "points",
    "steps",
    "training_seconds",
    "wall_seconds",
    "stop_reason",
    "relative_l2",
    "max_error",
    "loss",
)

# The relative L2 error that a minute of training is expected to reach at least, easy cases first.
# The budget is a time, so a slower machine gets less far: each number is some ten times what two
# quiet CPU cores reach. The last three are beyond the default settings, see README.md.
EXPECTED = {
    "heat": 1e-4,
    "wave": 5e-4,
    "poisson": 3e-4,
    "heat_2d": 3e-4,
    "heat_3d": 2e-3,
    "heat_manufactured": 1e-4,
    "heat1d_engd": 1e-4,
    "wave_2d": 2e-3,
    "wave_travelling": 1e-4,
    "poisson2d_engd": 1e-4,
    "poisson_nd": 1e-5,
    "poisson5d_cos": 2e-5,
    "poisson10d": 5e-2,
    "poisson100d": 1.0,
    "wave1d_c": 1.0,
    "heat2d_ms": 5.0,
}


def cases() -> list[str]:
    """The heat, wave and Poisson problems of the library."""
    return list(EXPECTED)


def measure(case: str, seconds: float, seed: int) -> dict[str, Any]:
    """Runs the command and returns its metrics, as a row of the table."""
    try:
        metrics, _ = solve([f"problem={case}", f"seed={seed}", f"training.max_seconds={seconds}"])
    except Failed as error:
        raise SystemExit(str(error)) from None
    row = {name: metrics[name] for name in COLUMNS if name != "case"}
    for name in ("relative_l2", "max_error", "loss"):
        row[name] = f"{row[name]:.2e}"
    for name in ("training_seconds", "wall_seconds"):
        row[name] = f"{row[name]:.1f}"
    return {"case": case, **row}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=60.0, help="of training for each case")
    parser.add_argument("--cases", nargs="+", default=cases(), choices=cases(), metavar="CASE")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--quick", action="store_true", help="two seconds each, to see it run")
    parser.add_argument("--output", type=Path, help="default: results.csv")
    arguments = parser.parse_args()
    seconds = 2.0 if arguments.quick else arguments.seconds
    # a quick look must not replace the numbers that the README speaks of
    results = ROOT / "outputs" / "quick.csv" if arguments.quick else HERE / "results.csv"
    output = arguments.output or results
    output.parent.mkdir(parents=True, exist_ok=True)

    rows, missed = [], 0
    for case in arguments.cases:
        rows.append(measure(case, seconds, arguments.seed))
        shown = rows[-1]
        bound = EXPECTED.get(case, float("inf"))
        good = arguments.quick or float(shown["relative_l2"]) <= bound
        missed += not good
        print(
            f"{case:<18} {shown['relative_l2']}  {shown['steps']:>6} steps in "
            f"{shown['training_seconds']} s, {shown['constraint']} constraints"
            + ("" if good else f"  WORSE than the {bound:g} expected"),
            flush=True,
        )
        # after each case, so that an interrupted run leaves what it has
        with output.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
    print(f"written to {output}")
    sys.exit(1 if missed else 0)


if __name__ == "__main__":
    main()
