"""Connections that cannot hold the server up: slow, endless or too many ones are closed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import httptools
import orjson
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

__all__ = ["MOST_CONNECTIONS", "Connection"]

MOST_CONNECTIONS = 8192
_HEADERS = 2**16  # bytes of the request line and all headers, and of trailers
_CHUNKS = 2**17  # of a body: those of a byte each would cost more than all else
_HEADERS_S = 10.0  # for the headers of a request
_REQUEST_S = 60.0  # for a whole request
_WRITE_S = 60.0  # for a client to read the next part of an answer
_PART = 2**20  # bytes


class Connection(HttpToolsProtocol):
    """A connection of HTTP/1.1 with limits that uvicorn does not have.

    Args:
        report: is told what was refused before it was a whole request: the client's address, the
            status and the text.
        args, kwargs: of uvicorn.
    """

    def __init__(self, *args: Any, report: Callable[[str, int, str], None], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._report = report
        self._due: asyncio.TimerHandle | None = None
        self._stuck: asyncio.TimerHandle | None = None
        self._unsent = 0
        self._head = self._chunks = 0

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        if len(self.connections) > MOST_CONNECTIONS:
            self._refuse(503, "too many connections: try again")
        else:
            self._expect(_HEADERS_S)

    def connection_lost(self, exc: Exception | None) -> None:
        self._cancel()
        if self._stuck:
            self._stuck.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._unset_keepalive_if_required()
        self._head += len(data)
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as stopped:
            self._without_upgrade(data[stopped.args[0] :])
        except httptools.HttpParserError:
            self._refuse(400, "expected a request of HTTP/1.1, got something else")
        # The parser has no limit. What comes with headers may be a body, so they count only if they
        # do not end within this data.
        if self._head > _HEADERS:
            self._refuse(431, f"the headers are too large: expected at most {_HEADERS} bytes")
        elif self._due is None and (self.cycle is None or self.cycle.response_complete):
            # An empty line, or the rest of a body that was refused: the connection is still idle.
            self.timeout_keep_alive_task = self.loop.call_later(
                self.timeout_keep_alive, self.timeout_keep_alive_handler
            )

    def on_message_begin(self) -> None:
        super().on_message_begin()
        if self._due is None:
            self._expect(_HEADERS_S)

    def on_headers_complete(self) -> None:
        self._head = self._chunks = 0
        if self._offers_upgrade():
            return
        self._expect(_REQUEST_S)
        super().on_headers_complete()

    def on_chunk_header(self) -> None:
        self._head = 0
        self._chunks += 1
        if self._chunks > _CHUNKS:
            self._refuse(413, f"expected at most {_CHUNKS} chunks of a body: send larger ones")

    def on_body(self, body: bytes) -> None:
        self._head = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        if self._offers_upgrade():
            return
        self._cancel()
        super().on_message_complete()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._await_reader()

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._stuck:
            self._stuck.cancel()
            self._stuck = None

    def _await_reader(self) -> None:
        self._unsent = self.transport.get_write_buffer_size()
        self._stuck = self.loop.call_later(_WRITE_S, self._require_progress)

    def _require_progress(self) -> None:
        """End the connection of a client that reads too slowly, or not at all."""
        if self._unsent - self.transport.get_write_buffer_size() < _PART:
            self.transport.abort()
        else:
            self._await_reader()

    def _offers_upgrade(self) -> bool:
        """Whether the client offers another protocol, as Java's client does with h2c."""
        return self.parser.should_upgrade() and self.parser.get_method() != b"CONNECT"

    def _without_upgrade(self, rest: bytes) -> None:
        """Read a request again without its offer of another protocol.

        The parser stopped after its headers, as if its body were in that protocol.
        """
        lines = [b"%b %b HTTP/1.1" % (self.parser.get_method(), self.url)]
        lines += [b"%b: %b" % each for each in self.headers if each[0] != b"upgrade"]
        self._head = 0
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn does
        self.data_received(b"\r\n".join([*lines, b"", rest]))

    def _expect(self, seconds: float) -> None:
        self._cancel()
        self._due = self.loop.call_later(seconds, self._late)

    def _cancel(self) -> None:
        if self._due:
            self._due.cancel()
            self._due = None

    def _late(self) -> None:
        self._due = None
        self._refuse(408, "the request did not come in time")

    def _refuse(self, status: int, text: str) -> None:
        """Answer an error, unless another answer has begun, and close the connection."""
        if self.transport.is_closing():
            return
        idle = self.cycle is None or self.cycle.response_complete
        if idle:  # otherwise the app reports it
            self._report(self.client[0] if self.client else "", status, text)
        if idle or not self.cycle.response_started:
            body = orjson.dumps({"error": text})
            self.transport.write(
                STATUS_LINE[status]
                + b"content-type: application/json\r\nconnection: close\r\ncontent-length: "
                + f"{len(body)}\r\n\r\n".encode()
                + body
            )
        self.transport.close()
