"""What is trained: parameters out of modules, tensors and groups of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from torch import Tensor, nn

from pinnderiv.errors import ArgumentError, DtypeError

Parameters = nn.Module | Tensor | Iterable[Any]
"""A module, a tensor, or several of them, also as groups ``{"params": ...}``."""


def trainable(parameters: Parameters) -> tuple[list[Tensor], list[nn.Module]]:
    """The parameters that require gradients, each once, and the modules that were given.

    Raises:
        ArgumentError: there are none, or one is not a leaf of autograd's graph, or a group has
            options of its own.
        DtypeError: one is no tensor or complex, or they differ in dtype or device.
    """
    modules: list[nn.Module] = []
    found: dict[int, Tensor] = {}
    _collect(parameters, modules, found)
    chosen = [each for each in found.values() if each.requires_grad]
    if not chosen:
        raise ArgumentError(
            f"parameters hold nothing to train: {len(found)} tensors, of which none requires "
            "gradients. (A generator such as net.parameters() can be used once only.)"
        )
    for each in chosen:
        if each.is_complex() or each.numel() == 0:
            raise DtypeError(
                f"a parameter is {each.dtype} of shape {tuple(each.shape)}: parameters must be "
                "real and not empty."
            )
        if not each.is_leaf:
            raise ArgumentError(
                "a parameter was computed from others: give the leaves that it was computed from."
            )
    kinds = {(each.dtype, each.device) for each in chosen}
    if len(kinds) > 1:
        raise DtypeError(
            "parameters must share one dtype and one device; got "
            + ", ".join(sorted(f"{dtype} on {device}" for dtype, device in kinds))
            + "."
        )
    return chosen, modules


def _collect(given: Any, modules: list[nn.Module], found: dict[int, Tensor]) -> None:
    if isinstance(given, nn.Module):
        modules.append(given)
        found.update((id(each), each) for each in given.parameters())
    elif isinstance(given, Tensor):
        found[id(given)] = given
    elif isinstance(given, Mapping):
        if set(given) != {"params"}:
            raise ArgumentError(
                "a group of parameters has the key 'params' only, since all are moved as one "
                f"vector; got {sorted(map(str, given))}."
            )
        _collect(given["params"], modules, found)
    elif isinstance(given, Iterable) and not isinstance(given, str):
        for each in given:
            _collect(each, modules, found)
    else:
        raise DtypeError(
            "parameters must be a torch.nn.Module, a tensor, or several of them; got "
            f"{type(given).__name__}."
        )
