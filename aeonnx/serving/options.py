"""The options of a server."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from aeonnx.errors import UsageError

__all__ = ["ServeOptions", "read_token"]

_SHORTEST_TOKEN = 16


@dataclass(frozen=True)
class ServeOptions:
    """Limits and addresses of a server.

    Args:
        host: address to listen on; the default is reached from this machine alone.
        port: 0 for any free port.
        token: that requests must bear, of 16 characters or more; None to serve without.
        max_batch: most rows of a batch, 1 or more.
        max_queue: most rows of a model that wait or run; further requests are refused with 503.
        max_body: most bytes of a body, 1 or more, also after decompression.
        max_pixels: most pixels of a picture, 1 or more.
        timeout: seconds after which a request is given up, waiting and computing together.
        stop_timeout: seconds that requests have to finish after SIGTERM.
        access_log: whether each request is written to stdout, as a line of JSON.

    Raises:
        UsageError: a value is not allowed.
    """

    host: str = "127.0.0.1"
    port: int = 8000
    token: str | None = None
    max_batch: int = 64
    max_queue: int = 1024
    max_body: int = 2**26
    max_pixels: int = 10**8
    timeout: float = 30.0
    stop_timeout: float = 25.0
    access_log: bool = True

    def __post_init__(self) -> None:
        if not self.host:  # for the system, an empty text is every address
            raise UsageError("host: expected an address such as 127.0.0.1 or 0.0.0.0, got ''")
        if not 0 <= self.port <= 65535:
            raise UsageError(f"port: expected 0 to 65535, got {self.port}")
        for name in ("max_batch", "max_queue", "max_body", "max_pixels"):
            if getattr(self, name) < 1:
                raise UsageError(f"{name}: expected 1 or more, got {getattr(self, name)}")
        for name in ("timeout", "stop_timeout"):
            if not 0 < getattr(self, name) < float("inf"):
                raise UsageError(f"{name}: expected seconds above 0, got {getattr(self, name)}")
        if self.max_queue < self.max_batch:
            raise UsageError(
                f"max_queue: expected max_batch, {self.max_batch}, or more, got {self.max_queue}"
            )
        if self.token is not None and not (
            len(self.token) >= _SHORTEST_TOKEN and self.token.isascii() and self.token.isprintable()
        ):
            raise UsageError(
                f"token: expected {_SHORTEST_TOKEN} printable ASCII characters or more: make one "
                "with `openssl rand -hex 16`"
            )


def read_token(path: Path) -> str:
    """The token in a file, without the end of its line.

    Raises:
        UsageError: the file cannot be read.
    """
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"token_file: {path} cannot be read: {error}") from error
