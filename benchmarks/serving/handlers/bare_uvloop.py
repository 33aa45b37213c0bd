"""The least that a server does: count the bytes of requests, and answer a constant.

python bare_uvloop.py PORT SIZE
"""

from __future__ import annotations

import asyncio
import re
import sys
from typing import cast

import uvloop

LENGTH = re.compile(rb"\r\ncontent-length: (\d+)", re.IGNORECASE)


class Constant(asyncio.Protocol):
    """A connection whose requests are all of one size.

    Args:
        answer: head and body.
    """

    def __init__(self, answer: bytes) -> None:
        self.answer, self.size, self.got, self.head = answer, 0, 0, b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self.got += len(data)
        if not self.size:
            self.head += data
            end = self.head.find(b"\r\n\r\n")
            found = LENGTH.search(self.head)
            if end < 0 or found is None:
                return
            self.size = end + 4 + int(found[1])
        while self.size <= self.got:
            self.got -= self.size
            self.transport.write(self.answer)


async def serve(port: int, size: int) -> None:
    """Serve for ever."""
    head = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % size
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Constant(head + bytes(size)), "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1]), int(sys.argv[2])))
