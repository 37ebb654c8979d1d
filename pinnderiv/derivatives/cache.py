"""What the guard remembers, by fingerprint."""

from __future__ import annotations

import weakref
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

from pinnderiv.derivatives.fingerprint import Fingerprint


@dataclass(frozen=True)
class _Entry:
    anchors: tuple[weakref.ref[Any], ...]
    numbers: tuple[complex, ...]
    value: Any


class Cache:
    """Remembers values for each fingerprint and circumstance, the least used dropped first.

    A function whose numbers change (``lambda x: a * net(x)`` with a new a at each step) is
    told apart by them only so often: after ``variants`` of them the newest stands for all,
    so that a schedule does not make the guard run at every step for ever.
    """

    def __init__(self, size: int = 1024, variants: int = 8) -> None:
        self._size, self._variants = size, variants
        self._entries: OrderedDict[Any, list[_Entry]] = OrderedDict()

    def get(self, print_: Fingerprint, circumstance: tuple[Any, ...]) -> Any:
        """What was stored, or None."""
        key = (print_.key, circumstance)
        entries = self._entries.get(key) if print_.key is not None else None
        if not entries:
            return None
        entries[:] = [e for e in entries if all(anchor() is not None for anchor in e.anchors)]
        self._entries.move_to_end(key)
        for entry in entries:
            if entry.numbers == print_.numbers:
                return entry.value
        return entries[-1].value if len(entries) >= self._variants else None

    def put(self, print_: Fingerprint, circumstance: tuple[Any, ...], value: Any) -> None:
        """Stores ``value``, unless the function cannot be recognised again."""
        if print_.key is None:
            return
        key = (print_.key, circumstance)
        self._entries.setdefault(key, []).append(_Entry(print_.anchors, print_.numbers, value))
        self._entries.move_to_end(key)
        while len(self._entries) > self._size:
            self._entries.popitem(last=False)

    def clear(self) -> None:
        """Forgets everything."""
        self._entries.clear()
