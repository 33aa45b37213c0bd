"""A web server for static files that only this machine can reach. Standard library only.

Unlike the standard library's server, it limits slow clients, endless requests and the number of
connections, rejects DNS rebinding, and keeps pages of other origins from reading its files.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import sys
import threading
import time
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

from aeonnx._util.hosts import HOSTS, names_this_machine
from aeonnx.errors import SetupError

__all__ = ["Server"]

_MAX_CONNECTIONS = 32  # open connections; a browser opens six
_IDLE_TIMEOUT_S = 10.0  # without data from a client
_MAX_DURATION_S = 60.0  # for a whole connection, even a busy one
_BUSY = (
    b"HTTP/1.0 503 Service Unavailable\r\n"
    b"Retry-After: 1\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
)
_HEADERS = {
    "Cache-Control": "no-cache",  # revalidate: the page may have been rebuilt
    "Content-Security-Policy": "frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


class _Handler(SimpleHTTPRequestHandler):
    """Serves GET and HEAD of regular files inside the folder, without logging requests."""

    timeout = _IDLE_TIMEOUT_S
    server_version, sys_version = "aeonnx", ""
    extensions_map = {  # noqa: RUF012  # as in the base class; the system's types may be wrong
        **SimpleHTTPRequestHandler.extensions_map,
        ".mjs": "text/javascript",
        ".wasm": "application/wasm",
        ".svg": "image/svg+xml",
        ".onnx": "application/octet-stream",
    }

    def send_head(self) -> BytesIO | BinaryIO | None:
        if not names_this_machine(self.headers.get_all("Host", [])):
            self.send_error(421, explain=f"This server answers to {', '.join(HOSTS)} alone.")
        elif not self._is_served():
            self.send_error(404)
        else:
            return super().send_head()
        return None

    def _is_served(self) -> bool:
        try:
            path = Path(self.translate_path(self.path))
            return path.is_file() and path.is_relative_to(self.directory)
        except (OSError, ValueError):  # not a possible file name
            return False

    def translate_path(self, path: str) -> str:
        """The file of a URL path, with all symbolic links resolved."""
        found = super().translate_path(path)
        return os.path.realpath(f"{found}index.html" if found.endswith("/") else found)

    def end_headers(self) -> None:
        for name, value in _HEADERS.items():
            self.send_header(name, value)
        super().end_headers()

    def log_message(self, *_: Any) -> None: ...


class Server(ThreadingHTTPServer):
    """Serves a folder on 127.0.0.1 once `serve_forever` is called; close it, or use `with`.

    The number of connections and the time of each are limited; further clients get status 503.

    Args:
        folder: the folder to serve; symbolic links that lead out of it are not followed.
        port: 0 for any free port.

    Raises:
        SetupError: the port is in use, or this user may not open it.
    """

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, folder: Path, port: int) -> None:
        self._free = threading.Semaphore(_MAX_CONNECTIONS)
        self._deadlines: dict[socket.socket, float] = {}
        root = folder.resolve()
        try:
            super().__init__(("127.0.0.1", port), partial(_Handler, directory=str(root)))
        except OSError as error:
            if error.errno not in (errno.EADDRINUSE, errno.EACCES):
                raise
            raise SetupError(
                f"port {port} cannot be opened: {error.strerror}. "
                "Choose another with --port, or any free one with --port 0"
            ) from error

    @property
    def address(self) -> str:
        """URL to open in a browser."""
        return f"http://127.0.0.1:{self.server_port}/"

    def process_request(self, request: Any, client_address: Any) -> None:
        if not self._free.acquire(blocking=False):
            self._reject(request)
            return
        self._deadlines[request] = time.monotonic() + _MAX_DURATION_S
        try:
            super().process_request(request, client_address)
        except BaseException:  # no thread could be started
            self._done(request)
            raise

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._done(request)

    def service_actions(self) -> None:
        """Close connections that have lasted too long; called every half second."""
        now = time.monotonic()
        for request, deadline in list(self._deadlines.items()):
            if now > deadline:
                with contextlib.suppress(OSError):  # its thread may have closed it meanwhile
                    request.shutdown(socket.SHUT_RDWR)

    def _done(self, request: socket.socket) -> None:
        if self._deadlines.pop(request, None) is not None:
            self._free.release()

    def _reject(self, request: socket.socket) -> None:
        with contextlib.suppress(OSError):
            request.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                request.recv(65536)  # closing with unread data would reset the connection
            request.send(_BUSY)
        self.shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002
        """Report errors, except those of clients that have disconnected or timed out."""
        error = sys.exc_info()[1]
        if not isinstance(error, (ConnectionError, TimeoutError)):
            print(f"Error: a request failed: {error!r}", file=sys.stderr)
