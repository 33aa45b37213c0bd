"""Servers of real bundles, in a thread of the test or in a process of their own."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

import numpy as np
import pytest

import aeonnx
from aeonnx.exporting import ExportOptions, export
from aeonnx.serving import ServeOptions, Server
from tests.runtime import test_photos_in_files
from tests.support import Shared, wait_for
from tests.tables import conftest as tables

Maker = Callable[..., Path]

rows_run, rows_bundle = tables.rows_run, tables.rows_bundle
"""Fixtures."""


@dataclass(frozen=True)
class Reply:
    """What a server answered."""

    status: int
    body: bytes
    headers: dict[str, str] = field(repr=False)

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def ask(
    address: str,
    path: str,
    body: bytes | None = None,
    headers: dict[str, str] | None = None,
    method: str | None = None,
) -> Reply:
    """Send a request: GET, or POST with a body."""
    request = Request(address.rstrip("/") + path, body, headers or {}, method=method)  # noqa: S310
    try:
        with urlopen(request, timeout=60) as answer:  # noqa: S310
            return Reply(answer.status, answer.read(), _lower(answer.headers))
    except HTTPError as error:
        return Reply(error.code, error.read(), _lower(error.headers))


def connect(address: str) -> socket.socket:
    """A connection to a server, to send bytes of any kind."""
    found = urlsplit(address)
    return socket.create_connection((found.hostname, found.port), timeout=30)


def body(rows: int = 1) -> bytes:
    """A request to a `decoder`."""
    z = np.zeros((rows, 20)).tolist()
    entry = {"name": "z", "shape": [rows, 20], "datatype": "FP32", "data": z}
    return json.dumps({"inputs": [entry]}).encode()


def request(path: str, content: bytes, headers: str = "") -> bytes:
    """The bytes of a POST."""
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\n{headers}Content-Length: {len(content)}"
    return head.encode() + b"\r\n\r\n" + content


def metric(address: str, line: str) -> float:
    """The value of a metric: its name and labels."""
    text = ask(address, "/metrics").body.decode()
    found = re.search(rf"^{re.escape(line)} (.*)$", text, re.MULTILINE)
    return float(found[1]) if found else 0.0


def counted(address: str) -> Counter[str]:
    """The requests for models, by how they ended."""
    text = ask(address, "/metrics").body.decode()
    found: Counter[str] = Counter()
    pattern = r'^aeonnx_request(?:s_total|_failures_total\{.*reason="(\w+)".*\})(?:\{.*\})? (.*)$'
    for reason, count in re.findall(pattern, text, re.MULTILINE):
        found[reason or "answered"] += int(float(count))
    return found


def _lower(headers: Any) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


@contextmanager
def running(*folders: Path, precision: str = "fp32", **options: Any) -> Iterator[Server]:
    """A server in a thread of this process, ready."""
    bundles = [aeonnx.load(folder, ["cpu"], precision=precision) for folder in folders]
    server = Server(bundles, ServeOptions(**{"port": 0, "access_log": False, **options}))
    ready = threading.Event()
    thread = threading.Thread(target=server.run, args=(ready.set,))
    thread.start()
    try:
        wait_for(lambda: ready.is_set() or not thread.is_alive())
        assert ready.is_set(), "it did not start"
        yield server
    finally:
        server._runner.stop(0.0)  # at once: nobody has to learn that it stops
        thread.join(30)
        assert not thread.is_alive()


@dataclass
class Process:
    """`aeonnx serve` in a process of its own."""

    process: subprocess.Popen[str]
    address: str
    log: list[str]

    def ask(self, path: str, body: bytes | None = None, **more: Any) -> Reply:
        return ask(self.address, path, body, **more)


@contextmanager
def process(
    *arguments: object, ready: bool = True, before: str = "", reads: bool = True
) -> Iterator[Process]:
    """Start `aeonnx serve ARGUMENTS`, after some code; its stdout is kept in `log` if one reads."""
    code = f"{before}\nfrom aeonnx.cli import main\nmain()"
    command = [sys.executable, "-c", code, "serve", *map(str, arguments), "--port", "0"]
    started = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    log: list[str] = []
    assert started.stdout
    assert started.stderr
    reader = threading.Thread(target=lambda: log.extend(started.stdout or ()), daemon=True)
    if reads:
        reader.start()
    try:
        first = started.stderr.readline()
        assert first.startswith("Starting on http"), first + started.stderr.read()
        found = Process(started, first.split()[-1], log)
        if ready:
            second = started.stderr.readline()
            assert second.startswith("Ready: "), second + started.stderr.read()
        yield found
    finally:
        if started.poll() is None:
            started.kill()
        started.wait()
        if reads:
            reader.join(10)
        started.stdout.close()
        started.stderr.close()


@pytest.fixture(scope="session")
def sized(shared: Shared) -> Path:
    """A denoiser of colour pictures of any size, which inverts them."""
    name = f"module:{test_photos_in_files.__name__}:colour"
    return shared(
        "serving-sized", lambda folder: export(ExportOptions("inverted", folder, from_source=name))
    )


@pytest.fixture(scope="session")
def rows(rows_bundle: Path) -> Path:
    """A scorer of wines, some of whose values are missing."""
    return rows_bundle


@pytest.fixture(scope="session")
def server(
    bundle_of: Maker, variants: Path, denoiser: Path, sized: Path, rows: Path
) -> Iterator[Server]:
    """A server of many bundles."""
    folders = (bundle_of(), variants, denoiser, sized, rows)
    with running(*folders) as found:
        yield found


@pytest.fixture(scope="session")
def plain(bundle_of: Maker) -> Iterator[Server]:
    """A server of one VAE."""
    with running(bundle_of()) as found:
        yield found


@pytest.fixture(scope="session")
def decoder(bundle_of: Maker) -> str:
    """The path that runs its decoder."""
    return f"/v2/models/{bundle_of().name}.decoder/infer"
