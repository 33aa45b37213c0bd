"""The access log: a line of JSON on stdout for each request."""

from __future__ import annotations

import logging
import os
import select
import sys
import threading
from collections import deque
from collections.abc import Callable

__all__ = ["AccessLog"]

_LOG = logging.getLogger(__name__)

_TOGETHER_S = 0.2
_MOST = 10_000
_LAST_S = 1.0


def _to_stdout(lines: bytes) -> None:
    """Write past Python's buffer, whose lock a blocked thread would hold until the very end."""
    try:
        number = sys.stdout.fileno()
    except (AttributeError, OSError):  # a notebook's
        sys.stdout.write(lines.decode())
        return
    while lines:
        try:
            lines = lines[os.write(number, lines) :]
        except BlockingIOError:  # another process made it non-blocking
            select.select([], [number], [])


class AccessLog:
    """Lines that a thread writes, a few times a second: no request waits for who reads them.

    Lines that nobody reads are lost; if stdout is closed, the log ends and the server goes on.

    Args:
        write: writes bytes, and blocks if nobody reads them.
    """

    def __init__(self, write: Callable[[bytes], object] = _to_stdout) -> None:
        self._write = write
        self._waiting: deque[bytes] = deque()
        self._lost = self._writing = 0
        self._some, self._ends = threading.Event(), threading.Event()
        self._thread: threading.Thread | None = None

    def add(self, line: bytes) -> None:
        """Add a line, without its end; call it from one thread."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="access log", daemon=True)
            self._thread.start()
        if len(self._waiting) >= _MOST or not self._thread.is_alive():
            self._lost += 1
            return
        self._waiting.append(line)
        if not self._some.is_set():
            self._some.set()

    def close(self) -> None:
        """Write what waits, unless that takes long."""
        self._ends.set()
        self._some.set()
        if self._thread is not None:
            self._thread.join(_LAST_S)
        if lost := self._lost + self._writing + len(self._waiting):
            _LOG.warning("%d lines of the access log were lost: nobody reads stdout", lost)

    def _work(self) -> None:
        ends = False
        while not ends:
            self._some.wait()
            ends = self._ends.wait(_TOGETHER_S)
            self._some.clear()
            lines = [self._waiting.popleft() for _ in range(len(self._waiting))]
            self._writing = len(lines)
            try:
                self._write(b"".join(line + b"\n" for line in lines))
            except Exception as error:  # whatever it is, the server goes on
                _LOG.warning("the access log ends, stdout cannot be written: %s", error)
                return
            self._writing = 0
