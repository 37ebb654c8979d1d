"""Keeps one process a contestant alive and lets them take turns on every case."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cases import Case

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
PEERS = HERE / ".venv-peers"


class Contestant:
    """A worker process and the line-by-line talk with it."""

    def __init__(self, name: str, python: Path, device: str, dtype: str, threads: int) -> None:
        self.name = name
        environment = dict(os.environ)
        if name != "deepxde":
            environment["PYTHONPATH"] = os.pathsep.join(
                [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
            )
        else:
            environment.pop("PYTHONPATH", None)
        environment["OMP_NUM_THREADS"] = environment["MKL_NUM_THREADS"] = str(threads)
        self.process = subprocess.Popen(
            [str(python), str(HERE / "worker.py"), name, device, dtype, str(threads)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )
        self.torch = self.reply()["torch"]

    def ask(self, **request: Any) -> dict[str, Any]:
        if self.process.stdin is None:
            raise SystemExit(f"{self.name}: its process takes no requests")
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        return self.reply()

    def reply(self) -> Any:
        line = self.process.stdout.readline() if self.process.stdout else ""
        if not line:
            raise SystemExit(f"{self.name}: its process ended with code {self.process.wait()}")
        return json.loads(line)

    def close(self) -> None:
        if self.process.stdin:
            self.process.stdin.close()
        self.process.wait(timeout=30)


@dataclass
class Result:
    """All step times of one contestant on one case, and its peak memory."""

    case: Case
    contestant: str
    seconds: list[float] = field(default_factory=list)
    tensors_mib: float = 0.0
    resident_mib: float | None = None

    @property
    def median_ms(self) -> float:
        return 1e3 * statistics.median(self.seconds)

    def quartiles_ms(self) -> tuple[float, float]:
        low, _, high = statistics.quantiles(self.seconds, n=4, method="inclusive")
        return 1e3 * low, 1e3 * high


def engines() -> list[str]:
    """The names in the library's own table of engines."""
    listed = subprocess.run(
        [sys.executable, str(HERE / "worker.py"), "engines", "cpu", "float32", "1"],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    return list(json.loads(listed.stdout))


def peers_python() -> Path:
    """The interpreter of the peers' environment, which is made at the first use."""
    python = PEERS / "bin" / "python"
    stamp = PEERS / ".installed"
    wanted = (HERE / "requirements-peers.txt").read_text()
    if not stamp.exists() or stamp.read_text() != wanted:
        print(f"making {PEERS.name} for the peers", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(PEERS)], check=True)
        subprocess.run(
            [str(python), "-m", "pip", "install", "-q", "-r", "requirements-peers.txt"],
            check=True,
            cwd=HERE,
        )
        stamp.write_text(wanted)
    return python


def check_agreement(answers: dict[str, dict[str, float]], case: Case, tolerance: float) -> None:
    """Stops the run if two contestants did not compute the same step: a time would mean nothing."""
    names = list(answers)
    for key in ("loss", "gradient"):
        values = [answers[name][key] for name in names]
        spread = (max(values) - min(values)) / max(abs(value) for value in values)
        if not spread <= tolerance:
            shown = ", ".join(f"{name} {answers[name][key]:.8g}" for name in names)
            raise SystemExit(f"{case}: the contestants' {key} differs by {spread:.1e}: {shown}")


def race(
    contestants: list[Contestant], cases: Iterable[Case], seconds: float, tolerance: float
) -> Iterable[list[Result]]:
    """Each case in turn: every contestant prepares, then they take turns, then memory is read.

    Turns go round the contestants, and each round starts with the next one, so that a slow spell
    of the machine falls on all of them alike. A turn lasts as long for one as for the other: about
    a twentieth of `seconds`, or one step of the slowest.
    """
    for case in cases:
        answers = {c.name: c.ask(do="prepare", case=case.to_json()) for c in contestants}
        check_agreement(answers, case, tolerance)
        results = [Result(case, c.name) for c in contestants]
        trials = [min(c.ask(do="step", count=2)["seconds"]) for c in contestants]
        turn = max(seconds / 20, *trials)
        rounds = max(5, round(seconds / turn))
        for number in range(rounds):
            for offset in range(len(contestants)):
                i = (number + offset) % len(contestants)
                count = max(1, round(turn / trials[i]))
                reply = contestants[i].ask(do="step", count=count)
                results[i].seconds += reply["seconds"]
        for c, result in zip(contestants, results, strict=True):
            memory = c.ask(do="memory")
            result.tensors_mib, result.resident_mib = memory["tensors"], memory["resident"]
        yield results
