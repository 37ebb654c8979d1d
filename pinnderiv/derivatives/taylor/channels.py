"""Shapes of channel stacks: tangents (K, *shape) and curvature (C, *shape) beside (*shape).

A stack has exactly one dimension more than the value it belongs to. Any of its dimensions
but the first may be 1 where the value's is longer: the entry is the same along it. So the
tangents of the first linear layer, which are columns of its weight matrix, are stored once
and not for every row. ``None`` is a stack of zeros.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch


def lift(stack: Any, ndim: int) -> Any:
    """Inserts dimensions of length 1 behind the channel axis, for a value of ``ndim``."""
    missing = ndim + 1 - stack.ndim
    if missing <= 0:
        return stack
    return stack.reshape(tuple(stack.shape[:1]) + (1,) * missing + tuple(stack.shape[1:]))


def spread(stack: Any, shape: Sequence[int]) -> Any:
    """The stack as a view with every entry, ``(K, *shape)``."""
    full = tuple(stack.shape[:1]) + tuple(shape)
    return stack if tuple(stack.shape) == full else stack.expand(full)


def is_spread(stack: Any, shape: Sequence[int]) -> bool:
    """Whether the stack has every entry."""
    return tuple(stack.shape[1:]) == tuple(shape)


def total(a: Any, b: Any) -> Any:
    """Sum of two stacks, either of which may be None."""
    if a is None:
        return b
    return a if b is None else a + b


def product(factor: Any, stack: Any) -> Any:
    """A factor times a stack that may be None; both aligned."""
    return None if stack is None else factor * stack


def each(func: Callable[..., Any], *stacks: Any) -> Any:
    """Applies ``func`` to each channel of full stacks, and stacks what it returns.

    ``torch.vmap`` where the stacks are tensors; where they are carriers of an outer pass,
    which vmap does not know, one channel after the other.
    """
    if all(isinstance(s, torch.Tensor) for s in stacks):
        return torch.vmap(func, randomness="same")(*stacks)
    results = [func(*parts) for parts in zip(*(s.unbind(0) for s in stacks), strict=True)]
    if isinstance(results[0], (tuple, list)):
        columns = [torch.stack(list(column)) for column in zip(*results, strict=True)]
        return type(results[0])(columns) if type(results[0]) in (tuple, list) else tuple(columns)
    return torch.stack(results)
