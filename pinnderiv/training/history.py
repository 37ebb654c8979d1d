"""The course of a run as a table, ``history.csv``."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any, TextIO

from pinnderiv.training.accuracy import Error
from pinnderiv.training.monitor import Monitor, RunFacts, StepRecord

_FIXED = ("step", "phase", "seconds", "loss", "gradient_norm", "learning_rate", "relative_l2")


class History(Monitor):
    """Writes a row every so many steps, and wherever the error was measured.

    Columns: step, phase, seconds (training time), loss, gradient_norm, learning_rate,
    relative_l2 (empty where it was not measured), the mean square of each term, and the weights
    that change in the run.

    Args:
        path: of the CSV file. A resumed run keeps the rows up to the step it goes on from.
        every: steps between two rows.
        terms: names of the loss terms, and of the weights.
    """

    def __init__(self, path: Path, every: int, terms: tuple[str, ...]) -> None:
        self.path = path
        self.every = every
        self.columns = (*_FIXED, *terms)
        self.rows: list[dict[str, Any]] = []
        self._file: TextIO | None = None
        # the error of a step comes after the step, so its row waits until it is complete
        self._waiting: dict[str, Any] = {}
        self._wanted = False

    def start(self, run: RunFacts) -> None:
        self.rows = self._rows_until(run.first_step)
        self._file = self.path.open("w", newline="", encoding="utf-8")
        self._writer = csv.DictWriter(self._file, self.columns)
        self._writer.writeheader()
        self._writer.writerows(self.rows)

    def step(self, record: StepRecord) -> None:
        self._write_waiting()
        self._wanted = record.step == 1 or record.step % self.every == 0
        self._waiting = {name: getattr(record, name) for name in _FIXED[:-1]}
        self._waiting.update({**record.terms, **record.weights}, relative_l2="")

    def error(self, step: int, error: Error) -> None:
        if self._waiting.get("step") == step:
            self._waiting["relative_l2"] = error.relative_l2
            self._wanted = True

    def close(self) -> None:
        self._write_waiting()
        if self._file is not None:
            self._file.close()
            self._file = None

    def column(self, name: str) -> tuple[list[int], list[float]]:
        """The steps and the values of a column, where it has values."""
        self._write_waiting()
        rows = [row for row in self.rows if row[name] != ""]
        return [int(row["step"]) for row in rows], [float(row[name]) for row in rows]

    def _write_waiting(self) -> None:
        if self._wanted and self._file is not None:
            self.rows.append(self._waiting)
            self._writer.writerow(self._waiting)
            self._file.flush()
        self._wanted = False

    def _rows_until(self, step: int) -> list[dict[str, Any]]:
        if step == 0 or not self.path.exists():
            return []
        with self.path.open(newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file)
            if tuple(reader.fieldnames or ()) != self.columns:
                return []  # another version's table, or another loss: begin anew
            # a row that a crash cut short has no last column
            return [row for row in reader if None not in row.values() and int(row["step"]) <= step]
