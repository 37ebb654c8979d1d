"""Writes the tables of README.md from the CSVs, so that the README cannot say something else."""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

HERE = Path(__file__).resolve().parent
README = HERE / "README.md"
CASE = ("inputs", "width", "outputs", "points")


def rows_by_case(path: Path) -> Iterator[tuple[tuple[str, ...], dict[str, dict[str, str]]]]:
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    for case, group in groupby(rows, key=lambda row: tuple(row[name] for name in CASE)):
        yield case, {row["contestant"]: row for row in group}


def short(contestant: str) -> str:
    return contestant.removeprefix("pinnderiv:")


def results(path: Path) -> str:
    """Times in ms with their quartiles, and peak memory in MiB, a case a row."""
    cases = list(rows_by_case(path))
    names = list(cases[0][1])
    head = [
        "D, width, points",
        *(f"{short(n)} ms" for n in names),
        *(f"{short(n)} MiB" for n in names),
    ]
    lines = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    for (inputs, width, _, points), found in cases:
        times = [
            f"{float(r['median_ms']):.1f} ({float(r['quartile1_ms']):.1f}–"
            f"{float(r['quartile3_ms']):.1f})"
            for r in (found[n] for n in names)
        ]
        memory = [f"{float(found[n]['peak_tensors_mib']):.1f}" for n in names]
        lines.append("| " + " | ".join([f"{inputs}, {width}, {points}", *times, *memory]) + " |")
    return "\n".join(lines)


def ratios(path: Path) -> str:
    """Time of reverse over time of nested, by outputs."""
    table: dict[tuple[str, str, str], dict[int, float]] = {}
    for (inputs, width, outputs, points), found in rows_by_case(path):
        time = {short(n): float(row["median_ms"]) for n, row in found.items()}
        cell = table.setdefault((inputs, width, points), {})
        cell[int(outputs)] = time["reverse"] / time["nested"]
    columns = sorted({m for cell in table.values() for m in cell})
    lines = [
        "| D, width, points | " + " | ".join(f"M = {m}" for m in columns) + " |",
        "|---" * (len(columns) + 1) + "|",
    ]
    for key, cell in table.items():
        shown = [f"{cell[m]:.2f}" if m in cell else "" for m in columns]
        lines.append("| " + " | ".join([", ".join(key), *shown]) + " |")
    return "\n".join(lines)


def main() -> None:
    text = README.read_text()
    for name, table in (("results_cpu", results), ("rule_cpu", ratios)):
        path = HERE / f"{name}.csv"
        if not path.exists():
            print(f"no {path.name} yet: its table is left as it is", file=sys.stderr)
            continue
        opening, closing = f"<!-- {name} -->\n", "<!-- end -->"
        before, found, rest = text.partition(opening)
        _, ended, after = rest.partition(closing)
        if not (found and ended):
            raise SystemExit(f"README.md has no place for {name}")
        text = before + opening + table(path) + "\n" + closing + after
    README.write_text(text)


if __name__ == "__main__":
    main()
