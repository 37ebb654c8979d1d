"""Times one training step by engine and against peers; writes a CSV and prints a table."""

from __future__ import annotations

import argparse
import csv
import os
import platform
import sys
from pathlib import Path

import cases
from race import ENVIRONMENTS, HERE, Contestant, Result, Unavailable, engines, race

COLUMNS = [
    "device",
    "dtype",
    "inputs",
    "width",
    "outputs",
    "points",
    "contestant",
    "median_ms",
    "quartile1_ms",
    "quartile3_ms",
    "steps",
    "speedup_over_reverse",
    "times_floor",
    "first_step_s",
    "peak_tensors_mib",
    "peak_resident_mib",
]
REFERENCE = "pinnderiv:reverse"


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="two small cases, for a first look")
    parser.add_argument("--main", action="store_true", help="the four cases of the main table")
    parser.add_argument("--points", type=int, help="only the cases with so many points")
    parser.add_argument("--rule", action="store_true", help="the cases that fit.py fits to")
    parser.add_argument("--no-peers", action="store_true", help="only the engines of pinnderiv")
    parser.add_argument("--contestants", nargs="+", help="whom to measure (default: all there are)")
    parser.add_argument("--device", default="cpu", help="cpu or cuda (default: cpu)")
    parser.add_argument("--dtype", default="float32", choices=["float32", "float64"])
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="CPU threads")
    parser.add_argument(
        "--seconds", type=float, help="time for each contestant on each case (default: 6; quick: 1)"
    )
    parser.add_argument(
        "--plain-malloc", action="store_true", help="let the C library give freed memory back"
    )
    parser.add_argument("--out", type=Path, help="CSV to write (default: beside this script)")
    return parser.parse_args()


def row(
    result: Result, medians: dict[str, float], options: argparse.Namespace
) -> dict[str, object]:
    low, high = result.quartiles_ms()
    resident = "" if result.resident_mib is None else round(result.resident_mib, 1)
    reference, floor = medians.get(REFERENCE), medians.get("floor")
    return {
        "device": options.device,
        "dtype": options.dtype,
        "inputs": result.case.inputs,
        "width": result.case.width,
        "outputs": result.case.outputs,
        "points": result.case.points,
        "contestant": result.contestant,
        "median_ms": f"{result.median_ms:.3f}",
        "quartile1_ms": f"{low:.3f}",
        "quartile3_ms": f"{high:.3f}",
        "steps": len(result.seconds),
        "speedup_over_reverse": "" if reference is None else f"{reference / result.median_ms:.3f}",
        "times_floor": "" if floor is None else f"{result.median_ms / floor:.3f}",
        "first_step_s": f"{result.first_seconds:.2f}",
        "peak_tensors_mib": f"{result.tensors_mib:.2f}",
        "peak_resident_mib": resident,
    }


def contestants(options: argparse.Namespace) -> list[str]:
    """Whom to measure, by name."""
    if options.contestants:
        return list(options.contestants)
    own = [f"pinnderiv:{engine}" for engine in engines()]
    if options.rule:
        operators = ("laplacian", "jacobian", "hessian", "hvp")
        return ["plain", *(f"{name}:{operator}" for operator in operators for name in own)]
    names = ["floor", "pinnderiv:taylor+compile", *own, "vmap(hessian)"]
    return names if options.no_peers else [*names, *ENVIRONMENTS]


def main() -> None:
    options = arguments()
    chosen = cases.CUDA if options.device == "cuda" else cases.FULL
    name = f"results_{options.device}.csv"
    if options.dtype != "float32":
        name = f"results_{options.device}_{options.dtype}.csv"
    if options.rule:
        chosen = cases.RULE_QUICK if options.quick else cases.RULE
        name = f"rule_{options.device}.csv"
    elif options.quick:
        chosen = cases.QUICK
    elif options.main:
        chosen = cases.MAIN
        name = "quick_main.csv"
    if options.quick:
        name = "quick_" + name
    if options.points:
        chosen = [case for case in chosen if case.points == options.points]
    seconds = options.seconds or (1.0 if options.quick or options.rule else 6.0)
    out = options.out or HERE / name

    racing = []
    for contestant in contestants(options):
        try:
            racing.append(
                Contestant(
                    contestant,
                    options.device,
                    options.dtype,
                    options.threads,
                    not options.plain_malloc,
                )
            )
        except Unavailable as reason:
            print(f"{contestant} is left out: {reason}", file=sys.stderr)
    versions = sorted({c.version for c in racing})
    print(f"{platform.machine()}, {options.threads} threads, {', '.join(versions)}")
    tolerance = 1e-3 if options.dtype == "float32" else 1e-9

    with out.open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        groups = by_operator(racing) if options.rule else [racing]
        for case in chosen:
            for group in groups:
                (results,) = race(group, [case], seconds, tolerance)
                medians = {r.contestant: r.median_ms for r in results}
                print(case)
                for result in results:
                    line = row(result, medians, options)
                    writer.writerow(line)
                    print(
                        f"  {result.contestant:36} {result.median_ms:9.2f} ms"
                        f"  {line['speedup_over_reverse']:>7} x reverse"
                        f"  {line['times_floor']:>7} x floor"
                        f"  {result.tensors_mib:8.1f} MiB  first {result.first_seconds:5.1f} s"
                    )
                file.flush()
    for contestant in racing:
        contestant.close()
    print(f"written: {out}")


def by_operator(racing: list[Contestant]) -> list[list[Contestant]]:
    """The contestants in groups that compute the same."""
    operators = list(dict.fromkeys(c.name.rpartition(":")[2] for c in racing))
    return [[c for c in racing if c.name.rpartition(":")[2] == o] for o in operators]


if __name__ == "__main__":
    main()
