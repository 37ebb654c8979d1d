"""Keeps one process a contestant alive and lets them take turns on every case."""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cases import Case

sys.path.append(str(Path(__file__).resolve().parents[1]))
from peers import Unavailable as Unavailable
from peers import peers_python

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
# Peers live in environments of their own, made at the first use.
ENVIRONMENTS = {
    "deepxde": "torch",
    "pina": "torch",
    "neurodiffeq": "torch",
    "folx": "jax",
    "torch-jet": "jet",
}
# Freed memory stays with the process, as with jemalloc or tcmalloc (PyTorch's tuning guide asks for
# one of them): else what is timed is how the C library gives pages back and faults them in again.
MALLOC = {
    "MALLOC_MMAP_THRESHOLD_": str(2**30),
    "MALLOC_TRIM_THRESHOLD_": str(2**32),
    "MALLOC_TOP_PAD_": str(2**28),
}
# A step that takes longer is timed twice and takes no turns.
LONGEST_STEP = 1.0


class Contestant:
    """A worker process and the line-by-line talk with it."""

    def __init__(
        self, name: str, device: str, dtype: str, threads: int, keep_memory: bool = True
    ) -> None:
        self.name = name
        environment = dict(os.environ) | (MALLOC if keep_memory else {})
        kind = ENVIRONMENTS.get(name)
        python = Path(sys.executable) if kind is None else peers_python(HERE, kind)
        if kind is None:
            environment["PYTHONPATH"] = os.pathsep.join(
                [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
            )
        else:
            environment.pop("PYTHONPATH", None)
        environment["OMP_NUM_THREADS"] = environment["MKL_NUM_THREADS"] = str(threads)
        # XLA has no setting for its number of threads: it counts the processors it may run on.
        pinned = sorted(os.sched_getaffinity(0))[:threads] if kind == "jax" else None
        # Nothing that an earlier run has compiled.
        self.cache = tempfile.mkdtemp(prefix="engines-")
        environment["TORCHINDUCTOR_CACHE_DIR"] = self.cache
        self.process = subprocess.Popen(
            [str(python), str(HERE / "worker.py"), name, device, dtype, str(threads)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
            preexec_fn=None if pinned is None else lambda: os.sched_setaffinity(0, pinned),
        )
        first = self.reply()
        if "error" in first:
            raise SystemExit(f"{name}: {first['error']}")
        self.version = first["version"]

    def ask(self, **request: Any) -> dict[str, Any]:
        try:
            self.process.stdin.write(json.dumps(request) + "\n")  # type: ignore[union-attr]
            self.process.stdin.flush()  # type: ignore[union-attr]
        except BrokenPipeError:
            pass
        return self.reply()

    def reply(self) -> Any:
        line = self.process.stdout.readline() if self.process.stdout else ""
        if not line:  # killed for want of memory, most likely
            return {"error": f"its process ended with code {self.process.wait()}"}
        return json.loads(line)

    def close(self) -> None:
        self.process.kill()
        self.process.wait(timeout=30)
        shutil.rmtree(self.cache, ignore_errors=True)


@dataclass
class Result:
    """All step times of one contestant on one case, and its peak memory."""

    case: Case
    contestant: str
    first_seconds: float = 0.0
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


def check_agreement(answers: dict[str, dict[str, float]], case: Case, tolerance: float) -> None:
    """Stops the run if two contestants did not compute the same step: a time would mean nothing."""
    for key in ("loss", "gradient"):
        values = {name: answer[key] for name, answer in answers.items() if key in answer}
        spread = (max(values.values()) - min(values.values())) / max(map(abs, values.values()))
        if not spread <= tolerance:
            shown = ", ".join(f"{name} {value:.8g}" for name, value in values.items())
            raise SystemExit(f"{case}: the contestants' {key} differs by {spread:.1e}: {shown}")


def race(
    contestants: list[Contestant], cases: Iterable[Case], seconds: float, tolerance: float
) -> Iterator[list[Result]]:
    """Each case in turn: every contestant prepares, then they take turns, then memory is read.

    Turns go round the contestants, and each round starts with the next one, so that a slow spell
    of the machine falls on all of them alike. A turn lasts as long for one as for the other: about
    a twentieth of `seconds`, or one step of the slowest. Who cannot do a case is left out of it.
    """
    for case in cases:
        answers = {c.name: c.ask(do="prepare", case=case.to_json()) for c in contestants}
        for name, answer in answers.items():
            if "error" in answer:
                print(f"  {name} is left out of {case}: {answer['error']}", file=sys.stderr)
        racing = [c for c in contestants if "error" not in answers[c.name]]
        check_agreement({c.name: answers[c.name] for c in racing}, case, tolerance)
        results = [Result(case, c.name, answers[c.name]["seconds"]) for c in racing]
        for c, result in zip(racing, results, strict=True):
            result.seconds = c.ask(do="step", count=2).get("seconds", [])
        alive = [i for i, result in enumerate(results) if result.seconds]
        racing, results = [racing[i] for i in alive], [results[i] for i in alive]
        trials = [min(r.seconds) for r in results]
        quick = [i for i, trial in enumerate(trials) if trial <= LONGEST_STEP]
        turn = max(seconds / 20, *(trials[i] for i in quick))
        rounds = max(5, round(seconds / turn))
        for i in quick:
            results[i].seconds = []
        for number in range(rounds):
            for offset in range(len(quick)):
                i = quick[(number + offset) % len(quick)]
                count = max(1, round(turn / trials[i]))
                results[i].seconds += racing[i].ask(do="step", count=count).get("seconds", [])
        for c, result in zip(racing, results, strict=True):
            memory = c.ask(do="memory")
            if "error" not in memory:
                result.tensors_mib, result.resident_mib = memory["tensors"], memory["resident"]
        yield [result for result in results if result.seconds]
