"""Runs a server until it is told to stop: `aeonnx serve`."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import resource
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from types import FrameType

import uvicorn

from aeonnx.errors import SetupError, UsageError
from aeonnx.runtime import Bundle
from aeonnx.serving.app import create_app
from aeonnx.serving.connections import MOST_CONNECTIONS, Connection
from aeonnx.serving.hub import Hub
from aeonnx.serving.options import ServeOptions

__all__ = ["Server"]

_LOG = logging.getLogger(__name__)

_DRAIN_S = 1.0
"""After SIGTERM, connections are taken for so long: load balancers learn late that it stops."""
_TOGETHER_S = 1.0
"""Signals within it are one: `timeout` and service managers send some twice, or two at once."""
_KEEP_ALIVE_S = 75
_BACKLOG = 2048


class Server:
    """Serves bundles. It listens from now on, and answers once it runs.

    Args:
        bundles: open bundles of different folder names; they are closed when `run` ends.
        options: address and limits.

    Raises:
        UsageError: two bundles have one name, or a name cannot be part of a URL.
        SetupError: the port is in use, or this user may not open it.
    """

    def __init__(self, bundles: Sequence[Bundle], options: ServeOptions | None = None) -> None:
        self._bundles, self.hub = bundles, Hub(bundles, options or ServeOptions())
        self._listening = _listening(self.hub.options)
        self._runner = _Runner(self.hub)
        _allow_connections()

    @property
    def address(self) -> str:
        """URL of the server."""
        host, port = self._listening.getsockname()[:2]
        return f"http://{f'[{host}]' if ':' in host else host}:{port}/"

    def run(self, ready: Callable[[], None] = lambda: None) -> None:
        """Serve until SIGTERM, Ctrl-C or `stop`, and until all requests are answered.

        Args:
            ready: is called once all models are verified.

        Raises:
            GoldenMismatchError: a model does not give the outputs that torch gave.
            BundleError, GraphError, ProviderError: see `Bundle.run`.
        """
        self._runner.ready = ready
        try:
            with contextlib.closing(self._listening):
                self._runner.run(sockets=[self._listening])
        finally:
            self.hub.stop()
            for bundle in self._bundles:
                bundle.close()
        if self._runner.failure is not None:
            raise self._runner.failure

    def stop(self) -> None:
        """Let `run` end as SIGTERM does; call it from any thread."""
        self._runner.stop(_DRAIN_S)


class _Runner(uvicorn.Server):
    """Starts the models while it answers probes already, and stops without losing a request."""

    def __init__(self, hub: Hub) -> None:
        options, app = hub.options, create_app(hub)
        super().__init__(
            uvicorn.Config(
                app,
                http=partial(Connection, report=app.refused),  # type: ignore[arg-type]
                loop="uvloop",
                lifespan="off",
                ws="none",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                timeout_keep_alive=_KEEP_ALIVE_S,
                timeout_graceful_shutdown=max(1, round(options.stop_timeout - _DRAIN_S)),
            )
        )
        self._hub = hub
        self.ready: Callable[[], None] = lambda: None
        self.failure: Exception | None = None
        self._signalled = 0.0
        self._starting: asyncio.Task[None] | None = None
        self._runs: asyncio.AbstractEventLoop | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._runs = asyncio.get_running_loop()
        self._starting = asyncio.create_task(self._start_models())

    async def _start_models(self) -> None:
        try:
            await self._hub.start()
        except Exception as error:  # whatever it is, a server that never gets ready must end
            self.failure = error
            self.should_exit = True
        else:
            if not self._hub.state.stopping:
                self.ready()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Handle SIGTERM, SIGHUP and Ctrl-C while the server runs in the main thread.

        Except those that are ignored, as under `nohup`.
        """
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        ending = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)
        handled = [number for number in ending if signal.getsignal(number) is not signal.SIG_IGN]
        before = {number: signal.signal(number, self.handle_exit) for number in handled}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002
        """Stop: at the second signal at once."""
        if not self._hub.state.stopping:
            self._signalled = time.monotonic()
            self.stop(0.0 if sig == signal.SIGINT else _DRAIN_S)
        elif time.monotonic() - self._signalled > _TOGETHER_S:
            self.force_exit = self.should_exit = True

    def stop(self, drain: float) -> None:
        """Take no more connections after `drain` seconds, and end when all are served."""
        self._hub.state.stopping = True
        loop = self._runs
        if loop is None:
            self.should_exit = True
        else:
            loop.call_soon_threadsafe(loop.call_later, drain, self._exit)

    def _exit(self) -> None:
        self.should_exit = True


def _listening(options: ServeOptions) -> socket.socket:
    family = socket.AF_INET6 if ":" in options.host else socket.AF_INET
    found = socket.socket(family, socket.SOCK_STREAM)
    found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        found.bind((options.host, options.port))
        found.listen(_BACKLOG)
    except (socket.gaierror, UnicodeError) as error:
        found.close()
        raise _no_address(options.host) from error
    except OSError as error:
        found.close()
        if error.errno == errno.EADDRNOTAVAIL:
            raise _no_address(options.host) from error
        raise SetupError(
            f"{options.host}:{options.port} cannot be opened: {error.strerror or error}. Choose "
            "another port with --port, or any free one with --port 0"
        ) from error
    return found


def _no_address(host: str) -> UsageError:
    return UsageError(
        f"host: expected an address of this machine, or 0.0.0.0 for all, got {host!r}"
    )


def _allow_connections() -> None:
    """Raise the soft limit of open files, which is often 1024, as far as needed and allowed."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST_CONNECTIONS + 1024
    most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
