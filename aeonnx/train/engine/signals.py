"""SIGINT, SIGTERM, SIGHUP: the first asks training to stop after the step, the second ends it."""

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
    """Whether to stop, and what asked for it.

    Args:
        told: called with a line for people when the first signal comes.
    """

    def __init__(self, told: Callable[[str], None]) -> None:
        self.signal: signal.Signals | None = None
        self._told = told

    @property
    def exit_code(self) -> int:
        """The shell's: 130 for SIGINT, 143 for SIGTERM, 129 for SIGHUP."""
        return 128 + (self.signal or signal.SIGINT)

    def handle(self, number: int, _: FrameType | None) -> None:
        """The handler of all."""
        if self.signal is not None:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
            return
        self.signal = signal.Signals(number)
        with suppress(OSError):  # the terminal may be what has gone
            self._told(f"{self.signal.name}: saving after this step; once more quits at once")


@contextmanager
def on_signals(told: Callable[[str], None]) -> Iterator[Stop]:
    """Catch the signals in this block; only the main thread gets any, others change nothing."""
    stop = Stop(told)
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    before = {
        number: signal.signal(number, stop.handle)
        for number in _SIGNALS
        # nohup has it ignored, and means that
        if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN
    }
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
