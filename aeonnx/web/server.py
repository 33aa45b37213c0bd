"""A web server of this machine alone, for static files. Standard library only."""

from __future__ import annotations

import errno
import sys
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from aeonnx.errors import SetupError

__all__ = ["Server"]


class _Handler(SimpleHTTPRequestHandler):
    """The right types, whatever this machine's registry says, and no line per request."""

    extensions_map = {  # noqa: RUF012  # as the base class has it
        **SimpleHTTPRequestHandler.extensions_map,
        ".mjs": "text/javascript",
        ".wasm": "application/wasm",
        ".svg": "image/svg+xml",
        ".onnx": "application/octet-stream",
    }

    def end_headers(self) -> None:
        self.send_header("Cache-Control", "no-cache")  # ask again: it may have been rebuilt
        super().end_headers()

    def log_message(self, *_: Any) -> None: ...


class Server(ThreadingHTTPServer):
    """Serves a folder on 127.0.0.1 from `serve_forever` on; close it, as by `with`.

    Args:
        folder: what to serve.
        port: 0 for any that is free.

    Raises:
        SetupError: the port is taken.
    """

    daemon_threads = True

    def __init__(self, folder: Path, port: int) -> None:
        try:
            super().__init__(("127.0.0.1", port), partial(_Handler, directory=str(folder)))
        except OSError as error:
            if error.errno not in (errno.EADDRINUSE, errno.EACCES):
                raise
            raise SetupError(
                f"port {port} cannot be taken: {error.strerror}. "
                "Choose another with --port, or any free one with --port 0"
            ) from error

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Tell of faults, but not of browsers that have left."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)

    @property
    def address(self) -> str:
        """What to open in a browser."""
        return f"http://127.0.0.1:{self.server_port}/"
