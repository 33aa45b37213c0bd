"""Reads bodies of requests in bounded memory, and decompresses them."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from starlette.requests import Request

from aeonnx.errors import RequestError
from aeonnx.serving.threads import aside

__all__ = ["WINDOWS", "Budget", "Gone", "read_body"]

WINDOWS = {"gzip": 31, "deflate": 15}
"""Of zlib: with the header of gzip, and with that of zlib."""
_RATIO = 1032
"""Bytes that zlib makes of one at most."""


class Gone(Exception):  # noqa: N818  # the client left: no error
    """The client closed the connection; nobody reads an answer."""


class Budget:
    """What may be held at once over all requests, such as bytes of bodies.

    Args:
        most: how much.
    """

    def __init__(self, most: int) -> None:
        self._left = most

    @property
    def left(self) -> int:
        """How much is not held."""
        return self._left

    @contextmanager
    def held(self, size: int) -> Iterator[None]:
        """Hold a part of it for a while.

        Raises:
            RequestError: too much is held.
        """
        self.take(size)
        try:
            yield
        finally:
            self.give_back(size)

    def take(self, size: int) -> None:
        """Take a part of it.

        Raises:
            RequestError: too much is held.
        """
        if size > self._left:
            raise RequestError(503, "too many requests at once: try again", "rejected", 1)
        self._left -= size

    def give_back(self, size: int) -> None:
        """Give a part back."""
        self._left += size


async def read_body(request: Request, budget: Budget, most: int) -> bytes:
    """The body of a request, decompressed; the caller gives its length back to the budget.

    Args:
        request: the request.
        budget: what the bytes are taken from.
        most: most bytes, also after decompression.

    Raises:
        RequestError: the body is too large, damaged, or of an unknown encoding.
        Gone: the client left.
    """
    headers = request.headers
    encoding = headers.get("content-encoding", "identity").strip().lower()
    if encoding != "identity" and encoding not in WINDOWS:
        raise RequestError(501, "Content-Encoding: expected gzip or deflate")
    _require(int(headers.get("content-length") or 0), most)
    body, taken = bytearray(), 0
    try:
        while True:
            message: Any = await request.receive()
            if message["type"] == "http.disconnect":
                raise Gone
            chunk = message.get("body", b"")
            _require(len(body) + len(chunk), most)
            budget.take(len(chunk))
            taken += len(chunk)
            body += chunk
            if not message.get("more_body"):
                break
        if encoding == "identity":
            found, taken = bytes(body), 0
            return found
        room = min(most, _RATIO * len(body))
        budget.take(room)
        taken += room
        found = await aside(room, lambda: _decompressed(body, WINDOWS[encoding], most))
        taken -= len(found)
        return found
    finally:
        budget.give_back(taken)


def _require(size: int, most: int) -> None:
    if size > most:
        raise RequestError(
            413, f"the body is too large: expected at most {most} bytes: send fewer rows at once"
        )


def _decompressed(body: bytearray, window: int, most: int) -> bytes:
    stream = zlib.decompressobj(window)
    try:
        found = stream.decompress(body, most + 1)
    except zlib.error:
        raise RequestError(400, "the body is not what Content-Encoding says") from None
    _require(len(found), most)
    if not stream.eof or stream.unused_data:
        raise RequestError(400, "the compressed body has no end, or goes on after it")
    return found
