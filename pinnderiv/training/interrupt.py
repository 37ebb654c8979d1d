"""Ctrl-C and SIGTERM as a wish to stop after the present step."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any


class StopRequest:
    """Remembers the signal that asked the run to stop, if one did."""

    signal: signal.Signals | None = None

    def __bool__(self) -> bool:
        return self.signal is not None

    @property
    def exit_code(self) -> int:
        """What a shell expects of a process that a signal ended: 128 + its number."""
        return 0 if self.signal is None else 128 + int(self.signal)


@contextmanager
def stopping_gently() -> Iterator[StopRequest]:
    """Turns SIGINT and SIGTERM into a :class:`StopRequest` while the block runs.

    The first signal only asks: the loop finishes its step, saves and leaves. A second one ends
    the process in the usual way, for whoever cannot wait. Outside the main thread, where
    Python allows no handlers, the request simply never comes.
    """
    request = StopRequest()
    if threading.current_thread() is not threading.main_thread():
        yield request
        return
    previous: dict[signal.Signals, Any] = {}

    def restore() -> None:
        for number, handler in previous.items():
            signal.signal(number, handler)
        previous.clear()

    def ask(number: int, frame: FrameType | None) -> None:
        request.signal = signal.Signals(number)
        restore()

    for number in (signal.SIGINT, signal.SIGTERM):
        # None means a handler that Python did not set and cannot put back
        previous[number] = signal.signal(number, ask) or signal.SIG_DFL
    try:
        yield request
    finally:
        restore()
