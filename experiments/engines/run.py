"""Times one training step by engine and against DeepXDE; writes a CSV and prints a table."""

from __future__ import annotations

import argparse
import csv
import os
import platform
import sys
from pathlib import Path

import cases
from race import HERE, Contestant, Result, engines, peers_python, race

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
    "speedup_over_reference",
    "peak_tensors_mib",
    "peak_resident_mib",
]


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="two small cases, for a first look")
    parser.add_argument("--rule", action="store_true", help="the cases that rule.py is fitted to")
    parser.add_argument("--no-peers", action="store_true", help="only the engines of pinnderiv")
    parser.add_argument("--engines", nargs="+", help="engines to measure (default: all there are)")
    parser.add_argument("--device", default="cpu", help="cpu or cuda (default: cpu)")
    parser.add_argument("--dtype", default="float32", choices=["float32", "float64"])
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="CPU threads")
    parser.add_argument(
        "--seconds", type=float, help="time for each contestant on each case (default: 6; quick: 1)"
    )
    parser.add_argument("--out", type=Path, help="CSV to write (default: beside this script)")
    return parser.parse_args()


def row(result: Result, reference: Result, options: argparse.Namespace) -> dict[str, object]:
    low, high = result.quartiles_ms()
    resident = "" if result.resident_mib is None else round(result.resident_mib, 1)
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
        "speedup_over_reference": f"{reference.median_ms / result.median_ms:.3f}",
        "peak_tensors_mib": f"{result.tensors_mib:.2f}",
        "peak_resident_mib": resident,
    }


def main() -> None:
    options = arguments()
    chosen = cases.FULL
    name = f"results_{options.device}.csv"
    if options.rule:
        chosen = cases.RULE_QUICK if options.quick else cases.RULE
        name = f"rule_{options.device}.csv"
    elif options.quick:
        chosen = cases.QUICK
    if options.quick:
        name = "quick_" + name
    seconds = options.seconds or (1.0 if options.quick else 2.0 if options.rule else 6.0)
    out = options.out or HERE / name

    runners = [
        (f"pinnderiv:{engine}", Path(sys.executable)) for engine in options.engines or engines()
    ]
    if not (options.no_peers or options.rule):
        runners.insert(0, ("deepxde", peers_python()))
    contestants = [
        Contestant(runner, python, options.device, options.dtype, options.threads)
        for runner, python in runners
    ]
    versions = {c.torch for c in contestants}
    print(f"{platform.machine()}, {options.threads} threads, torch {', '.join(sorted(versions))}")
    tolerance = 1e-3 if options.dtype == "float32" else 1e-9

    with out.open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        for results in race(contestants, chosen, seconds, tolerance):
            reference = results[0]
            print(results[0].case)
            for result in results:
                line = row(result, reference, options)
                writer.writerow(line)
                print(
                    f"  {result.contestant:22} {result.median_ms:9.2f} ms"
                    f"  {line['speedup_over_reference']:>7} x"
                    f"  {result.tensors_mib:8.1f} MiB of tensors"
                )
            file.flush()
    for contestant in contestants:
        contestant.close()
    print(f"written: {out}")


if __name__ == "__main__":
    main()
