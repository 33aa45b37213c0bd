"""A connection of HTTP/1.1 that costs its generator of load as little as possible."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from typing import cast

__all__ = ["Connection", "connect"]

_BUFFER = memoryview(bytearray(2**20))
"""All connections read into it: what comes is counted, and not kept."""
_HEAD = 2**14
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


class Connection(asyncio.BufferedProtocol):
    """Sends a request at a time, and tells the status of the answer once all of it has come."""

    def __init__(self) -> None:
        self.lost = False
        self._answered: Callable[[int | None], None] | None = None
        self._head, self._got, self._size, self._status = b"", 0, 0, 0

    def ask(self, call: bytes, answered: Callable[[int | None], None]) -> None:
        """Send a request; `answered` gets the status, or None if the server closes."""
        self._answered = answered
        self._head, self._got, self._size = b"", 0, 0
        self.transport.write(call)

    async def status(self, call: bytes) -> int | None:
        """The status of the answer to a request."""
        found: asyncio.Future[int | None] = asyncio.get_running_loop().create_future()
        self.ask(call, found.set_result)
        return await found

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002
        return _BUFFER

    def buffer_updated(self, nbytes: int) -> None:
        self._got += nbytes
        if not self._size:
            self._head += bytes(_BUFFER[: min(nbytes, _HEAD)])
            end = self._head.find(b"\r\n\r\n")
            if end < 0:
                return
            length = _LENGTH.search(self._head, 0, end + 2)
            self._status = int(self._head[9:12])
            self._size = end + 4 + (int(length[1]) if length else 0)
        if self._got >= self._size:
            self._tell(self._status)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        self.lost = True
        self._tell(None)

    def _tell(self, status: int | None) -> None:
        answered, self._answered = self._answered, None
        if answered:
            answered(status)


async def connect(port: int) -> Connection:
    """Open a connection to a server on this machine.

    Raises:
        OSError: it takes none.
    """
    loop = asyncio.get_running_loop()
    _, found = await loop.create_connection(Connection, "127.0.0.1", port)
    return found
