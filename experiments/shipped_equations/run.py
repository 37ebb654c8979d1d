"""Relative L2 errors on every equation that the library ships with an exact or reference solution.

Each run is the command itself with one optimiser for all of them; linear equations are also solved
with the settings that serve those best.
"""

from __future__ import annotations

import argparse
import csv
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from command import Failed, solve

GENERAL = ("optimiser=adam_self_scaled", "sampler.points.interior=2000")
LINEAR = ("network=random_features", "optimiser=variable_projection", "network.width=800")
ADAPTIVE = ("sampler.adaptive=rad", "sampler.resample_every=500")
# What each is solved with beside the general settings; a front needs points where it is.
CASES: dict[str, tuple[str, ...]] = {
    "advection_diffusion": (),
    "helmholtz": (),
    "klein_gordon": (),
    "allen_cahn": (),
    "burgers": ADAPTIVE,
    "plate": (),
    "kovasznay": (),
    "maxwell": (),
}
LINEAR_CASES = ("advection_diffusion", "helmholtz", "plate", "maxwell")
COLUMNS = ("case", "settings", "seed", "relative_l2", "training_seconds", "process_seconds")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=120.0, help="of training for each run")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--only", default="", help="cases with this in their name")
    parser.add_argument("--output", type=Path, default=HERE / "results.csv")
    options = parser.parse_args()
    runs = [(case, "general", (*GENERAL, *more)) for case, more in CASES.items()]
    runs += [(case, "linear", (*LINEAR, "sampler.points.interior=2400")) for case in LINEAR_CASES]
    with options.output.open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        for case, settings, arguments in runs:
            if options.only not in case:
                continue
            budget = [f"seed={options.seed}", f"training.max_seconds={options.seconds}"]
            try:
                metrics, spent = solve([f"problem={case}", *arguments, *budget], options.threads)
            except Failed as error:
                print(f"{case}: {error}", file=sys.stderr)
                continue
            writer.writerow(
                {
                    "case": case,
                    "settings": settings,
                    "seed": options.seed,
                    "relative_l2": f"{metrics['relative_l2']:.2e}",
                    "training_seconds": f"{metrics['training_seconds']:.1f}",
                    "process_seconds": f"{spent:.1f}",
                }
            )
            file.flush()
            print(
                f"{case:20} {settings:8} {metrics['relative_l2']:9.1e} after "
                f"{metrics['training_seconds']:.0f} s of training",
                flush=True,
            )


if __name__ == "__main__":
    main()
