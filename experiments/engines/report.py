"""Writes the tables of README.md and the plots from the CSVs, so that they cannot say otherwise."""

from __future__ import annotations

import csv
import sys
from collections.abc import Callable
from itertools import groupby
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import fit
import matplotlib.pyplot as plt
from cases import MAIN, Case

from pinnderiv.derivatives import work

HERE = Path(__file__).resolve().parent
README = HERE / "README.md"
CASE = ("inputs", "width", "outputs", "points")
COMPILED = "pinnderiv:taylor+compile"
SHOWN = {
    COMPILED: "taylor, compiled",
    "pinnderiv:taylor": "taylor",
    "pinnderiv:reverse": "reverse",
    "pinnderiv:nested": "nested",
    "vmap(hessian)": "vmap(hessian)",
    "deepxde": "DeepXDE",
    "pina": "PINA",
    "neurodiffeq": "neurodiffeq",
    "folx": "folx, jit",
    "torch-jet": "torch-jet",
}

Found = dict[str, dict[str, str]]


def rows_by_case(path: Path) -> list[tuple[tuple[int, ...], Found]]:
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    groups = groupby(rows, key=lambda row: tuple(int(row[name]) for name in CASE))
    return [(case, {row["contestant"]: row for row in group}) for case, group in groups]


def ms(found: Found, name: str) -> float | None:
    return float(found[name]["median_ms"]) if name in found else None


def table(head: list[str], lines: list[list[str]]) -> str:
    shown = [head, ["---"] * len(head), *lines]
    return "\n".join("| " + " | ".join(line) + " |" for line in shown)


def named(case: tuple[int, ...]) -> str:
    inputs, width, _, points = case
    return f"{inputs}, {width}, {points}"


def main_table(path: Path) -> str:
    """What the targets speak of: compiled and eager Taylor mode against reverse and the floor."""
    wanted = [(c.inputs, c.width, c.outputs, c.points) for c in [*MAIN, Case(1000, 128, 16)]]
    by_case = dict(rows_by_case(path))
    lines = []
    for case in wanted:
        if case not in by_case:
            continue
        found = by_case[case]
        compiled, eager = ms(found, COMPILED), ms(found, "pinnderiv:taylor")
        reverse, floor = ms(found, "pinnderiv:reverse"), ms(found, "floor")
        folx, deepxde = ms(found, "folx"), ms(found, "deepxde")
        memory = [float(found[n]["peak_tensors_mib"]) for n in (COMPILED, "pinnderiv:reverse")]

        def over(a: float | None, b: float | None) -> str:
            return f"{a / b:.2f}" if a is not None and b is not None else ""

        lines.append(
            [
                named(case),
                over(reverse, compiled),
                over(deepxde, compiled),
                over(compiled, floor),
                over(reverse, eager),
                over(folx, compiled),
                f"{memory[0] / memory[1]:.2f}",
                found[COMPILED]["first_step_s"],
            ]
        )
    head = [
        "D, width, points",
        "compiled: × faster than reverse",
        "than DeepXDE",
        "time over the floor",
        "eager: × faster than reverse",
        "compiled: × faster than folx",
        "peak memory over reverse",
        "first compiled step, s",
    ]
    return table(head, lines)


def times(path: Path) -> str:
    """Median milliseconds of every contestant."""
    cases = rows_by_case(path)
    names = ["floor", *(n for n in SHOWN if any(n in found for _, found in cases))]
    lines = []
    for case, found in cases:
        cells = [f"{ms(found, n):.1f}" if n in found else "–" for n in names]
        lines.append([named(case), *cells])
    return table(["D, width, points", *(SHOWN.get(n, n) for n in names)], lines)


def memory(path: Path) -> str:
    """Peak memory of a step in MiB."""
    cases = rows_by_case(path)
    names = [n for n in SHOWN if any(n in found for _, found in cases)]
    lines = []
    for case, found in cases:
        cells = [f"{float(found[n]['peak_tensors_mib']):.1f}" if n in found else "–" for n in names]
        lines.append([named(case), *cells])
    return table(["D, width, points", *(SHOWN[n] for n in names)], lines)


def rule(path: Path) -> str:
    """How good the choice is, and which engine is the fastest where."""
    device = path.stem.removeprefix("rule_")
    rows = fit.read(path)
    model = work.MODELS[device]
    lines = []
    for operator in fit.WORKS:
        cells = []
        for engine in ("taylor", "nested", "reverse"):
            some = [r for r in rows if r.label.startswith(operator)]
            best = sum(min(r.times, key=lambda e: r.times[e]) == engine for r in some)
            cells.append(f"{best} of {len(some)}")
        lines.append([operator, *cells])
    head = ["operator", "taylor is the fastest in", "nested in", "reverse in"]
    return "\n".join(
        [
            "```text",
            "the model in use:   " + fit.summary(fit.regrets(rows, model)),
            "cases held out:     " + fit.summary(fit.held_out(rows)),
            "```",
            "",
            table(head, lines),
        ]
    )


def plot(path: Path) -> None:
    """Time of a step over the floor by dimension, and milliseconds by number of points."""
    cases = rows_by_case(path)
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.2), constrained_layout=True)
    dimensions = sorted(
        (
            (case[0], found)
            for case, found in cases
            if "floor" in found and (case[1] == 256 or case[0] == 1000)
        ),
        key=lambda pair: pair[0],
    )
    sizes = sorted(
        ((case[3], found) for case, found in cases if case[:2] == (2, 64)), key=lambda pair: pair[0]
    )
    for name, label in SHOWN.items():
        style = {"marker": "o", "lw": 2.4 if name.startswith("pinnderiv:taylor") else 1.2, "ms": 4}
        over = [(d, float(f[name]["times_floor"])) for d, f in dimensions if name in f]
        if over:
            left.loglog(*zip(*over, strict=True), label=label, **style)
        line = [(n, ms(f, name)) for n, f in sizes if name in f]
        if line:
            right.loglog(*zip(*line, strict=True), label=label, **style)
    left.axhline(1, color="0.6", lw=1, ls="--")
    left.set(xlabel="coordinates D", ylabel="time of a step / matrix products alone")
    left.set_title("width 256 (D = 1000: width 128)", fontsize=10)
    right.set(xlabel="points N", ylabel="time of a step, ms")
    right.set_title("D = 2, width 64", fontsize=10)
    for axes in (left, right):
        axes.grid(True, which="major", alpha=0.3)
    right.legend(fontsize=8)
    figure.savefig(HERE / f"{path.stem}.png", dpi=110)
    plt.close(figure)


def main() -> None:
    text = README.read_text()
    wanted: list[tuple[str, str, Callable[[Path], str]]] = [
        (f"{kind} {device}", f"results_{device}.csv", make)
        for device in ("cpu", "cuda")
        for kind, make in (("main", main_table), ("times", times), ("memory", memory))
    ]
    wanted += [(f"rule {device}", f"rule_{device}.csv", rule) for device in ("cpu", "cuda")]
    for place, file, make in wanted:
        path = HERE / file
        opening, closing = f"<!-- {place} -->\n", "<!-- end -->"
        if opening not in text:
            continue
        if not path.exists():
            print(f"no {file} yet: its table is left as it is", file=sys.stderr)
            continue
        before, _, rest = text.partition(opening)
        _, _, after = rest.partition(closing)
        text = before + opening + make(path) + "\n" + closing + after
        if make is times:
            plot(path)
    README.write_text(text)


if __name__ == "__main__":
    main()
