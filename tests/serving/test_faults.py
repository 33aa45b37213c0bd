"""What goes wrong around a server: clients that leave, that are slow, that lie; signals."""

from __future__ import annotations

import base64
import json
import os
import socket
import struct
import subprocess
import sys
import threading
import time
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from click.testing import Result

import aeonnx
from aeonnx._util.hosts import is_loopback, names_this_machine
from aeonnx.errors import AeonnxError, RunError, SetupError, UsageError
from aeonnx.runtime.runner import PartRunner
from aeonnx.serving import ServeOptions, Server
from tests.serving.conftest import ask, body, connect, metric, process, request, running
from tests.support import graph_file, wait_for

Maker = Callable[..., Path]
Cli = Callable[..., Result]


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Runs of parts wait for this event."""
    go, run = threading.Event(), PartRunner.__call__

    def waits(self: PartRunner, inputs: object) -> object:
        go.wait(30)
        return run(self, inputs)  # type: ignore[arg-type]

    go.set()
    monkeypatch.setattr(PartRunner, "__call__", waits)
    return go


def test_a_full_server_refuses_at_once_and_serves_again(
    bundle_of: Maker, slow: threading.Event
) -> None:
    path = f"/v2/models/{bundle_of().name}.decoder/infer"
    with running(bundle_of(), max_queue=4, max_batch=2) as server, ThreadPoolExecutor(8) as pool:
        slow.clear()
        waiting = [pool.submit(ask, server.address, path, body()) for _ in range(4)]
        service = server.hub.service({"model": f"{bundle_of().name}.decoder"})
        wait_for(lambda: service.batcher.pending == 4)
        began = time.monotonic()
        refused = ask(server.address, path, body())
        assert time.monotonic() - began < 1
        assert (refused.status, refused.headers["retry-after"]) == (503, "1")
        assert refused.json["error"].endswith("too many requests are waiting: try again")
        slow.set()
        assert [reply.result().status for reply in waiting] == [200] * 4
        assert ask(server.address, path, body()).status == 200
        labels = f'model="{bundle_of().name}.decoder",reason="rejected",version="32"'
        assert metric(server.address, f"aeonnx_request_failures_total{{{labels}}}") == 1
        big = ask(server.address, path, body(5))
        assert big.status == 413
        assert big.json["error"].endswith("got 5 and 400: send fewer rows at once")


def test_a_full_server_does_not_parse_a_body_and_keeps_the_connection(
    bundle_of: Maker, slow: threading.Event
) -> None:
    name = f"{bundle_of().name}.decoder"
    path, junk = f"/v2/models/{name}/infer", b"no JSON" * 2**19
    with running(bundle_of(), max_queue=2, max_batch=2) as server, ThreadPoolExecutor(2) as pool:
        slow.clear()
        waiting = [pool.submit(ask, server.address, path, body()) for _ in range(2)]
        service = server.hub.service({"model": name})
        wait_for(lambda: service.batcher.pending == 2)
        client = HTTPConnection(urlsplit(server.address).netloc, timeout=30)
        for content in (body(), junk, junk, body()):
            client.request("POST", path, content)
            refused = client.getresponse()
            assert (refused.status, refused.headers["retry-after"]) == (503, "1")
            assert b"too many requests are waiting: try again" in refused.read()
        labels = f'model="{name}",reason="rejected",version="32"'
        assert metric(server.address, f"aeonnx_request_failures_total{{{labels}}}") == 4
        slow.set()
        assert [reply.result().status for reply in waiting] == [200] * 2
        client.request("POST", path, junk)
        invalid = client.getresponse()
        assert (invalid.status, b"is not JSON" in invalid.read()) == (400, True)
        client.request("POST", path, body())
        assert client.getresponse().status == 200
        client.close()


def test_a_request_is_given_up_at_its_limit(bundle_of: Maker, slow: threading.Event) -> None:
    path = f"/v2/models/{bundle_of().name}.decoder/infer"
    with running(bundle_of(), timeout=0.3) as server:
        slow.clear()
        began = time.monotonic()
        reply = ask(server.address, path, body())
        assert 0.2 < time.monotonic() - began < 5
        assert (reply.status, reply.json) == (
            503,
            {"error": "the request took longer than its limit"},
        )
        own = json.loads(body()) | {"parameters": {"timeout": 1000}}
        began = time.monotonic()
        assert ask(server.address, path, json.dumps(own).encode()).status == 503
        assert time.monotonic() - began < 0.25
        slow.set()
        wait_for(lambda: ask(server.address, path, body()).status == 200)


def test_a_client_that_leaves_frees_its_place(bundle_of: Maker, slow: threading.Event) -> None:
    name = f"{bundle_of().name}.decoder"
    path = f"/v2/models/{name}/infer"
    with running(bundle_of()) as server, ThreadPoolExecutor(1) as pool:
        slow.clear()
        first = pool.submit(ask, server.address, path, body())
        service = server.hub.service({"model": name})
        wait_for(lambda: service.batcher.pending == 1)
        gone = [connect(server.address) for _ in range(3)]
        for each in gone:
            each.sendall(request(path, body()))
        wait_for(lambda: service.batcher.pending == 4)
        for each in gone:
            each.close()
        labels = f'model="{name}",reason="cancelled",version="32"'
        wait_for(lambda: metric(server.address, f"aeonnx_request_failures_total{{{labels}}}") == 3)
        slow.set()
        assert first.result().status == 200
        wait_for(lambda: service.batcher.pending == 0)
        rows = metric(server.address, f'aeonnx_rows_total{{model="{name}",version="32"}}')
        assert rows == 1  # those of clients that left never ran


def test_a_session_that_fails_is_told_in_general_terms_and_goes_on(
    bundle_of: Maker, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    path, run = f"/v2/models/{bundle_of().name}.decoder/infer", PartRunner.__call__
    with running(bundle_of()) as server:

        def fails(*_: object) -> object:
            monkeypatch.setattr(PartRunner, "__call__", run)
            raise RunError("/secret/path/decoder.onnx failed")

        monkeypatch.setattr(PartRunner, "__call__", fails)
        reply = ask(server.address, path, body(), {"X-Request-ID": "r7"})
        assert reply.status == 500
        assert reply.json == {"error": "the server failed; its log says why, at the request r7"}
        assert reply.headers["x-request-id"] == "r7"
        assert "/secret/path/decoder.onnx failed" in caplog.text
        assert ask(server.address, path, body()).status == 200


def test_the_log_on_stderr_says_why_a_request_failed(bundle_of: Maker, decoder: str) -> None:
    before = """
from aeonnx.serving import inference_routes
def render(*_): raise OverflowError("the reason, at /secret/path")
inference_routes.render = render
"""
    with process(bundle_of(), "--provider", "cpu", before=before) as found:
        reply = found.ask(decoder, body(), headers={"X-Request-ID": "r8"})
        assert (reply.status, b"secret" in reply.body) == (500, False)
        found.process.terminate()
        assert found.process.stderr
        log = found.process.stderr.read()
    assert log.startswith("request r8 failed\nTraceback (most recent call last):\n")
    assert log.endswith("OverflowError: the reason, at /secret/path\n")


def test_bodies_that_are_too_large_are_refused(bundle_of: Maker) -> None:
    path = f"/v2/models/{bundle_of().name}.decoder/infer"
    with running(bundle_of(), max_body=10_000) as server:
        big = b"x" * 10_001
        text = "the body is too large: expected at most 10000 bytes: send fewer rows at once"
        for headers in ({}, {"Content-Encoding": "gzip"}):
            reply = ask(server.address, path, big, headers)
            assert (reply.status, reply.json) == (413, {"error": text})
        with connect(server.address) as client:  # without a length
            client.sendall(
                f"POST {path} HTTP/1.1\r\nHost: localhost\r\n"
                "Transfer-Encoding: chunked\r\n\r\n".encode()
            )
            chunk = b"3e8\r\n" + b"x" * 1000 + b"\r\n"
            client.sendall(11 * chunk)
            assert client.recv(4096).startswith(b"HTTP/1.1 413 ")
        for kind, window in (("gzip", 31), ("deflate", 15)):
            stream = zlib.compressobj(9, wbits=window)
            bomb = stream.compress(bytes(10**7)) + stream.flush()
            reply = ask(server.address, path, bomb[:10_000], {"Content-Encoding": kind})
            assert (reply.status, reply.json) == (413, {"error": text})
            short = ask(server.address, path, bomb[:8], {"Content-Encoding": kind})
            assert short.status == 400
        assert ask(server.address, path, b"{}", {"Content-Encoding": "br"}).status == 501
        assert ask(server.address, path, body()).status == 200


def test_a_token_is_needed_if_there_is_one(bundle_of: Maker) -> None:
    token, other = "0123456789abcdef", "0123456789abcdeg"
    wrong = ("", token, "Bearer", f"Bearer {other}", f"Bearer me:{token}", "Basic", "Basic ????")
    wrong = (*wrong, basic(""), basic(token), basic(f"{token}:"), basic(f"me:{other}"))
    with running(bundle_of(), token=token) as server:
        for given in wrong:
            reply = ask(server.address, "/v2", headers={"Authorization": given} if given else {})
            assert reply.status == 401, given
            assert reply.json == {"error": "expected the header Authorization: Bearer TOKEN"}
        right = (f"Bearer {token}", f"bearer  {token}", basic(f"me:{token}"), basic(f":{token}"))
        for given in right:
            reply = ask(server.address, "/v2", headers={"Authorization": given})
            assert reply.status == 200, given
        assert ask(server.address, "/v2/health/ready").status == 200


def basic(login: str) -> str:
    """As a browser sends a name and a password."""
    return f"Basic {base64.b64encode(login.encode()).decode()}"


def test_an_empty_token_is_refused(
    aeonnx: Cli, bundle_of: Maker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A variable whose command failed must not open the server to everyone."""
    (tmp_path / "empty").touch()
    for more, variable in (((), ""), (("--token-file", "empty"), "0123456789abcdef")):
        monkeypatch.setenv("AEONNX_TOKEN", variable)
        done = aeonnx("serve", bundle_of(), "--port", "0", *more)
        assert done.exit_code == 2
        assert "token: expected 16 printable ASCII characters or more" in done.stderr


@pytest.mark.parametrize(
    ("host", "own"),
    [
        *(("localhost", True), ("127.0.0.1", True), ("127.0.0.2", True), ("::1", True)),
        *(("[::1]", True), ("0.0.0.0", False), ("::", False), ("127.1", False)),  # noqa: S104
        *(("", False), ("localhost.example.org", False), ("192.0.2.1", False)),
    ],
)
def test_addresses_of_this_machine_are_told_from_others(host: str, own: bool) -> None:
    assert is_loopback(host) == own
    if host != "::1":  # which a Host header has in brackets
        assert names_this_machine([host]) == own
        assert names_this_machine([f"{host}:8000"]) == own


def test_who_serves_everybody_is_told(bundle_of: Maker) -> None:
    warning = "Warning: whoever reaches this address can use it; --token-file asks for a token\n"
    for host, expected in (("127.0.0.2", "Ready: "), ("0.0.0.0", warning)):  # noqa: S104
        with process(bundle_of(), "--host", host, ready=False) as server:
            assert server.process.stderr
            assert server.process.stderr.readline().startswith(expected)


def test_a_precision_that_a_bundle_lacks_is_refused(aeonnx: Cli, bundle_of: Maker) -> None:
    done = aeonnx("serve", bundle_of(), "--port", 0, "--precision", "int8")
    assert done.exit_code == 1
    assert done.stderr == (
        f"Error: {bundle_of()}: no part is there in int8, only in fp32: take --precision auto, or "
        "export parts with --precision int8 too\n"
    )


def test_only_this_machine_and_no_other_site_is_answered(plain: Server) -> None:
    port = urlsplit(plain.address).port
    assert ask(plain.address, "/v2", headers={"Host": "evil.example"}).status == 421
    for origin, status in (
        ("http://evil.example", 403),
        ("null", 403),
        ("http://[", 403),
        (f"http://127.0.0.1:{port}", 200),
    ):
        assert ask(plain.address, "/v2", headers={"Origin": origin}).status == status
    for site, target, status in (
        ("cross-site", "image", 403),
        ("same-site", "iframe", 403),
        ("cross-site", "document", 200),  # a link was followed
        ("same-origin", "image", 200),
        ("none", "document", 200),
    ):
        headers = {"Sec-Fetch-Site": site, "Sec-Fetch-Dest": target}
        assert ask(plain.address, "/generate?n=1", headers=headers).status == status


def test_nine_hundred_idle_connections_do_not_matter(bundle_of: Maker) -> None:
    path = f"/v2/models/{bundle_of().name}.decoder/infer"
    with process(bundle_of(), "--provider", "cpu") as found:
        idle = [connect(found.address) for _ in range(900)]
        try:
            assert found.ask(path, body()).status == 200
        finally:
            for each in idle:
                each.close()


def test_after_kill_9_the_port_is_free_again(bundle_of: Maker) -> None:
    with process(bundle_of(), "--provider", "cpu") as found:
        port = urlsplit(found.address).port
        assert found.ask("/v2").status == 200
        found.process.kill()
        found.process.wait()
    with running(bundle_of(), port=port) as server:
        assert ask(server.address, "/v2/health/ready").status == 200


def test_it_is_not_ready_before_its_models_are_verified(
    bundle_of: Maker, slow: threading.Event
) -> None:
    slow.clear()
    server = Server([aeonnx.load(bundle_of(), ["cpu"])], ServeOptions(port=0, access_log=False))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        wait_for(lambda: ask(server.address, "/v2/health/live").status == 200)
        assert ask(server.address, "/v2/health/ready").json == {"ready": False}
        path = f"/v2/models/{bundle_of().name}.decoder/infer"
        early = ask(server.address, path, body())
        assert (early.status, early.json) == (503, {"error": "the server is starting: try again"})
        assert ask(server.address, "/generate").status == 503
        slow.set()
        wait_for(lambda: ask(server.address, "/v2/health/ready").status == 200)
        assert ask(server.address, path, body()).status == 200
    finally:
        slow.set()
        server.stop()
        thread.join(30)


def test_a_server_that_cannot_start_ends(bundle_of: Maker, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the reason is: it does not wait for ever without getting ready."""

    def fails(*_: object) -> object:
        raise MemoryError("no memory")

    monkeypatch.setattr(PartRunner, "__call__", fails)
    server = Server([aeonnx.load(bundle_of(), ["cpu"])], ServeOptions(port=0, access_log=False))
    with pytest.raises(MemoryError, match="no memory"):
        server.run()


def test_a_bundle_whose_numbers_are_wrong_is_not_served(bundle_copy: Path) -> None:
    """Another graph with the digest corrected: the golden vectors still tell."""
    path = bundle_copy / "manifest.json"
    text = path.read_text()
    decoder = aeonnx.load(bundle_copy).variant("decoder")
    values = next(t for t in decoder.golden[0].outputs.values())
    file = bundle_copy / values.file
    data = bytearray(file.read_bytes())
    data[-4:] = struct.pack("<f", struct.unpack("<f", data[-4:])[0] + 0.5)
    import hashlib

    file.write_bytes(data)
    path.write_text(text.replace(values.sha256, hashlib.sha256(data).hexdigest()))
    command = [sys.executable, "-m", "aeonnx", "serve", str(bundle_copy), "--port", "0"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 3, done.stderr
    assert "does not give the outputs that torch gave, so it is not served" in done.stderr


def test_a_damaged_bundle_is_not_served(bundle_copy: Path) -> None:
    graph = graph_file(bundle_copy, "decoder")
    graph.write_bytes(graph.read_bytes()[:-1])
    command = [sys.executable, "-m", "aeonnx", "serve", str(bundle_copy), "--port", "0"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 1
    assert "expected" in done.stderr


def test_ports_and_names_that_cannot_be_are_refused(bundle_of: Maker, tmp_path: Path) -> None:
    opened = aeonnx.load(bundle_of(), ["cpu"])
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(SetupError, match=f"127.0.0.1:{port} cannot be opened: Address already"):
            Server([opened], ServeOptions(port=port))
    for host in ("192.0.2.1", "a" * 70, "::1%nowhere"):
        with pytest.raises(UsageError, match="host: expected an address of this machine, or 0.0"):
            Server([opened], ServeOptions(host=host, port=0))
    with pytest.raises(UsageError, match="a bundle of this name is served already"):
        Server([opened, opened], ServeOptions(port=0))
    odd = tmp_path / "my bundle"
    odd.symlink_to(bundle_of())
    with pytest.raises(UsageError, match="expected a folder whose name has letters, digits"):
        Server([aeonnx.load(odd, ["cpu"])], ServeOptions(port=0))


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"max_batch": 0}, "max_batch: expected 1 or more, got 0"),
        ({"port": 65536}, "port: expected 0 to 65535, got 65536"),
        ({"host": ""}, "host: expected an address such as 127.0.0.1 or 0.0.0.0, got ''"),
        ({"timeout": 0.0}, "timeout: expected seconds above 0, got 0.0"),
        ({"max_queue": 3}, "max_queue: expected max_batch, 64, or more, got 3"),
        ({"token": "short"}, "token: expected 16 printable ASCII characters or more"),
    ],
)
def test_options_that_make_no_sense_are_refused(options: dict[str, object], text: str) -> None:
    with pytest.raises(AeonnxError, match=text):
        ServeOptions(**options)  # type: ignore[arg-type]


def test_memory_and_files_stay_flat(bundle_of: Maker, decoder: str) -> None:
    def use(pid: int) -> tuple[int, int]:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE"), len(os.listdir(f"/proc/{pid}/fd"))

    bodies = [body(1 + place % 8) if place % 7 else b"{" for place in range(56)]
    sent = b"".join(request(decoder, content) for content in bodies)

    def load(address: str, rounds: int) -> None:
        with connect(address) as client:
            for _ in range(rounds):
                client.sendall(sent)
                answers, last = 0, b""
                while answers < len(bodies):
                    part = client.recv(2**18)
                    assert part
                    last = last[-8:] + part
                    answers += last.count(b"HTTP/1.1 ")

    with process(bundle_of(), "--provider", "cpu") as found:
        load(found.address, 9)
        before = use(found.process.pid)
        load(found.address, 54)
        after = use(found.process.pid)
    assert after[0] - before[0] < 8 * 2**20
    assert after[1] <= before[1] + 1
