"""Every failed request gives back what it held, and is counted as what it was."""

from __future__ import annotations

import gzip
import json
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from aeonnx.errors import RunError
from aeonnx.io.images import png
from aeonnx.runtime import Bundle
from aeonnx.runtime.runner import PartRunner
from aeonnx.serving import Server, inference, inference_routes
from aeonnx.serving.batcher import Batcher
from tests.serving.conftest import Maker, Reply, ask, body, connect, counted, request, running
from tests.support import wait_for

PICTURE = png(np.zeros((1, 1, 28, 28), np.uint8))


@pytest.fixture(scope="module")
def small(bundle_of: Maker) -> Iterator[Server]:
    """A server whose limits are soon reached."""
    limits = {"max_queue": 4, "max_batch": 2, "max_body": 50_000, "max_pixels": 28 * 28}
    with running(bundle_of(), **limits) as found:
        yield found


def held(server: Server) -> tuple[int, ...]:
    """What requests hold: of the budgets, of the queues, and of the tasks that watch clients."""
    hub = server.hub
    pending = sum(service.batcher.pending for service in hub._services.values())
    return hub.budget.left, hub.pixels.left, pending, len(inference._watching)


REFUSED: dict[str, tuple[int, str, Callable[[], tuple[str, bytes, dict[str, str]]]]] = {
    "no JSON": (400, "invalid", lambda: ("infer", b"{", {})),
    "NaN": (400, "invalid", lambda: ("infer", b"\xff" * 80, {LENGTH: "0"})),
    "too many rows": (413, "invalid", lambda: ("infer", body(5), {})),
    "too long": (413, "invalid", lambda: ("infer", bytes(50_001), {})),
    "a bomb": (413, "invalid", lambda: ("infer", gzip.compress(bytes(10**6)), GZIP)),
    "no gzip": (400, "invalid", lambda: ("infer", bytes(2000), GZIP)),
    "another encoding": (501, "invalid", lambda: ("infer", b"{}", {"Content-Encoding": "br"})),
    "expired": (503, "expired", lambda: ("infer", at_once(), {})),
    "no picture": (415, "invalid", lambda: ("reconstruct", b"GIF", {})),
    "damaged": (400, "invalid", lambda: ("reconstruct", PICTURE[:-20], {})),
    "another size": (400, "invalid", lambda: ("score", png(np.zeros((1, 1, 27, 28))), {})),
    "too many pixels": (413, "invalid", lambda: ("score", png(np.zeros((1, 1, 29, 28))), {})),
    "a threshold": (400, "invalid", lambda: ("score?threshold=p1", PICTURE, {})),
    "a label": (400, "invalid", lambda: ("reconstruct?label=7", PICTURE, {})),
    "too many images": (413, "invalid", lambda: ("generate?n=2", b"", {})),
}
LENGTH, GZIP = "Inference-Header-Content-Length", {"Content-Encoding": "gzip"}


def at_once() -> bytes:
    """A request that nobody can answer in time."""
    return json.dumps(json.loads(body()) | {"parameters": {"timeout": 1}}).encode()


@pytest.mark.parametrize("case", REFUSED)
def test_a_refused_request_leaves_nothing(small: Server, decoder: str, case: str) -> None:
    status, reason, make = REFUSED[case]
    path, content, headers = make()
    before, counts = held(small), counted(small.address)
    method = "GET" if path.startswith("generate") else "POST"
    where = decoder if path == "infer" else f"/{path}"
    reply = ask(small.address, where, content or None, headers, method)
    assert reply.status == status, reply.body
    wait_for(lambda: held(small) == before)
    assert counted(small.address) - counts == Counter({reason: 1})


def test_an_answered_request_leaves_nothing(small: Server, decoder: str) -> None:
    before, counts = held(small), counted(small.address)
    for where, content in (
        (decoder, body()),
        (decoder, gzip.compress(body())),
        ("/reconstruct", PICTURE),
        ("/score", PICTURE),
        ("/generate", None),
    ):
        headers = GZIP if content and content[:2] == b"\x1f\x8b" else {}
        assert ask(small.address, where, content, headers).status == 200
    wait_for(lambda: held(small) == before)
    assert counted(small.address) - counts == Counter(answered=5)


@pytest.mark.parametrize(
    "error", [RunError("/secret"), MemoryError("/secret"), KeyError("/secret")]
)
@pytest.mark.parametrize("path", ["infer", "/reconstruct"])
def test_a_run_that_fails_leaves_nothing(
    small: Server, decoder: str, monkeypatch: pytest.MonkeyPatch, error: Exception, path: str
) -> None:
    def fails(*_: Any, **__: Any) -> Any:
        raise error

    monkeypatch.setattr(PartRunner, "__call__", fails)
    monkeypatch.setattr(Bundle, "reconstruct", fails)
    before, counts = held(small), counted(small.address)
    where, content = (decoder, body()) if path == "infer" else (path, PICTURE)
    reply = ask(small.address, where, content)
    assert (reply.status, b"secret" in reply.body) == (500, False)
    wait_for(lambda: held(small) == before)
    assert counted(small.address) - counts == Counter(failed=1)


def test_an_answer_that_cannot_be_written_is_no_answer(
    small: Server, decoder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inference_routes, "render", lambda *_: 1 // 0)
    before, counts = held(small), counted(small.address)
    assert ask(small.address, decoder, body()).status == 500
    assert held(small) == before
    assert counted(small.address) - counts == Counter(failed=1)


@pytest.mark.parametrize("when", ["in its body", "while it waits"])
@pytest.mark.parametrize("path", ["infer", "/reconstruct"])
def test_a_client_that_leaves_leaves_nothing(
    small: Server, decoder: str, monkeypatch: pytest.MonkeyPatch, when: str, path: str
) -> None:
    go = threading.Event()
    for kind, name in ((PartRunner, "__call__"), (Bundle, "reconstruct")):
        run = getattr(kind, name)
        monkeypatch.setattr(
            kind, name, lambda *given, run=run, **more: go.wait(30) and run(*given, **more)
        )
    before, counts = held(small), counted(small.address)
    where, content = (decoder, body()) if path == "infer" else (path, PICTURE)
    whole = request(where, content)
    with connect(small.address) as client:
        client.sendall(whole[:-5] if when == "in its body" else whole)
        wait_for(lambda: held(small) != before)
        if when == "while it waits":
            wait_for(lambda: len(inference._watching) == 1)
        client.shutdown(socket.SHUT_RDWR)
    wait_for(lambda: counted(small.address) - counts == Counter(cancelled=1))
    go.set()
    wait_for(lambda: held(small) == before)


def test_too_many_pictures_at_once_are_refused(
    small: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before they are decoded: small files can hold large pictures."""
    go, run, replies = threading.Event(), Bundle.reconstruct, list[Reply]()
    monkeypatch.setattr(
        Bundle, "reconstruct", lambda *given, **more: go.wait(30) and run(*given, **more)
    )

    def send() -> None:
        replies.append(ask(small.address, "/reconstruct", PICTURE))

    threads = [threading.Thread(target=send) for _ in range(4)]
    for thread in threads:
        thread.start()
    wait_for(lambda: small.hub.pixels.left == 0)
    refused = ask(small.address, "/reconstruct", PICTURE)
    assert refused.json == {"error": "too many requests at once: try again"}
    assert (refused.status, refused.headers["retry-after"]) == (503, "1")
    go.set()
    for thread in threads:
        thread.join(30)
    assert [reply.status for reply in replies] == [200] * 4
    assert small.hub.pixels.left == 4 * 28 * 28


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_server_whose_thread_died_says_so(
    bundle_of: Maker, decoder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It cannot run the model again: a restart is needed, which a probe of liveness asks for."""
    with running(bundle_of(), timeout=0.3) as server:

        def dies(*_: object) -> None:
            raise SystemExit

        monkeypatch.setattr(Batcher, "_results", dies)
        began = time.monotonic()
        assert ask(server.address, decoder, body()).status == 503
        assert time.monotonic() - began < 10
        for probe in ("live", "ready"):
            assert ask(server.address, f"/v2/health/{probe}").json == {probe: False}
            assert ask(server.address, f"/v2/health/{probe}").status == 503
