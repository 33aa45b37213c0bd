"""Signals that end a command raise an exception, so that unfinished files are removed."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from types import FrameType

from aeonnx._util import files

__all__ = ["message", "prepare", "received"]

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
        number = self.received or signal.SIGINT
        with contextlib.suppress(OSError):  # a terminal that was closed
            os.write(2, f"{message(number)}\n".encode())  # sys.stderr may be locked as well
        os._exit(128 + number)


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


def message(number: signal.Signals) -> str:
    """What the user reads when this signal has ended a command."""
    return "Stopped." if number == signal.SIGINT else f"Stopped by {number.name}."


def _end(number: int) -> None:
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)
