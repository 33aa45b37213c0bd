"""What every request passes: its number, who may ask, errors as JSON, the access log."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hmac
import itertools
import logging
import os
import re
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

import orjson
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from aeonnx._util.hosts import is_loopback, names_this_machine
from aeonnx.errors import InputError, RequestError, UsageError
from aeonnx.serving.access_log import AccessLog
from aeonnx.serving.bodies import Gone
from aeonnx.serving.metrics import Metrics
from aeonnx.serving.options import ServeOptions

__all__ = ["Guard", "State"]

_LOG = logging.getLogger(__name__)

_REQUEST_ID = re.compile(rb"[A-Za-z0-9_.:-]{1,128}")
_OPEN = ("/v2/health/live", "/v2/health/ready")
"""Paths without a token: probes of Kubernetes have none."""
_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cache-control", b"no-store"),
)
_LOGGED = 1000
"""Characters of a path or an error in the access log."""
_PREFIX, _numbers = os.urandom(8).hex().encode(), itertools.count(1)
"""Of the numbers of requests: unique without random bytes from the system for each."""


@dataclass
class State:
    """What a server is doing.

    Args:
        ready: whether all models were warmed up and verified.
        stopping: whether it was told to stop.
    """

    ready: bool = False
    stopping: bool = False


class Guard:
    """Wraps the routes.

    Args:
        app: the routes.
        options: of the server.
        state: of the server.
        metrics: counts responses.
        log: takes a line for each request; None for no log.
    """

    def __init__(
        self,
        app: ASGIApp,
        options: ServeOptions,
        state: State,
        metrics: Metrics,
        log: AccessLog | None,
    ) -> None:
        self._app, self._state, self._metrics = app, state, metrics
        self._token = options.token.encode() if options.token else None
        self._local = is_loopback(options.host)
        self._log = log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, given = time.monotonic(), dict(scope["headers"])
        number = given.get(b"x-request-id", b"")
        if not _REQUEST_ID.fullmatch(number):
            number = _PREFIX + b"%016x" % next(_numbers)
        answered = _Answered(send, number, self._state)
        try:
            self._admit(scope, given)
            path = scope["path"].rstrip("/") or "/"
            # With an `app`, the router raises for unknown paths and methods.
            await self._app({**scope, "path": path, "app": self}, receive, answered)
        except Gone:
            answered.status = answered.status or 499  # nginx's number; it reaches no client
        except HTTPException as error:
            await answered.refuse(RequestError(error.status_code, error.detail), error.headers)
        except RequestError as error:
            await answered.refuse(error)
        except (InputError, UsageError) as error:
            await answered.refuse(RequestError(400, str(error)))
        except asyncio.CancelledError:  # the time to stop is over
            await answered.refuse(RequestError(503, "the server stops", "rejected"))
        except Exception:
            _LOG.exception("request %s failed", number.decode())
            text = f"the server failed; its log says why, at the request {number.decode()}"
            await answered.refuse(RequestError(500, text, "failed"))
        finally:
            self._record(scope, answered, number, time.monotonic() - began)

    def refused(self, client: str, status: int, text: str) -> None:
        """Count and log an error that a connection answered to bytes that were no whole request."""
        scope = {"client": (client,), "method": "", "path": ""}
        number = _PREFIX + b"%016x" % next(_numbers)
        self._record(scope, _Refused(status, text), number, 0.0)

    def _record(
        self, scope: Scope, answered: _Answered | _Refused, number: bytes, seconds: float
    ) -> None:
        self._metrics.responses.labels(str(answered.status)).inc()
        if self._log:
            self._log.add(_line(scope, answered, number, seconds))

    def _admit(self, scope: Scope, given: dict[bytes, bytes]) -> None:
        """Raise for a request of someone who may not ask."""
        hosts = [value.decode("latin-1") for name, value in scope["headers"] if name == b"host"]
        if self._local and not names_this_machine(hosts):
            raise RequestError(421, "this server answers to 127.0.0.1 and localhost alone")
        origin = given.get(b"origin")
        if _is_embedded(given) or (
            origin is not None and [_host_of(origin.decode("latin-1"))] != hosts
        ):
            raise RequestError(403, "pages of other sites may not use this server")
        if self._token and scope["path"] not in _OPEN:
            found = _token_in(given.get(b"authorization", b""))
            if not hmac.compare_digest(found, self._token):
                raise RequestError(401, "expected the header Authorization: Bearer TOKEN")


@dataclass(frozen=True)
class _Refused:
    """What a connection answered."""

    status: int
    error: str
    size: int = 0


class _Answered:
    """The `send` of a request: adds headers, and remembers what was answered.

    Args:
        send: of the connection.
        number: of the request.
        state: of the server.
    """

    def __init__(self, send: Send, number: bytes, state: State) -> None:
        self._send, self._number, self._state = send, number, state
        self.status, self.size, self.error = 0, 0, ""

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = [*message["headers"], (b"x-request-id", self._number), *_HEADERS]
            if self._state.stopping:
                headers.append((b"connection", b"close"))
            message = {**message, "headers": headers}
        else:
            self.size += len(message.get("body", b""))
        await self._send(message)

    async def refuse(self, error: RequestError, more: Mapping[str, str] | None = None) -> None:
        """Answer an error, with more headers, unless an answer has begun already."""
        self.error = str(error)
        if self.status:
            return
        body = orjson.dumps({"error": str(error)})
        headers = [(b"content-type", b"application/json"), *_advice(error)]
        headers += [(name.lower().encode(), value.encode()) for name, value in (more or {}).items()]
        headers.append((b"content-length", str(len(body)).encode()))
        await self({"type": "http.response.start", "status": error.status, "headers": headers})
        await self({"type": "http.response.body", "body": body})


def _token_in(header: bytes) -> bytes:
    """The token of an Authorization header; empty if there is none.

    Programs send it as it is (Bearer, RFC 6750). Browsers ask their user for it, and send it as the
    password of any name (Basic, RFC 7617).
    """
    scheme, _, given = header.partition(b" ")
    if scheme.lower() == b"bearer":
        return given.strip()
    if scheme.lower() == b"basic":
        with contextlib.suppress(ValueError):
            return base64.b64decode(given.strip(), validate=True).partition(b":")[2]
    return b""


def _is_embedded(given: Mapping[bytes, bytes]) -> bool:
    """Whether a page of another site loads this, as a picture, say, which sends no Origin."""
    site = given.get(b"sec-fetch-site", b"none")
    return site not in (b"none", b"same-origin") and given.get(b"sec-fetch-dest") != b"document"


def _host_of(origin: str) -> str:
    try:
        return urlsplit(origin).netloc
    except ValueError:  # no URL
        return ""


def _advice(error: RequestError) -> Iterable[tuple[bytes, bytes]]:
    if error.retry_after is not None:
        yield b"retry-after", str(error.retry_after).encode()
    if error.status == 401:
        yield b"www-authenticate", b"Bearer"
        yield b"www-authenticate", b'Basic realm="aeonnx: any name, and the token as password"'
    if error.status == 501:
        yield b"accept-encoding", b"gzip, deflate"
    if error.status in (408, 413):  # the rest of the body was not read
        yield b"connection", b"close"


def _line(scope: Scope, answered: _Answered | _Refused, number: bytes, seconds: float) -> bytes:
    client = scope.get("client") or ("",)
    found = {
        "time": time.time(),
        "request": number.decode(),
        "client": client[0],
        "method": scope["method"],
        "path": scope["path"][:_LOGGED],
        "status": answered.status,
        "bytes": answered.size,
        "seconds": round(seconds, 6),
    }
    if answered.error:
        found["error"] = answered.error[:_LOGGED]
    return orjson.dumps(found)
