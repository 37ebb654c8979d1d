"""Hard against soft conditions on domains that are no box, with the same settings."""

from __future__ import annotations

import argparse
import csv
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from command import Failed, solve

SETTINGS = ("optimiser=adam_self_scaled", "optimiser.adam.steps=200")
COLUMNS = ("problem", "constraint", "seed", "relative_l2", "steps", "training_seconds")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--only", default="", help="problems with this in their name")
    parser.add_argument("--output", type=Path, default=HERE / "results.csv")
    options = parser.parse_args()
    with options.output.open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        for problem in sorted((HERE / "problems").glob("*.yaml")):
            if options.only not in problem.stem:
                continue
            for constraint in ("hard", "soft", "auto"):
                arguments = [
                    f"problem={problem}",
                    f"constraint={constraint}",
                    f"seed={options.seed}",
                    f"training.max_steps={options.steps}",
                    "training.max_seconds=3600",
                    *SETTINGS,
                ]
                # what auto takes is one of the two; it is said and not run again
                if constraint == "auto":
                    arguments += ["training.max_steps=1"]
                try:
                    metrics, _ = solve(arguments, options.threads)
                except Failed as error:
                    print(f"{problem.stem}: {error}", file=sys.stderr)
                    continue
                taken, error = metrics["constraint"], metrics["relative_l2"]
                if constraint == "auto":
                    print(f"{problem.stem:10} auto takes {taken}", flush=True)
                    continue
                writer.writerow(
                    {
                        "problem": problem.stem,
                        "constraint": constraint,
                        "seed": options.seed,
                        "relative_l2": f"{error:.2e}",
                        "steps": metrics["steps"],
                        "training_seconds": f"{metrics['training_seconds']:.1f}",
                    }
                )
                file.flush()
                print(
                    f"{problem.stem:10} {constraint} {error:9.1e} after {metrics['steps']} steps, "
                    f"{metrics['training_seconds']:.0f} s",
                    flush=True,
                )


if __name__ == "__main__":
    main()
