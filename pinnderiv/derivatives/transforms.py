"""Living among other transforms: torch.func, torch.compile, and autograd's graph."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor


def inside_transform() -> bool:
    """Whether a torch.func transform is running around this call."""
    return torch._C._functorch.peek_interpreter_stack() is not None


# Asked while torch.compile traces, which enters the transforms that it meets: what was found then
# holds for the code that it makes. (What torch.compiler.assume_constant_result does.)
inside_transform._dynamo_marked_constant = True  # type: ignore[attr-defined]


def outside_transforms() -> contextlib.AbstractContextManager[Any]:
    """Within it torch.func wraps nothing: what is computed may outlive the transform."""
    return torch._C._DisableFuncTorch()


def many_cotangents(*cotangents: Tensor | None) -> bool:
    """Whether a backward pass was given a batch of cotangents, by vmap or ``is_grads_batched``."""
    legacy = torch._C._functorch.is_legacy_batchedtensor
    return inside_transform() or any(each is not None and legacy(each) for each in cotangents)


_examining = False


def can_look_at_numbers() -> bool:
    """Whether tensors have numbers that Python may branch on; not while being compiled."""
    return _examining or not torch.compiler.is_compiling()


def is_examining() -> bool:
    """Whether this is the guard at work within a compilation."""
    return _examining


@contextlib.contextmanager
def examining() -> Iterator[None]:
    """An island of ordinary execution within a compilation, for the guard."""
    global _examining
    before, _examining = _examining, True
    try:
        yield
    finally:
        _examining = before


def is_carrier(x: Any) -> bool:
    """Whether x is what Taylor mode calls a function with in place of a tensor."""
    return not isinstance(x, Tensor) and hasattr(x, "tangents") and hasattr(x, "curvature")


def outside_inference_mode(apply: Callable[..., Any]) -> Callable[..., Any]:
    """``apply`` for tensors, under torch.inference_mode() as under torch.no_grad().

    Tensors made in inference mode cannot be differentiated by any engine.
    """

    @functools.wraps(apply)
    def outside(*args: Any, **kwargs: Any) -> Any:
        if not can_look_at_numbers() or not torch.is_inference_mode_enabled():
            return apply(*args, **kwargs)
        with torch.inference_mode(False), torch.no_grad():
            return apply(*args, **kwargs)

    return outside


def ordinary(tensor: Tensor) -> Tensor:
    """A tensor that autograd can work with: a copy, if it was made in inference mode."""
    # torch.compile cannot ask, and does not meet such tensors in training.
    return tensor.clone() if can_look_at_numbers() and tensor.is_inference() else tensor


def plain(tensor: Any) -> Tensor:
    """The numbers of a tensor, detached, also where torch.func transforms have wrapped it.

    A dimension that vmap hides comes to the front.
    """
    functorch = torch._C._functorch
    while is_carrier(tensor):
        tensor = tensor.value
    with outside_transforms():
        while functorch.is_functorch_wrapped_tensor(tensor):
            hidden = functorch.maybe_get_bdim(tensor) if functorch.is_batchedtensor(tensor) else -1
            tensor = functorch.get_unwrapped(tensor)
            if hidden > 0:
                tensor = tensor.movedim(hidden, 0)
        return tensor.detach()


def attached(result: Tensor, value: Tensor) -> Tensor:
    """``result`` as a part of the graph of ``value``, with zero gradients if it has none.

    The second derivative of a linear network is a constant; the loss that it ends up in is
    to be differentiated all the same.
    """
    if result.requires_grad or not (torch.is_grad_enabled() and value.requires_grad):
        return result
    return result + 0 * value.nan_to_num(0, 0, 0).sum()


def graph_nodes(tensor: Tensor) -> Iterator[Any]:
    """Every node of the autograd graph behind a tensor, once."""
    seen, stack = set(), [tensor.grad_fn]
    while stack:
        node = stack.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        yield node
        stack.extend(parent for parent, _ in node.next_functions)


def leaves(tensor: Tensor) -> list[Tensor]:
    """The leaves that a tensor depends on and that require gradients."""
    if tensor.requires_grad and tensor.is_leaf:
        return [tensor]
    return [node.variable for node in graph_nodes(tensor) if hasattr(node, "variable")]
