"""Signals that end a command raise an exception, so that unfinished files are removed."""

from __future__ import annotations

import os
import signal
import time
from types import FrameType

from aeonnx._util import files

__all__ = ["prepare", "received"]

_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_PATIENCE_S = 10  # for unfinished files to be removed
_TOGETHER_S = 1.0  # `timeout` and service managers send a signal twice, or two at once


class _Handler:
    """The first signal raises KeyboardInterrupt; one that comes later ends the process at once."""

    def __init__(self) -> None:
        self.received: signal.Signals | None = None
        self._since = 0.0
        self._process = os.getpid()

    def __call__(self, number: int, _: FrameType | None) -> None:
        if os.getpid() != self._process:  # a forked child has no files to remove
            _end(number)
        elif self.received is None:
            self.received, self._since = signal.Signals(number), time.monotonic()
            signal.signal(signal.SIGALRM, self._give_up)
            signal.alarm(_PATIENCE_S)
            raise KeyboardInterrupt
        elif time.monotonic() - self._since > _TOGETHER_S:
            _end(number)

    def _give_up(self, *_: object) -> None:
        """End a process that has not ended by itself.

        The exception may reach a thread pool while it acquires a lock, which then is never freed.
        """
        files.abandon()
        os._exit(128 + (self.received or signal.SIGINT))


_handler: _Handler | None = None


def prepare() -> None:
    """Handle Ctrl-C, SIGTERM and SIGHUP, except those that are ignored, as under `nohup`."""
    global _handler
    _handler = _Handler()
    for number in _ENDING:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _handler)


def received() -> signal.Signals | None:
    """The signal that came, even if a library has caught or replaced its exception since."""
    return _handler.received if _handler else None


def _end(number: int) -> None:
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)
