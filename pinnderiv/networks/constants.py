"""Numbers of a module that no change of dtype may wear down."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn


class ConstantsModule(nn.Module):
    """A module whose constants are rounded once, from float64 to the dtype in use.

    An ordinary buffer made in float32 keeps float32's error through
    ``.to(torch.float64)``: a wall at 0.1 would stand at 0.10000000149, and a
    constraint that is exact on the wall would be exact beside it. Constants are
    made anew whenever the module moves. They come from the constructor's
    arguments, so a checkpoint does not hold them.
    """

    def __init__(self) -> None:
        super().__init__()
        self._exact: dict[str, Tensor] = {}

    def register_constant(self, name: str, values: object) -> None:
        """Holds ``values`` (nested lists of numbers) as the buffer ``name``."""
        exact = torch.tensor(values, dtype=torch.float64)
        self._exact[name] = exact
        self.register_buffer(name, exact.to(torch.get_default_dtype()), persistent=False)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> nn.Module:
        super()._apply(fn, recurse)
        for name, exact in self._exact.items():
            setattr(self, name, exact.to(getattr(self, name)))
        return self
