"""Starts servers on one core, asks them, and checks their answers."""

from __future__ import annotations

import contextlib
import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from email.message import Message
from pathlib import Path

from serving.target import Target
from serving.wires import Call, Wire, binary, lists

__all__ = [
    "CLIENT_CORE",
    "ROOT",
    "Command",
    "Running",
    "Server",
    "aeonnx",
    "bare",
    "free_port",
    "pinned",
    "running",
    "uvicorn",
]

ROOT = Path(__file__).resolve().parents[2]
SERVER_CORE, CLIENT_CORE = (*sorted(os.sched_getaffinity(0)), -1, -1)[:2]
"""The servers run on the first core, what loads them on the second."""
_HANDLERS = Path(__file__).with_name("handlers")
_START_S = 120
_STOP_S = 40
_ASK_S = 60
_AT_ONCE = 64


@dataclass(frozen=True)
class Command:
    """How a process starts.

    Args:
        words: the program and its arguments.
        environment: more variables.
        cwd: its working directory.
    """

    words: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)
    cwd: Path | None = None


@dataclass(frozen=True)
class Server:
    """A server.

    Args:
        name: for the tables.
        command: starts it on a port.
        wire: how it is asked.
        constant: whether it answers bytes that mean nothing.
    """

    name: str
    command: Callable[[int], Command]
    wire: Wire
    constant: bool = False


@dataclass(frozen=True)
class Running:
    """A server that answers.

    Args:
        server: which.
        pid: of its first process.
        port: that it listens on.
    """

    server: Server
    pid: int
    port: int

    def ask(self, call: Call) -> tuple[int, bytes, Message]:
        """Status, body and headers of the answer, over a connection of its own."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=_ASK_S)
        with contextlib.closing(connection):
            connection.request("POST", call.path, call.body, dict(call.headers))
            answer = connection.getresponse()
            return answer.status, answer.read(), answer.headers

    def require_right(self, target: Target) -> None:
        """Ask for many rows at once, each its own request, and compare with the library.

        Raises:
            SystemExit: an answer is wrong.
        """

        def check(number: int) -> None:
            at = number % len(target.rows)
            status, body, headers = self.ask(self.server.wire.call(target.rows[at : at + 1]))
            if status != 200:
                raise SystemExit(f"{self.server.name}: {status} {body[:500]!r}")
            if not self.server.constant:
                values = self.server.wire.values(body, headers)
                target.require_right(self.server.name, at, values)

        with ThreadPoolExecutor(_AT_ONCE) as threads:
            list(threads.map(check, range(2 * _AT_ONCE)))


def aeonnx(target: Target, *options: str, form: str = "binary") -> Server:
    """`aeonnx serve` with more options, asked with binary tensors or in JSON."""

    def command(port: int) -> Command:
        words = [*("-m", "aeonnx", "serve", str(target.bundle), "--port", str(port)), *options]
        words += ["--provider", "cpu", "--precision", "fp32", "--threads", "1"]
        return Command([sys.executable, *words], {"PYTHONPATH": str(ROOT)})

    wire = (binary if form == "binary" else lists)(target, target.model)
    return Server(f"aeonnx serve, {form}", command, wire)


def uvicorn(size: int, wire: Wire) -> Server:
    """uvicorn with an application that reads the body and answers so many bytes."""

    def command(port: int) -> Command:
        words = [*("-m", "uvicorn", "bare_asgi:app", "--app-dir", str(_HANDLERS))]
        words += ["--port", str(port), "--no-access-log"]
        return Command([sys.executable, *words], {"SIZE": str(size)})

    return Server("bare uvicorn", command, wire, constant=True)


def bare(size: int, wire: Wire, form: str) -> Server:
    """A server that only counts bytes and answers so many: what the generator of load can do."""

    def command(port: int) -> Command:
        return Command([sys.executable, str(_HANDLERS / "bare_uvloop.py"), str(port), str(size)])

    return Server(f"sockets alone, {form}", command, wire, constant=True)


def pinned(core: int, words: Sequence[str]) -> list[str]:
    """The command that runs another on one core."""
    return ["taskset", "-c", str(core), *words]


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


@contextlib.contextmanager
def running(server: Server, target: Target, work: Path) -> Iterator[Running]:
    """Run a server on its core until it answered rightly, and end it at the end.

    Raises:
        SystemExit: it does not start, or answers wrongly.
    """
    port = free_port()
    command = server.command(port)
    inherited = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    log = work / "server.log"
    with log.open("wb") as errors:
        process = subprocess.Popen(
            pinned(SERVER_CORE, command.words),
            cwd=command.cwd or work,
            env={**inherited, **command.environment},
            stdout=subprocess.DEVNULL,  # access logs go there
            stderr=errors,
            start_new_session=True,
        )
    found = Running(server, process.pid, port)
    try:
        if not _answers(found, process, server.wire.call(target.rows[:1])):
            raise SystemExit(f"{server.name} does not start:\n{log.read_text()[-2000:]}")
        found.require_right(target)
        yield found
    finally:
        _end(process)


def _answers(found: Running, process: subprocess.Popen[bytes], call: Call) -> bool:
    """Wait until a server answers a request."""
    until = time.monotonic() + _START_S
    while time.monotonic() < until and process.poll() is None:
        with contextlib.suppress(OSError, http.client.HTTPException):
            if found.ask(call)[0] == 200:
                return True
        time.sleep(0.2)
    return False


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a process and those that it started: they are a group of their own."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_STOP_S)
