"""Clients that are slow, endless, or speak something else: nobody else waits for them."""

from __future__ import annotations

import contextlib
import json
import socket
import time
from urllib.parse import urlsplit

import pytest

from aeonnx.serving import Server, connections
from aeonnx.serving import server as running_server
from tests.serving.conftest import Maker, ask, body, connect, request, running


def test_slow_clients_are_closed(
    plain: Server, decoder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "_HEADERS_S", 0.2)
    monkeypatch.setattr(connections, "_REQUEST_S", 0.3)
    whole = request(decoder, body())
    for cut in (0, 10, whole.index(b"\r\n\r\n") + 2, whole.index(b"\r\n\r\n") + 4, -1):
        with connect(plain.address) as client:
            began = time.monotonic()
            client.sendall(whole[:cut])
            found = b"".join(iter(lambda: client.recv(4096), b""))
            assert 0.1 < time.monotonic() - began < 5
            assert found.startswith(b"HTTP/1.1 408 Request Timeout")
    with connect(plain.address) as client:  # drop by drop
        began = time.monotonic()
        with pytest.raises(OSError, match="Broken pipe|reset"):
            for place in range(100):
                client.sendall(b"GET / HTTP/1.1\r\nX: yyyyyyyyy"[place % 20 :][:1])
                time.sleep(0.05)
        assert time.monotonic() - began < 5
    assert ask(plain.address, decoder, body()).status == 200


def test_endless_headers_are_refused(plain: Server) -> None:
    with connect(plain.address) as client:
        client.sendall(b"GET /v2 HTTP/1.1\r\nHost: localhost\r\n")
        client.sendall(b"".join(b"X-%d: %b\r\n" % (n, b"a" * 100) for n in range(1000)))
        assert client.recv(4096).startswith(b"HTTP/1.1 431 Request Header Fields Too Large")
    assert ask(plain.address, "/v2").status == 200


@pytest.mark.parametrize(
    "sent",
    [
        b"\x16\x03\x01\x02\x00\x01\x00",
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef",
        b"POST / HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"GET /%zz HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET /v2/models/%ff%00/infer HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET //[ HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET http://[ HTTP/1.1\r\nHost: localhost\r\n\r\n",
    ],
)
def test_what_is_no_request_is_refused_as_json(plain: Server, sent: bytes) -> None:
    with connect(plain.address) as client:
        client.sendall(sent)
        client.settimeout(15)
        found = client.recv(65536)
    status = int(found.split()[1])
    assert 400 <= status < 500, found
    assert "error" in json.loads(found.partition(b"\r\n\r\n")[2])


@pytest.mark.parametrize("cut", [0, 60, -1, None])
def test_an_offer_of_another_protocol_is_ignored(
    plain: Server, decoder: str, cut: int | None
) -> None:
    """Java's client offers HTTP/2 with each first request; the body follows in any packets."""
    offer = "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAEAAEAA\r\n"
    whole = request(decoder, body(), offer)
    answer = ask(plain.address, decoder, body()).body
    with connect(plain.address) as client:
        for _ in range(2):  # the connection goes on as usual
            client.sendall(whole[:cut])
            time.sleep(0.02)
            client.sendall(whole[len(whole[:cut]) :])
            assert answers(client, answer, 1).startswith(b"HTTP/1.1 200 OK\r\n")
        client.sendall(2 * request(decoder, body(), offer))  # both at once
        answers(client, answer, 2)


def answers(client: socket.socket, content: bytes, count: int) -> bytes:
    """What the server sends until so many answers have come."""
    found = b""
    while found.count(content) < count:
        part = client.recv(65536)
        assert part, found
        found += part
    return found


def refusal(client: socket.socket, rest: bytes) -> bytes:
    """How the server answers while it is sent more; b"" if it closes before that is read."""
    try:
        client.sendall(rest)
        return client.recv(4096)[:13]
    except ConnectionError:
        return b""


@pytest.mark.parametrize("begin", [b"1\r\n{\r\n0\r\n", b"1\r\n{\r\n0\r\nX: ", b"1;x="])
def test_endless_trailers_are_refused(plain: Server, decoder: str, begin: bytes) -> None:
    """What comes around the chunks of a body is as limited as headers are."""
    with connect(plain.address) as client:
        head = f"POST {decoder} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
        client.sendall(head.encode() + begin)
        line = b"X: " + b"a" * 100 + b"\r\n" if begin.endswith(b"\n") else b"a" * 100
        assert refusal(client, 10_000 * line) in (b"HTTP/1.1 431 ", b"")


def test_a_body_of_many_chunks_and_a_trailer_is_read(plain: Server, decoder: str) -> None:
    content = body(64)
    chunks = b"".join(b"1\r\n%c\r\n" % byte for byte in content)
    with connect(plain.address) as client:
        head = f"POST {decoder} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
        client.sendall(head.encode() + chunks + b"0\r\nX-Sum: 7\r\n\r\n")
        assert client.recv(4096).startswith(b"HTTP/1.1 200 OK\r\n")


def test_too_many_chunks_are_refused(
    plain: Server, decoder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "_CHUNKS", 100)
    head = f"POST {decoder} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
    with connect(plain.address) as client:
        client.sendall(head.encode())
        assert refusal(client, 101 * b"1\r\n \r\n") in (b"HTTP/1.1 413 ", b"")


def test_idle_connections_are_closed(bundle_of: Maker, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also after an empty line, which some clients send, and after the rest of a refused body."""
    monkeypatch.setattr(running_server, "_KEEP_ALIVE_S", 0.3)
    get = b"GET /v2 HTTP/1.1\r\nHost: localhost\r\n\r\n"
    post = request("/nowhere", body())
    with running(bundle_of()) as server:
        for first, status, rest in (
            (get, b"200", b""),
            (get, b"200", b"\r\n"),
            (post[:-1], b"404", post[-1:]),
        ):
            with connect(server.address) as client:
                client.sendall(first)
                assert client.recv(4096).startswith(b"HTTP/1.1 " + status)
                client.sendall(rest)
                client.settimeout(5)
                while client.recv(4096):
                    pass


def reading_slowly(address: str, path: str) -> socket.socket:
    """A client of a large answer, with a small buffer."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2**16)
    client.settimeout(10)
    where = urlsplit(address)
    client.connect((where.hostname, where.port))
    client.sendall(request(path, body(1024)))
    return client


def test_a_slow_reader_gets_its_answer(
    plain: Server, decoder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "_WRITE_S", 0.4)
    monkeypatch.setattr(connections, "_PART", 2**14)
    size = len(ask(plain.address, decoder, body(1024)).body)
    with reading_slowly(plain.address, decoder) as client:
        found, began = 0, time.monotonic()
        while found < size:
            part = client.recv(2**17)
            assert part, "the server closed the connection"
            found += len(part)
            time.sleep(0.01)
        assert time.monotonic() - began > 0.8


def test_a_client_that_does_not_read_is_closed(
    plain: Server, decoder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "_WRITE_S", 0.2)
    size = len(ask(plain.address, decoder, body(1024)).body)
    with reading_slowly(plain.address, decoder) as client:
        time.sleep(0.6)
        found = 0
        with contextlib.suppress(ConnectionResetError):
            while part := client.recv(2**20):
                found += len(part)
    assert found < size
