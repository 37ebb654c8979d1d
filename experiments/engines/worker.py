"""One contestant in a process of its own: reads a request a line, answers with a line of JSON.

Requests: {"do": "prepare", "case": {...}}, {"do": "step", "count": k}, {"do": "memory"}.
Kept alive through the whole run, so that contestants can take turns on a warm process.
"""

from __future__ import annotations

import ctypes
import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from cases import HIDDEN_LAYERS
from contestants import network_of, pinnderiv_engines, residual_of
from torch.profiler import ProfilerActivity, profile

MIB = 2**20


class Step:
    """A training step: Laplacian residual, its mean square, gradients of the parameters."""

    def __init__(self, contestant: str, device: str, dtype: str) -> None:
        self.residual = residual_of(contestant)
        self.device = torch.device(device)
        self.dtype = getattr(torch, dtype)

    def prepare(self, inputs: int, width: int, points: int, outputs: int) -> None:
        network = network_of(inputs, width, HIDDEN_LAYERS, outputs)
        self.network = network.to(self.device, self.dtype)
        self.points = torch.rand(points, inputs, dtype=self.dtype).to(self.device)
        self.source = torch.rand(points, outputs, dtype=self.dtype).to(self.device)

    def run(self, points: int | None = None) -> torch.Tensor:
        self.network.zero_grad(set_to_none=True)
        residual = self.residual(self.network, self.points[:points]) - self.source[:points]
        loss = residual.square().mean()
        loss.backward()
        return loss.detach()

    def seconds(self) -> float:
        self.wait()
        start = time.perf_counter()
        self.run()
        self.wait()
        return time.perf_counter() - start

    def wait(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)

    def gradient_norm(self) -> float:
        squares = [p.grad.square().sum() for p in self.network.parameters() if p.grad is not None]
        return float(torch.stack(squares).sum().sqrt())

    def memory(self) -> dict[str, float | None]:
        """Peak of one step above what was held before it, in MiB.

        `tensors`: what torch's allocator handed out and had not got back, at its highest; on a CPU
        from the profiler's allocation events, which are exact, on CUDA from the allocator's own
        statistics. `resident`: growth of the process's resident set, as the kernel saw it, which
        also counts scratch memory of the matrix library (Linux, CPU).
        """
        self.network.zero_grad(set_to_none=True)
        self.wait()
        if self.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(self.device)
            before = torch.cuda.memory_allocated(self.device)
            self.run()
            self.wait()
            peak = torch.cuda.max_memory_allocated(self.device) - before
            return {"tensors": peak / MIB, "resident": None}
        resident = self.resident_growth()
        return {"tensors": self.allocated_peak() / MIB, "resident": resident}

    def allocated_peak(self) -> int:
        self.network.zero_grad(set_to_none=True)
        with quiet(), profile(activities=[ProfilerActivity.CPU], profile_memory=True) as recorded:
            self.run()
        events = [e for e in recorded.profiler.kineto_results.events() if e.name() == "[memory]"]
        live = peak = 0
        for event in sorted(events, key=lambda event: event.start_ns()):
            live += event.nbytes()
            peak = max(peak, live)
        return peak

    def resident_growth(self) -> float | None:
        try:
            # The C library keeps what was freed; a step would reuse it and seem to grow by nothing.
            ctypes.CDLL(None).malloc_trim(0)
            # Writing 5 sets the high-water mark back to what is resident now (proc(5)).
            Path("/proc/self/clear_refs").write_text("5")
            before = resident_kib("VmRSS")
            self.run()
            return (resident_kib("VmHWM") - before) / 1024
        except (OSError, AttributeError):
            return None


@contextmanager
def quiet() -> Iterator[None]:
    """Keeps back what the profiler's native code writes to standard error."""
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def resident_kib(field: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1])
    raise OSError(f"no {field} in /proc/self/status")


def answer(step: Step, request: dict[str, Any]) -> dict[str, Any]:
    if request["do"] == "prepare":
        step.prepare(**request["case"])
        loss = step.run()
        step.run()
        return {"loss": float(loss), "gradient": step.gradient_norm()}
    if request["do"] == "step":
        return {"seconds": [step.seconds() for _ in range(request["count"])]}
    if request["do"] == "memory":
        return step.memory()
    raise SystemExit(f"unknown request {request}")


def main() -> None:
    contestant, device, dtype, threads = sys.argv[1:]
    # What a library prints must not fall between the answers.
    replies = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    torch.set_num_threads(int(threads))
    if contestant == "engines":
        replies.write(json.dumps(pinnderiv_engines()) + "\n")
        return
    step = Step(contestant, device, dtype)
    replies.write(json.dumps({"torch": torch.__version__}) + "\n")
    for line in sys.stdin:
        replies.write(json.dumps(answer(step, json.loads(line))) + "\n")


if __name__ == "__main__":
    main()
