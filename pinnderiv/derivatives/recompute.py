"""Running a chunk of rows without keeping its graph; the backward pass runs it again.

`torch.utils.checkpoint` does not serve here: what its hooks save is brought back as soon as
a gradient is taken inside the chunk, which is what the engines do.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from pinnderiv.derivatives.transforms import leaves
from pinnderiv.errors import UnsupportedOperationError

Run = Callable[[Tensor, Mapping[str, Tensor]], Mapping[Any, Tensor]]
Tensors = tuple[Tensor | None, ...]


def recomputed(
    run: Run, rows: Tensor, coefficients: Mapping[str, Tensor], parameters: Sequence[Tensor]
) -> Mapping[Any, Tensor]:
    """``run(rows, coefficients)`` whose graph is made only while gradients are taken.

    Args:
        run: computes named tensors.
        rows: points ``(n, D)``.
        coefficients: further inputs by name.
        parameters: the leaves that ``run`` depends on besides.

    Returns:
        What ``run`` returns, differentiable in all of its inputs, also repeatedly.

    Raises:
        UnsupportedOperationError: in the backward pass, where these rows turn out to
            depend on other parameters.
    """
    names = list(coefficients)
    inputs = (rows, *coefficients.values())
    keys: list[Any] = []

    def outputs(*tensors: Tensor) -> Tensors:
        found = run(tensors[0], dict(zip(names, tensors[1:], strict=True)))
        keys[:] = found
        return tuple(found.values())

    found = _Recomputed.apply(_Step(outputs, len(inputs), parameters), *inputs, *parameters)
    return dict(zip(keys, found, strict=True))


@dataclass
class _Step:
    """Something to compute now, and again when its gradient is wanted.

    Attributes:
        run: computes tensors from inputs, and from parameters that it knows by itself.
        count: the number of inputs.
        parameters: those that it knows by itself. Not saved by autograd: hooks on saved
            tensors would give back others, which ``run`` does not depend on.
        random: the random states before the first run.
    """

    run: Callable[..., Tensors]
    count: int
    parameters: Sequence[Tensor]
    random: tuple[Tensor, Tensor | None] | None = None
    versions: tuple[int, ...] = ()

    def first(self, inputs: Sequence[Tensor]) -> Tensors:
        """The outputs, with random numbers from where the program is."""
        on_gpu = inputs[0].device.type == "cuda"
        gpu = torch.cuda.get_rng_state(inputs[0].device) if on_gpu else None
        self.random = (torch.get_rng_state(), gpu)
        self.versions = tuple(p._version for p in self.parameters)
        return self.run(*inputs)

    def again(self, inputs: Sequence[Tensor]) -> Tensors:
        """The outputs, with the same random numbers as the first time.

        Raises:
            UnsupportedOperationError: a parameter has changed since then.
        """
        if self.versions and self.versions != tuple(p._version for p in self.parameters):
            raise UnsupportedOperationError(
                "with chunk_size set, the backward pass runs f again, but its parameters have been "
                "changed in place since the forward pass: call backward() before optimiser.step()."
            )
        with _random_as_in(self.random, inputs[0].device):
            return self.run(*inputs)

    def gradient(self, needed: Sequence[bool], outputs: int) -> _Step:
        """The gradients with respect to inputs and parameters, as a step of its own.

        Its inputs are those of this step, detached from whatever made them (an input may
        depend on a parameter too, but that path is not this step's), and the gradients of
        the outputs. With gradients enabled its outputs have a graph.
        """

        def run(*tensors: Tensor) -> Tensors:
            graph = torch.is_grad_enabled()
            with torch.enable_grad():
                inputs = [
                    _starting_point(t, graph) if need else t
                    for t, need in zip(tensors[: self.count], needed, strict=False)
                ]
                found = self.again(inputs)
            pairs = [
                (t, g)
                for t, g in zip(found, tensors[self.count :], strict=True)
                if t is not None and t.requires_grad
            ]
            if not graph:
                _check_leaves([t for t, _ in pairs], [*inputs, *self.parameters])
            ends = (*inputs, *self.parameters)
            wanted = [t for t, need in zip(ends, needed, strict=True) if need]
            result: Iterator[Tensor | None] = iter(())
            if pairs:
                result = iter(
                    torch.autograd.grad(
                        [t for t, _ in pairs],
                        wanted,
                        [g for _, g in pairs],
                        create_graph=graph,
                        retain_graph=True,  # f may hold a graph of its own behind its closure
                        allow_unused=True,
                    )
                )
            return tuple(next(result, None) if need else None for need in needed)

        return _Step(run, self.count + outputs, self.parameters)


def _starting_point(tensor: Tensor, connected: bool) -> Tensor:
    """The tensor, such that gradients with respect to it go no further back than here."""
    if connected and tensor.requires_grad:
        return tensor.view_as(tensor)
    return tensor.detach().requires_grad_()


@contextlib.contextmanager
def _random_as_in(
    states: tuple[Tensor, Tensor | None] | None, device: torch.device
) -> Iterator[None]:
    gpu = states[1] if states is not None else None
    with torch.random.fork_rng(devices=[] if gpu is None else [device]):
        if states is not None:
            torch.set_rng_state(states[0])
        if gpu is not None:
            torch.cuda.set_rng_state(gpu, device)
        yield


class _Recomputed(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, step: _Step, *tensors: Tensor) -> Tensors:
        ctx.step = step
        ctx.save_for_backward(*tensors[: step.count])
        return tuple(None if t is None else t.detach() for t in step.first(tensors[: step.count]))

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Any, ...]:
        inputs, needed = ctx.saved_tensors, ctx.needs_input_grad[1:]
        step = ctx.step.gradient(needed, len(gradients))
        if torch.is_grad_enabled():
            # The gradient may be differentiated itself: recompute it too when that is wanted.
            return (None, *_Recomputed.apply(step, *inputs, *gradients, *step.parameters))
        return (None, *step.run(*inputs, *gradients))


def _check_leaves(outputs: Sequence[Tensor], known: Sequence[Tensor]) -> None:
    ids = {id(t) for t in known}
    strangers = [leaf for t in outputs for leaf in leaves(t) if id(leaf) not in ids]
    # Leaves that an engine made for itself have no owner outside of the graph.
    foreign = [leaf for leaf in strangers if isinstance(leaf, torch.nn.Parameter)]
    if foreign:
        raise UnsupportedOperationError(
            "with chunk_size set, f used a parameter for some rows that it did not use for the "
            f"first ones (shape {tuple(foreign[0].shape)}), so that its gradient would be lost. "
            "Call it without chunk_size, or let f use all of its parameters for every row."
        )
