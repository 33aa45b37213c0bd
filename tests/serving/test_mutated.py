"""Damaged requests of every route, over HTTP: answered or refused, and the server goes on."""

from __future__ import annotations

import gzip
import http.client
import io
import json
import random
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest
from PIL import Image

from tests.serving.conftest import Process, connect, process
from tests.serving.damage import damaged

Maker = Callable[..., Path]

HEADERS = {
    "Content-Type": ("application/json", "application/octet-stream", "text/html", "é"),
    "Content-Encoding": ("gzip", "deflate", "identity", "br", ""),
    "Accept-Encoding": ("gzip", "deflate;q=0", "*", "\x0b"),
    "Inference-Header-Content-Length": ("0", "7", "-1", "99999999999999999999", "x", ""),
    "X-Request-Id": ("a" * 300, "\t", "ü"),
    "Expect": ("100-continue",),
}


@dataclass(frozen=True)
class Sent:
    """A request."""

    method: str
    path: str
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)


def requests(vae: str, denoiser: str) -> list[Sent]:
    """Sound requests of all routes."""
    z = np.zeros((2, 20), np.float32)
    entry = {"name": "z", "shape": [2, 20], "datatype": "FP32"}
    plain = json.dumps({"id": "1", "inputs": [{**entry, "data": z.tolist()}]}).encode()
    head = json.dumps(
        {
            "inputs": [{**entry, "parameters": {"binary_data_size": z.nbytes}}],
            "outputs": [{"name": "reconstruction", "parameters": {"binary_data": True}}],
            "parameters": {"timeout": 10**7},
        }
    ).encode()
    picture = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (28, 28), np.uint8)).save(
        picture, "PNG"
    )
    infer = f"/v2/models/{vae}.decoder/infer"
    binary = {"Inference-Header-Content-Length": str(len(head))}
    return [
        Sent("POST", infer, plain),
        Sent("POST", infer, head + z.tobytes(), binary),
        Sent("POST", infer, gzip.compress(plain), {"Content-Encoding": "gzip"}),
        Sent("POST", f"/v2/models/{vae}.encoder/versions/32/infer", plain),
        Sent("POST", f"/denoise?strength=0.5&bundle={denoiser}", picture.getvalue()),
        Sent("POST", f"/score?threshold=p95&bundle={vae}", picture.getvalue()),
        Sent("GET", "/generate?seed=7&n=2&first=3"),
        Sent("GET", f"/v2/models/{vae}.decoder"),
        Sent("POST", "/v2/repository/index", b"{}"),
        Sent("GET", "/v2/health/ready"),
    ]


def mutated(sent: Sent, drawn: random.Random) -> Sent:
    """A request that still is one of HTTP, with damage in its body, its path or its headers."""
    kind = drawn.randrange(4)
    if kind == 0:
        text = damaged(sent.path.encode(), drawn).decode("latin-1")
        path = "/" + "".join(c for c in text if "!" <= c <= "~").lstrip("/")
        return replace(sent, path=path)
    if kind == 1:
        name = drawn.choice([*HEADERS])
        value = drawn.choice(HEADERS[name])
        return replace(sent, headers={**sent.headers, name: value})
    if kind == 2:
        return replace(
            sent, method=drawn.choice(["GET", "POST", "PUT", "HEAD", "DELETE", "OPTIONS"])
        )
    return replace(sent, body=damaged(sent.body, drawn))


def as_bytes(sent: Sent) -> bytes:
    """What is sent over the connection."""
    lines = [f"{sent.method} {sent.path} HTTP/1.1", "Host: localhost"]
    lines += [f"{name}: {value}" for name, value in sent.headers.items()]
    lines += [f"Content-Length: {len(sent.body)}", "", ""]
    return "\r\n".join(lines).encode("latin-1") + sent.body


def over_connections(address: str, many: Iterator[Sent]) -> Iterator[tuple[Sent, int]]:
    """Send requests one after the other; each with the status of its answer."""
    where = urlsplit(address)
    connection = http.client.HTTPConnection(str(where.hostname), where.port, timeout=30)
    for sent in many:
        if connection.sock is None:
            connection.connect()
        connection.sock.sendall(as_bytes(sent))
        answer = http.client.HTTPResponse(connection.sock, method=sent.method)
        answer.begin()
        answer.read()
        if answer.will_close:
            connection.close()
        yield sent, answer.status
    connection.close()


def answer_to_garbage(address: str, content: bytes) -> bytes:
    """What comes back for bytes that need not be HTTP, after which nothing more is sent."""
    found = b""
    with connect(address) as connection:
        try:
            connection.sendall(content)
            connection.shutdown(1)
            while chunk := connection.recv(65536):
                found += chunk
        except (ConnectionResetError, BrokenPipeError):
            pass  # refused before all was read
    return found


def allowed(sent: Sent, status: int) -> bool:
    """Whether a status blames the request, or the server has too much to do."""
    encoding = sent.headers.get("Content-Encoding", "identity")
    return 200 <= status < 500 or status == 503 or (status == 501 and encoding in ("br", ""))


def torn(server: Process, sound: list[Sent], count: int, seed: int) -> Counter[int]:
    """Send damaged requests and check every answer; how many answers had each status."""
    drawn, seen = random.Random(seed), Counter[int]()
    many = (mutated(drawn.choice(sound), drawn) for _ in range(count))
    for sent, status in over_connections(server.address, many):
        assert allowed(sent, status), (status, sent)
        seen[status] += 1
    for _ in range(count // 20):
        content = damaged(as_bytes(drawn.choice(sound)), drawn)
        answer = answer_to_garbage(server.address, content)
        status = int(answer[9:12]) if answer else 0
        assert status < 500 or status in (501, 503), (status, content)
    return seen


@pytest.mark.parametrize("count", [400, pytest.param(100_000, marks=pytest.mark.slow)])
def test_damaged_requests_are_answered_or_refused(
    bundle_of: Maker, denoiser: Path, count: int
) -> None:
    vae = bundle_of()
    sound = requests(vae.name, denoiser.name)
    with process(vae, denoiser, "--no-access-log") as server:
        before = server.ask(sound[0].path, sound[0].body).body
        seen = torn(server, sound, count, seed=count)
        assert server.ask(sound[0].path, sound[0].body).body == before
        assert server.ask("/v2/health/ready").status == 200
    assert seen[200] > 0.05 * count
    assert seen[400] > 0.05 * count
    assert seen[404] > 0
