"""The training step on JAX, with folx's forward Laplacian under jax.jit."""

from __future__ import annotations

import time
from typing import Any

import folx
import jax
import jax.numpy as jnp
from cases import Case

MIB = 2**20


class Step:
    """A training step: Laplacian residual, its mean square, gradients of the parameters."""

    def __init__(self, device: str, dtype: str) -> None:
        if dtype == "float64":
            jax.config.update("jax_enable_x64", True)

    def prepare(self, case: Case, dtype: str) -> None:
        given = {name: jnp.asarray(array) for name, array in case.arrays(dtype).items()}
        count = len(case.layers())
        parameters = [(given[f"weight{i}"], given[f"bias{i}"]) for i in range(count)]

        def network(parameters: Any, x: Any) -> Any:
            for weight, bias in parameters[:-1]:
                x = jnp.tanh(weight @ x + bias)
            weight, bias = parameters[-1]
            return weight @ x + bias

        def loss(parameters: Any, points: Any, source: Any) -> Any:
            forward = folx.forward_laplacian(lambda x: network(parameters, x))
            found = jax.vmap(lambda x: forward(x).laplacian)(points)
            return jnp.mean((found - source) ** 2)

        # The tail end of what a user writes: value and gradient in one jitted function.
        lowered = jax.jit(jax.value_and_grad(loss)).lower(
            parameters, given["points"], given["source"]
        )
        self.step = lowered.compile()
        self.given = (parameters, given["points"], given["source"])

    def run(self) -> Any:
        return jax.block_until_ready(self.step(*self.given))

    def answer(self) -> dict[str, float]:
        loss, gradients = self.run()
        total = sum(jnp.sum(g**2) for g in jax.tree.leaves(gradients))
        return {"loss": float(loss), "gradient": float(jnp.sqrt(total))}

    def seconds(self) -> float:
        start = time.perf_counter()
        self.run()
        return time.perf_counter() - start

    def memory(self) -> dict[str, float | None]:
        """What XLA says that the compiled step takes for itself and for its results, in MiB."""
        analysis = self.step.memory_analysis()
        taken = analysis.temp_size_in_bytes + analysis.output_size_in_bytes
        return {"tensors": taken / MIB, "resident": None}
