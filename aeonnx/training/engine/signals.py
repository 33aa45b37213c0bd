"""SIGINT, SIGTERM, SIGHUP: the first stops training after the step, the second at once."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType

__all__ = ["Stop", "on_signals"]

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Stop:
    """A request to stop, and the signal that made it.

    Args:
        told: called with a message for the user at the first signal.
    """

    def __init__(self, told: Callable[[str], None]) -> None:
        self.signal: signal.Signals | None = None
        self._told = told

    @property
    def exit_code(self) -> int:
        """Exit code by shell convention: 130 for SIGINT, 143 for SIGTERM, 129 for SIGHUP."""
        return 128 + (self.signal or signal.SIGINT)

    def handle(self, number: int, _: FrameType | None) -> None:
        """Handle a signal: the first is recorded, the second has its default effect."""
        if self.signal is not None:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
            return
        self.signal = signal.Signals(number)
        with suppress(OSError):  # the terminal may be closed
            self._told(f"{self.signal.name}: saving after this step; a second signal quits at once")


@contextmanager
def on_signals(told: Callable[[str], None]) -> Iterator[Stop]:
    """Handle the signals in this block; outside the main thread, handlers are left unchanged."""
    stop = Stop(told)
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    before = {
        number: signal.signal(number, stop.handle)
        for number in _SIGNALS
        # keep ignoring SIGHUP under nohup
        if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN
    }
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
