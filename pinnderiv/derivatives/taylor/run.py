"""One pass of Taylor mode through a function: its level, and what its curvature channels hold.

Along directions v_k every intermediate quantity z(x) is carried as its value, its tangents
∂_{v_k} z and its curvature. What the curvature holds is the choice of the pass:

* :class:`Sum`: one channel, b·∇z + Σ_k w_k v_kᵀ (∇²z) v_k, with weights of any sign. This is
  the "collapsed" Taylor mode (forward Laplacian: Li et al. 2024, Dangel et al. 2025).
* :class:`Pairs`: one channel for each wanted pair (i, j), v_iᵀ (∇²z) v_j.
* :class:`Nothing`: first derivatives only.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

Product = Callable[[Any, Any], Any]
"""A product of two stacks of channels, channel by channel: (K, ...), (K, ...) -> (K, ...)."""


class Nothing:
    """No second derivatives are wanted."""

    count = 0

    def square(self, tangents: Any) -> Any:
        """The quadratic form t_i t_j of an elementwise function: none."""
        return None

    def cross(self, product: Product, a: Any, b: Any) -> Any:
        """The mixed second-order term of a bilinear function: none."""
        return None


class Sum:
    """All directions are summed with weights into one curvature channel.

    Args:
        weights: w ``(K,)``; None where all are one.
        numbers: the same as Python numbers, where they may be looked at and are constants.
        keeps: the tangents are wanted at the end of the pass, as they are.
    """

    count = 1

    def __init__(
        self,
        weights: Tensor | None,
        numbers: tuple[float, ...] | None = None,
        keeps: bool = False,
    ) -> None:
        self.weights = weights
        self.numbers = numbers
        self.keeps = keeps
        # Directions at the end that only their tangents are wanted of add nothing to the sum.
        self._live = len(numbers) if numbers else None
        while self._live and self._live > 1 and numbers and numbers[self._live - 1] == 0:
            self._live -= 1
        self.plain = weights is None or (
            numbers is not None and all(n == 1 for n in numbers[: self._live])
        )

    def live(self, channels: Any) -> Any:
        """The channels without those at the end that have the weight zero."""
        return channels if self._live is None else channels[: self._live]

    def reduce(self, channels: Any) -> Any:
        """Σ_k w_k channels_k with the channel axis kept, ``(K, ...) -> (1, ...)``."""
        channels = self.live(channels)
        if self.weights is not None and not self.plain:
            weights = self.live(self.weights)
            channels = channels * weights.reshape((-1,) + (1,) * (channels.ndim - 1))
        return channels.sum(0, keepdim=True)

    def square(self, tangents: Any) -> Any:
        """Σ_k w_k t_k², ``(K, ...) -> (1, ...)``."""
        tangents = self.live(tangents)
        squares = tangents * tangents
        return squares if self.plain and squares.shape[0] == 1 else self.reduce(squares)

    def cross(self, product: Product, a: Any, b: Any) -> Any:
        """2 Σ_k w_k B(a_k, b_k): the second-order term of a bilinear function B."""
        return self.reduce(product(self.live(a), self.live(b))) * 2


class Pairs:
    """A curvature channel for each pair of directions.

    Args:
        first, second: the directions i and j of each channel.
        device: where the channels live.
    """

    def __init__(
        self, first: Sequence[int], second: Sequence[int], count: int, device: Any
    ) -> None:
        self.count = len(first)
        self.pairs = tuple(zip(first, second, strict=True))
        self.diagonal = tuple(first) == tuple(second)
        whole = tuple(range(count))
        self._first = _index(tuple(first), whole, device)
        self._second = _index(tuple(second), whole, device)

    def first(self, channels: Any) -> Any:
        """The channel i of each pair (i, j)."""
        return channels if self._first is None else channels.index_select(0, self._first)

    def second(self, channels: Any) -> Any:
        """The channel j of each pair (i, j)."""
        return channels if self._second is None else channels.index_select(0, self._second)

    def square(self, tangents: Any) -> Any:
        """t_i t_j for each pair, ``(K, ...) -> (C, ...)``."""
        left = self.first(tangents)
        return left * (left if self.diagonal else self.second(tangents))

    def cross(self, product: Product, a: Any, b: Any) -> Any:
        """B(a_i, b_j) + B(a_j, b_i): the second-order term of a bilinear function B."""
        if self.diagonal:
            return product(self.first(a), self.first(b)) * 2
        return product(self.first(a), self.second(b)) + product(self.second(a), self.first(b))


Structure = Nothing | Sum | Pairs


def _index(chosen: tuple[int, ...], whole: tuple[int, ...], device: Any) -> Tensor | None:
    return None if chosen == whole else torch.tensor(chosen, device=device)


@dataclass(eq=False)
class Run:
    """One pass of a function on carriers.

    Attributes:
        level: passes within passes have higher levels; a carrier of a lower level is a
            constant to the pass above it.
        channels: K, how many tangents there are.
        structure: what the curvature channels hold.
        grad_enabled: whether autograd records, as it was when the pass began.
        strict: refuse operations without a rule of their own.
        log: where to note the operations of the pass, or None.
        root: for carriers with fewer directions, the pass with all of them (`economy.py`).
        turns: how the directions of the root follow from the fewer ones.
        shared: there are carriers with fewer directions than this pass has.
        over: the pass has ended; a carrier that f has kept is of no use any more.
    """

    level: int
    channels: int
    structure: Structure
    grad_enabled: bool
    strict: bool = False
    log: list[Any] | None = field(default=None, repr=False)
    root: Run | None = None
    turns: tuple[Any, ...] = ()
    shared: bool = False
    over: bool = False


class _Levels(threading.local):
    depth = 0


_levels = _Levels()
_compiled_depth = 0
# torch.compile cannot follow thread-local state; passes that it traces start here, above
# whatever passes around the compiled function may be running.
_COMPILED_BASE = 1000


def enter_level() -> int:
    """Begins a pass; returns its level."""
    global _compiled_depth
    if torch.compiler.is_compiling():
        _compiled_depth += 1
        return _COMPILED_BASE + _compiled_depth
    _levels.depth += 1
    return _levels.depth


def leave_level() -> None:
    """Ends the innermost pass."""
    global _compiled_depth
    if torch.compiler.is_compiling():
        _compiled_depth -= 1
    else:
        _levels.depth -= 1
