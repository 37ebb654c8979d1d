"""Error against time: pinnderiv's optimisers, DeepXDE and PINA on the same problems, in turn.

Every run is a process of its own with the machine to itself. A run's clock stands still while its
error is measured; process start, imports and setting up are not on it (pinnderiv's own set-up time
is in the CSV's last column).
"""

from __future__ import annotations

import argparse
import csv
import itertools
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.append(str(HERE.parent))
from peers import Unavailable, peers_python

CASES = {"poisson2d": "poisson2d_engd", "heat1d": "heat1d_engd", "wave1d_c": "wave1d_c"}
ACCURATE = {"poisson2d": "poisson", "heat1d": "heat", "wave1d_c": "wave"}
COLUMNS = ["case", "contestant", "seed", "seconds", "relative_l2", "phase", "setup_seconds"]


@dataclass(frozen=True)
class Contestant:
    """One way to solve: overrides of the command, or a peer's script and its own arguments."""

    name: str
    overrides: tuple[str, ...] = ()
    script: str = ""
    method: tuple[str, ...] = ()
    accurate: bool = False


class Failed(Exception):
    """A run that left nothing to show; says why."""


# The network of all but the random features is the default one, 3 × 32 tanh; so are the peers'.
CONTESTANTS = [
    Contestant("Adam", ("optimiser=adam",)),
    Contestant("Adam, L-BFGS", ("optimiser=adam_lbfgs",)),
    Contestant("SOAP", ("optimiser=soap",)),
    Contestant("Adam, self-scaled Broyden", ("optimiser=adam_self_scaled",)),
    Contestant("Levenberg–Marquardt", ("optimiser=levenberg_marquardt",)),
    Contestant("natural gradient", ("optimiser=natural_gradient",)),
    Contestant("SPRING", ("optimiser=spring",)),
    Contestant("random features (experiment=accurate_*)", accurate=True),
    Contestant("DeepXDE: Adam, L-BFGS", script="deepxde_run.py", method=("lbfgs",)),
    Contestant("DeepXDE: Adam, L-BFGS, NNCG", script="deepxde_run.py", method=("nncg",)),
    Contestant("PINA: Adam, L-BFGS", script="pina_run.py"),
]


def ours(
    case: str, contestant: Contestant, seconds: float, seed: int, threads: int
) -> Iterator[dict[str, object]]:
    """Seconds and errors of one run of the command, from its history.csv."""
    problem = f"problem={CASES[case]}"
    what = [f"experiment=accurate_{ACCURATE[case]}"] if contestant.accurate else [problem]
    with tempfile.TemporaryDirectory() as folder:
        command = [
            sys.executable, "-m", "pinnderiv", *what, *contestant.overrides,
            f"seed={seed}", f"threads={threads}", f"training.max_seconds={seconds}",
            f"training.evaluate_every={1 if contestant.accurate else 20}",
            "training.checkpoint_every=100000", "monitor.figures=false",
            "monitor.tensorboard=false", "monitor.progress=none", f"hydra.run.dir={folder}/run",
        ]  # fmt: skip
        environment = os.environ | {"OMP_NUM_THREADS": str(threads)}
        done = _call(command, environment, seconds)
        if done.returncode:
            raise Failed(_last_line(done.stderr))
        metrics = json.loads((Path(folder) / "run" / "metrics.json").read_text())
        with (Path(folder) / "run" / "history.csv").open(newline="") as file:
            rows = [row for row in csv.DictReader(file) if row["relative_l2"]]
    for row in rows:
        yield {
            "seconds": float(row["seconds"]),
            "relative_l2": float(row["relative_l2"]),
            "phase": row["phase"],
            "setup_seconds": f"{metrics['setup_seconds']:.1f}",
        }


def theirs(
    case: str, contestant: Contestant, seconds: float, seed: int, threads: int
) -> Iterator[dict[str, object]]:
    """Seconds and errors of one run of a peer."""
    python = peers_python(HERE.parent / "engines", "torch")
    script = [str(python), str(HERE / contestant.script), case, *contestant.method]
    command = [*script, str(seconds), str(seed), str(threads)]
    environment = os.environ | {"OMP_NUM_THREADS": str(threads)}
    done = _call(command, environment, seconds)
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    if done.returncode:
        if not lines:
            raise Failed(_last_line(done.stderr))
        # NysNewton-CG may meet a matrix that has no Cholesky factor; what it reached stands.
        last = _last_line(done.stderr)
        print(f"  {contestant.name}, seed {seed}, ended early: {last}", file=sys.stderr)
    for line in lines:
        yield json.loads(line)


def _call(
    command: list[str], environment: dict[str, str], seconds: float
) -> subprocess.CompletedProcess[str]:
    """Runs a contestant in a process of its own, which may hang without holding up the others."""
    limit = 300 + 5 * seconds
    try:
        return subprocess.run(
            command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=limit
        )
    except subprocess.TimeoutExpired:
        raise Failed(f"no end after {limit:.0f} s") from None


def _last_line(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[-1] if lines else "it said nothing"


def best_until(rows: list[dict[str, object]], seconds: float) -> float:
    """The error of the last measurement by then, infinite where there is none."""
    before = [r for r in rows if float(str(r["seconds"])) <= seconds]
    return float(str(before[-1]["relative_l2"])) if before else float("inf")


def plot(path: Path, seconds: float) -> None:
    """Median error over the seeds against time, with their range, a panel a case."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
    import numpy as np

    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    cases = list(dict.fromkeys(r["case"] for r in rows))
    if not cases:
        return
    figure, panels = plt.subplots(
        1, len(cases), figsize=(5 * len(cases), 4.4), constrained_layout=True, squeeze=False
    )
    times = np.geomspace(seconds / 100, seconds, 60)
    for case, axes in zip(cases, panels[0], strict=True):
        for name in dict.fromkeys(r["contestant"] for r in rows if r["case"] == case):
            runs = [r for r in rows if r["case"] == case and r["contestant"] == name]
            seeds = sorted({r["seed"] for r in runs})
            curves = [
                [best_until([r for r in runs if r["seed"] == seed], t) for t in times]
                for seed in seeds
            ]
            middle = np.median(curves, axis=0)
            style = "--" if ":" in name else "-"
            seen = np.isfinite(middle)
            (line,) = axes.loglog(times[seen], middle[seen], style, label=name)
            least, most = np.min(curves, axis=0), np.max(curves, axis=0)
            whole = seen & np.isfinite(most)
            axes.fill_between(
                times[whole], least[whole], most[whole], color=line.get_color(), alpha=0.12
            )
        axes.set(title=case, xlabel="seconds of training", ylabel="relative L2 error")
        axes.grid(True, alpha=0.3)
    panels[0][-1].legend(fontsize=7)
    figure.savefig(path.with_suffix(".png"), dpi=110)
    plt.close(figure)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--only", default="", help="contestants whose name contains this")
    parser.add_argument("--quick", action="store_true", help="one seed, eight seconds")
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    seeds, seconds = (1, 8.0) if options.quick else (options.seeds, options.seconds)
    output = options.output or HERE / ("quick_results.csv" if options.quick else "results.csv")
    chosen = [c for c in CONTESTANTS if options.only in c.name]
    with output.open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        for case in options.cases:
            print(case)
            ends: dict[str, list[float]] = {contestant.name: [] for contestant in chosen}
            # Seed by seed, so that what else the machine does falls on all contestants alike.
            for seed, contestant in itertools.product(range(seeds), chosen):
                run = theirs if contestant.script else ours
                try:
                    rows = list(run(case, contestant, seconds, seed, options.threads))
                except (Unavailable, Failed) as reason:
                    print(f"  {contestant.name}, seed {seed}: {reason}", file=sys.stderr)
                    continue
                ends[contestant.name].append(best_until(rows, 1.2 * seconds))
                for row in rows:
                    kept = {
                        "seconds": f"{row['seconds']:.2f}",
                        "relative_l2": f"{row['relative_l2']:.2e}",
                    }
                    known = {"case": case, "contestant": contestant.name, "seed": seed}
                    writer.writerow({**known, **row, **kept})
                file.flush()
            for name, errors in ends.items():
                if errors:
                    print(
                        f"  {name:42} {statistics.median(errors):9.1e}"
                        f" ({min(errors):.1e} to {max(errors):.1e},"
                        f" {len(errors)} of {seeds} seeds)",
                        flush=True,
                    )
    plot(output, seconds)


if __name__ == "__main__":
    main()
