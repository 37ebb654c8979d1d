"""One contestant in a process of its own: reads a request a line, answers with a line of JSON.

Requests: {"do": "prepare", "case": {...}}, {"do": "step", "count": k}, {"do": "memory"}.
Kept alive through the whole run, so that contestants can take turns on a warm process.
"""

from __future__ import annotations

import json
import os
import sys
import time
from typing import Any

from cases import Case


def made(contestant: str, device: str, dtype: str, threads: int) -> tuple[Any, str]:
    """The contestant's training step, and the version of the framework it runs on."""
    if contestant == "folx":
        import jax
        import steps_jax

        return steps_jax.Step(device, dtype), f"jax {jax.__version__}"
    import steps_torch
    import torch

    torch.set_num_threads(threads)
    version = f"torch {torch.__version__}"
    if contestant == "floor":
        return steps_torch.Floor(device, dtype), version
    return steps_torch.Step(contestant, device, dtype), version


def answer(step: Any, dtype: str, request: dict[str, Any]) -> dict[str, Any]:
    if request["do"] == "prepare":
        start = time.perf_counter()
        step.prepare(Case(**request["case"]), dtype)
        found = step.answer()
        seconds = time.perf_counter() - start
        step.run()
        return {**found, "seconds": seconds}
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
    if contestant == "engines":
        import steps_torch

        replies.write(json.dumps(steps_torch.pinnderiv_engines()) + "\n")
        return
    step, version = made(contestant, device, dtype, int(threads))
    replies.write(json.dumps({"version": version}) + "\n")
    for line in sys.stdin:
        try:
            reply = answer(step, dtype, json.loads(line))
        except Exception as error:  # a contestant that cannot do a case has lost that case only
            reply = {"error": f"{type(error).__name__}: {str(error).splitlines()[0][:200]}"}
        replies.write(json.dumps(reply) + "\n")


if __name__ == "__main__":
    main()
