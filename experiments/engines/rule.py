"""How good is the choice of "auto"? Its regret on the cases that `run.py --rule` measured.

For each case the time of every engine is known, so the choice has a regret: the time of what
`pinnderiv.derivatives.work.Work.cost` takes for the cheapest, over the time of the fastest.

    python experiments/engines/rule.py
"""

from __future__ import annotations

import argparse
import csv
import math
from collections import defaultdict
from pathlib import Path

from pinnderiv.derivatives.work import Work

HERE = Path(__file__).resolve().parent
OURS = "pinnderiv:"

Case = tuple[int, int, int, int]
"""Inputs D, outputs M, width, points."""


def read(path: Path) -> dict[Case, dict[str, float]]:
    """Milliseconds by case and engine, of the cases that every engine has finished."""
    times: dict[Case, dict[str, float]] = defaultdict(dict)
    with path.open(newline="") as file:
        for row in csv.DictReader(file):
            if row["contestant"].startswith(OURS):
                inputs, outputs, width, points = (
                    int(row[name]) for name in ("inputs", "outputs", "width", "points")
                )
                engine = row["contestant"].removeprefix(OURS)
                times[inputs, outputs, width, points][engine] = float(row["median_ms"])
    most = max(map(len, times.values()))
    return {case: t for case, t in times.items() if len(t) == most}


def choice(case: Case, engines: list[str]) -> str:
    """What "auto" takes for a Laplacian."""
    inputs, outputs, _, _ = case
    return min(engines, key=lambda e: Work.collapsed(inputs).cost(e, outputs))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("csv", type=Path, nargs="?", default=HERE / "rule_cpu.csv")
    times = read(parser.parse_args().csv)
    regrets = []
    for case, by_engine in sorted(times.items()):
        taken = choice(case, list(by_engine))
        best = min(by_engine, key=lambda e: by_engine[e])
        regrets.append(by_engine[taken] / by_engine[best])
        print("D={} M={} width={} N={}".format(*case), f"takes {taken}, {best} is the fastest")
    mean = math.exp(sum(map(math.log, regrets)) / len(regrets))
    worst = max(regrets)
    print(f"{len(regrets)} cases: regret {mean:.3f} in the mean (geometric), {worst:.2f} at most")


if __name__ == "__main__":
    main()
