"""Fits the cost model by which method="auto" chooses to what `run.py --rule` has measured.

The time of an engine in units of a plain training step of the same network (value, mean square,
gradient) is modelled as (P + ρ Q) / (1 + ρ): P times the calls of a plain step where calling costs
most, Q times its volume where computing does. ρ = load / load₀, with the load the numbers that one
operation works on (rows times mean width, as the guard sees it). P and Q are non-negative and
linear in what the engine counts (`pinnderiv.derivatives.work.Work.counts`); load₀ is common to all.
Least squares of relative errors, a scan over load₀.

    python experiments/engines/fit.py            # fits, prints the regret of the choice
    python experiments/engines/fit.py --write    # and writes the numbers into work.py
"""

from __future__ import annotations

import argparse
import csv
import functools
import itertools
import math
import re
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from cases import HIDDEN_LAYERS
from scipy.optimize import nnls

from pinnderiv.derivatives import safety, work
from pinnderiv.derivatives.work import Circumstance, Model, Work

HERE = Path(__file__).resolve().parent
WORKS = {
    "laplacian": Work.collapsed,
    "jacobian": Work.gradient,
    "hessian": Work.full,
    "hvp": Work.product,
}


@dataclass(frozen=True)
class Row:
    """One request of one network, and how long each engine took, in plain steps."""

    label: str
    work: Work
    outputs: int
    load: float
    times: dict[str, float]


@functools.cache
def width_of(inputs: int, width: int, outputs: int) -> float:
    """The mean width of an operation of the network, as the guard sees it."""
    sizes = [inputs, *[width] * HIDDEN_LAYERS]
    layers: list[torch.nn.Module] = []
    for a, b in itertools.pairwise(sizes):
        layers += [torch.nn.Linear(a, b), torch.nn.Tanh()]
    network = torch.nn.Sequential(*layers, torch.nn.Linear(width, outputs))
    return safety.profile(network, torch.rand(8, inputs)).width


def read(path: Path) -> list[Row]:
    """The measured cases, each engine's time over that of a plain step."""
    found: dict[tuple[int, int, int, int], dict[str, float]] = defaultdict(dict)
    with path.open(newline="") as file:
        for line in csv.DictReader(file):
            case = tuple(int(line[name]) for name in ("inputs", "outputs", "width", "points"))
            found[case][line["contestant"]] = float(line["median_ms"])
    rows = []
    for (inputs, outputs, width, points), times in found.items():
        plain = times["plain"]
        for operator, make in WORKS.items():
            by_engine = {
                engine: times[f"pinnderiv:{engine}:{operator}"] / plain
                for engine in ("taylor", "nested", "reverse")
                if f"pinnderiv:{engine}:{operator}" in times
            }
            if by_engine:
                label = f"{operator} D={inputs} M={outputs} width={width} N={points}"
                load = width_of(inputs, width, outputs) * points
                rows.append(Row(label, make(inputs), outputs, load, by_engine))
    return rows


def fitted(rows: list[Row], load: float) -> tuple[Model, float]:
    """The model for one load₀, and its sum of squared relative errors."""
    engines = {}
    total = 0.0
    for engine in ("taylor", "nested", "reverse"):
        for second in (False, True):
            some = [r for r in rows if (r.work.order == 2) == second and engine in r.times]
            counts = np.array([r.work.counts(engine, r.outputs) for r in some], dtype=float)
            rho = np.array([r.load / load for r in some])[:, None]
            time = np.array([r.times[engine] for r in some])
            matrix = np.hstack([counts / (1 + rho), counts * rho / (1 + rho)]) / time[:, None]
            solution, rest = nnls(matrix, np.ones(len(some)))
            total += rest**2
            half = counts.shape[1]
            calls, volume = (
                tuple(float(f"{v:.3g}") for v in solution[s])
                for s in (slice(half), slice(half, None))
            )
            engines[engine, second] = (calls, volume)
    return Model(load, engines), total


def best(rows: list[Row]) -> Model:
    """The model of the load₀ that fits best."""
    loads = [float(f"{load:.2g}") for load in np.geomspace(1e2, 1e7, 41)]
    return min((fitted(rows, load) for load in loads), key=lambda found: found[1])[0]


def regrets(rows: list[Row], model: Model) -> dict[str, float]:
    """For each case the time of what the model takes for the cheapest, over the best time."""
    found = {}
    work.MODELS["fit"] = model
    for r in rows:
        circumstance = Circumstance(r.outputs, r.load, "fit")
        taken = min(r.times, key=lambda e: r.work.cost(e, circumstance))
        found[r.label] = r.times[taken] / min(r.times.values())
    del work.MODELS["fit"]
    return found


def held_out(rows: list[Row], parts: int = 5) -> dict[str, float]:
    """Regrets of cases that the model was not fitted to."""
    found: dict[str, float] = {}
    for part in range(parts):
        model = best([r for i, r in enumerate(rows) if i % parts != part])
        found |= regrets([r for i, r in enumerate(rows) if i % parts == part], model)
    return found


def summary(found: dict[str, float]) -> str:
    mean = math.exp(sum(map(math.log, found.values())) / len(found))
    worst = max(found, key=lambda label: found[label])
    right = sum(r == 1 for r in found.values())
    return (
        f"{len(found)} cases, {right} with the fastest engine; regret {mean:.3f} in the mean "
        f"(geometric), {found[worst]:.2f} at most ({worst})"
    )


def source(name: str, model: Model) -> str:
    """The model as it stands in work.py."""
    lines = [f'    "{name}": Model(', f"        {model.load:g},", "        {"]
    for (engine, second), (calls, volume) in model.engines.items():
        lines.append(f'            ("{engine}", {second}): ({calls}, {volume}),')
    return "\n".join([*lines, "        },", "    ),"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--write", action="store_true", help="write the model into work.py")
    options = parser.parse_args()
    rows = read(HERE / f"rule_{options.device}.csv")
    model = best(rows)
    print(source(options.device, model))
    print("fitted:  ", summary(regrets(rows, model)))
    print("held out:", summary(held_out(rows)))
    print("in use:  ", summary(regrets(rows, work.MODELS.get(options.device, work.MODELS["cpu"]))))
    if options.write:
        path = Path(work.__file__)
        text = path.read_text()
        pattern = rf'    "{options.device}": Model\(\n.*?\n    \),\n'
        made = source(options.device, model) + "\n"
        if re.search(pattern, text, re.DOTALL):
            text = re.sub(pattern, lambda _: made, text, flags=re.DOTALL)
        else:
            text = text.replace("MODELS = {\n", "MODELS = {\n" + made)
        path.write_text(text)


if __name__ == "__main__":
    main()
