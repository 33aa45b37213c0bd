"""`aeonnx demo --web`: what it needs, and what it serves."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest
from click.testing import Result

from aeonnx.tools import web
from aeonnx.tools.web import Server, server
from tests.support import graph_file, wait_for

Aeonnx = Callable[..., Result]
Maker = Callable[..., Path]


@pytest.fixture
def made(bundle_of: Maker, denoiser: Path, tmp_path: Path) -> Path:
    """The folder of a demo that has been run before."""
    folder = tmp_path / "aeonnx-demo"
    shutil.copytree(bundle_of(), folder / "vae-bundle")
    shutil.copytree(denoiser, folder / "dae-bundle")
    (folder / "digits.png").touch()
    return folder


@pytest.mark.usefixtures("no_cache")
def test_without_npm_it_says_what_to_do(
    aeonnx: Aeonnx, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    result = aeonnx("demo", "--build-only")
    assert result.exit_code == 4
    assert "npm was not found. Install Node.js" in result.stderr
    assert not (tmp_path / "aeonnx-demo").exists()


@pytest.mark.usefixtures("no_cache")
def test_npm_that_fails_is_quoted(
    aeonnx: Aeonnx, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    npm = tmp_path / "npm"
    npm.write_text("#!/bin/sh\necho 'npm error network is unreachable' >&2\nexit 1\n")
    npm.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    result = aeonnx("demo", "--web", "--port", 0)
    assert result.exit_code == 4
    assert "npm did not fetch onnxruntime-web: npm error network is unreachable." in result.stderr
    assert not (tmp_path / "cache").exists()


def test_a_port_that_is_taken_is_said_before_the_work(aeonnx: Aeonnx, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = aeonnx("demo", "--web", "--port", port)
    assert result.exit_code == 4
    assert f"port {port} cannot be opened: Address already in use" in result.stderr
    assert "--port 0" in result.stderr
    assert not (tmp_path / "aeonnx-demo").exists()


@pytest.mark.usefixtures("engine")
def test_a_second_start_only_serves(made: Path) -> None:
    """As a process of its own, until Ctrl-C."""
    graph = graph_file(made / "dae-bundle", "denoiser", "fp32-uint8").name
    scorer = graph_file(made / "dae-bundle", "denoiser").name.replace("denoiser", "scorer")
    with _serving(made) as (process, address):
        for name, kind in (
            ("", "text/html"),
            ("app.mjs", "text/javascript"),
            ("bundle.mjs", "text/javascript"),
            ("engine/ort-wasm-simd-threaded.wasm", "application/wasm"),
            (f"bundles/dae/{graph}", "application/octet-stream"),
        ):
            with urlopen(address + name) as answer:  # noqa: S310
                assert answer.headers["Content-Type"] == kind
        for absent in (f"bundles/dae/{scorer}", "../run", "%2e%2e/bundle/manifest.json"):
            with pytest.raises(HTTPError, match="404"):
                urlopen(address + absent)  # noqa: S310
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=20)
    assert process.returncode == 130
    assert errors == "Stopped.\n"


@contextmanager
def _serving(folder: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    words = ["-m", "aeonnx", "demo", "--web", "--port", "0", "-o", str(folder)]
    process = subprocess.Popen(
        [sys.executable, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        yield process, process.stdout.readline().split()[0]
    finally:
        process.kill()
        process.wait()


@pytest.mark.usefixtures("engine")
def test_what_is_served_is_a_bundle(made: Path, aeonnx: Aeonnx) -> None:
    """Of fewer parts: `aeonnx verify` takes it as it takes any."""
    assert aeonnx("demo", "--build-only", "-o", made).exit_code == 0
    for name in web.SHOWN:
        assert aeonnx("verify", made / "web/bundles" / name).exit_code == 0


def test_only_what_is_whole_is_used_again(made: Path) -> None:
    assert web.existing_files(made) is not None
    graph = graph_file(made / "dae-bundle", "denoiser")
    graph.write_bytes(graph.read_bytes()[:-1] + b"x")
    assert web.existing_files(made) is None
    assert web.existing_files(made / "elsewhere") is None


@pytest.mark.usefixtures("engine")
def test_the_demo_has_the_panels_of_its_two_bundles(made: Path, aeonnx: Aeonnx) -> None:
    assert aeonnx("demo", "--build-only", "-o", made).exit_code == 0
    listed = json.loads((made / "web/bundles.json").read_text())
    assert [tuple(panel.values()) for panel in listed] == [
        ("denoise", "dae", "denoiser", ["fp32", "fp32-uint8"], "digits.png"),
        ("latents", "vae", "decoder", ["fp32"], None),
        ("generate", "vae", "sampler", ["fp32"], None),
    ]


@pytest.mark.usefixtures("engine")
def test_files_of_others_in_the_folder_stay(made: Path, aeonnx: Aeonnx) -> None:
    (made / "web").mkdir()
    (made / "web/mine.txt").write_text("mine")
    assert aeonnx("demo", "--build-only", "-o", made).exit_code == 0
    assert (made / "web/mine.txt").read_text() == "mine"


@pytest.mark.usefixtures("engine")
def test_links_in_the_folder_lead_nowhere(made: Path, aeonnx: Aeonnx, tmp_path: Path) -> None:
    """A file's is replaced, and what it points to stays; a folder's is refused."""
    (tmp_path / "precious").mkdir()
    for name in ("index.html", "app.mjs", "digits.png"):
        (tmp_path / f"precious/{name}").write_text("precious")
    (made / "web").mkdir()
    for name in ("index.html", "app.mjs", "digits.png"):
        (made / f"web/{name}").symlink_to(tmp_path / f"precious/{name}")
    os.mkfifo(made / "web/style.css")
    assert aeonnx("demo", "--build-only", "-o", made).exit_code == 0
    assert "<html" in (made / "web/index.html").read_text()
    assert (made / "web/style.css").is_file()
    shutil.rmtree(made / "web/engine")
    (made / "web/engine").symlink_to(tmp_path / "precious")
    result = aeonnx("demo", "--build-only", "-o", made)
    assert result.exit_code == 1
    assert "engine in it is a link or a file, not a folder: move it away" in result.stderr
    assert {path.read_text() for path in (tmp_path / "precious").iterdir()} == {"precious"}


@pytest.mark.usefixtures("engine")
def test_a_page_that_is_built_anew_keeps_no_graphs_of_before(made: Path, aeonnx: Aeonnx) -> None:
    assert aeonnx("demo", "--build-only", "-o", made).exit_code == 0
    before = made / "web/bundles/dae"
    stale = before / f"denoiser.{hashlib.sha256(b'old').hexdigest()[:12]}.onnx"
    stale.write_bytes(b"old")
    assert aeonnx("demo", "--build-only", "-o", made).exit_code == 0
    assert not stale.exists()
    assert aeonnx("verify", before).exit_code == 0


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Server]:
    """A folder with a page, a secret beside it, and links."""
    folder = tmp_path / "page"
    (folder / "folder").mkdir(parents=True)
    (folder / "index.html").write_text("index")
    (folder / "a.mjs").write_text("module")
    (folder / "folder/inner.txt").write_text("inner")
    (tmp_path / "secret").write_text("secret")
    (folder / "out").symlink_to(tmp_path / "secret")
    (folder / "outside").symlink_to(tmp_path)
    (folder / "inside").symlink_to(folder / "a.mjs")
    (folder / "circle").symlink_to(folder / "circle")
    os.mkfifo(folder / "fifo")
    with Server(folder, 0) as made:
        thread = threading.Thread(target=made.serve_forever, args=(0.05,))
        thread.start()
        yield made
        made.shutdown()
        thread.join()


def ask(to: Server, text: str | bytes) -> tuple[int, str]:
    """The status and the whole answer to a request, as it is written."""
    with socket.create_connection(("127.0.0.1", to.server_port), timeout=10) as client:
        client.sendall(text if isinstance(text, bytes) else text.encode())
        answer = b"".join(iter(lambda: client.recv(65536), b"")).decode()
    return int(answer.split()[1]), answer


def get(to: Server, path: str, host: str = "localhost", method: str = "GET") -> tuple[int, str]:
    return ask(to, f"{method} {path} HTTP/1.1\r\nHost: {host}\r\n\r\n")


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/", 200),
        ("/?query", 200),
        ("/a.mjs", 200),
        ("/inside", 200),
        ("/folder/inner.txt", 200),
        ("/%61.mjs?x=1#y", 200),
        ("/folder", 404),
        ("/folder/", 404),
        ("//folder", 404),
        ("/a.mjs/", 404),
        ("/out", 404),
        ("/outside/secret", 404),
        ("/../secret", 404),
        ("/%2e%2e/secret", 404),
        ("/circle", 404),
        ("/fifo", 404),
        ("/a.mjs%00.txt", 404),
        ("/%ff%fe", 404),
        ("/" + "x" * 5000, 404),
        ("http://example.org/a.mjs", 404),
    ],
)
def test_what_is_served(
    served: Server, capsys: pytest.CaptureFixture[str], path: str, status: int
) -> None:
    got, answer = get(served, path)
    assert got == status
    assert "secret" not in answer.partition("\r\n\r\n")[2]
    assert get(served, path, method="HEAD")[0] == status
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("path", ["/", "/none"])
def test_no_other_origin_gets_anything(served: Server, path: str) -> None:
    head = get(served, path)[1].partition("\r\n\r\n")[0].splitlines()
    for line in (
        "Content-Security-Policy: frame-ancestors 'none'",
        "Cross-Origin-Resource-Policy: same-origin",
        "X-Content-Type-Options: nosniff",
        "X-Frame-Options: DENY",
    ):
        assert line in head


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST:{port}", "127.0.0.1:{port}", "[::1]:{port}", "127.0.0.1:9"]
)
def test_names_of_this_machine(served: Server, host: str) -> None:
    assert get(served, "/", host.format(port=served.server_port))[0] == 200


@pytest.mark.parametrize(
    "host",
    [
        "example.org",
        "example.org:{port}",
        "localhost.example.org",
        "localhost:{port}.example.org",
        "127.0.0.1.example.org",
        "[::1",
        "[::2]",
        "192.0.2.1",
        "",
        "localhost\r\nHost: example.org",
    ],
)
def test_other_names_get_nothing(served: Server, host: str) -> None:
    """A page that makes its own name lead to this machine reads nothing here."""
    status, answer = get(served, "/", host.format(port=served.server_port))
    assert status == 421
    assert "This server answers to 127.0.0.1, localhost, [::1] alone." in answer
    assert ask(served, "GET / HTTP/1.0\r\n\r\n")[0] == 421


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "CONNECT", "LIST"])
def test_other_methods_are_refused(served: Server, method: str) -> None:
    assert get(served, "/", method=method)[0] == 501


def test_clients_that_leave_are_no_faults(
    served: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    Path(served_folder(served), "large").write_bytes(bytes(10**7))
    for text in ("", "GET /lar", "GET /large HTTP/1.1\r\nHost: localhost\r\n\r\n"):
        client = socket.create_connection(("127.0.0.1", served.server_port))
        client.sendall(text.encode())
        # It resets the connection instead of closing it.
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.close()
    wait_for(lambda: not served._deadlines)
    assert get(served, "/")[0] == 200
    assert capsys.readouterr() == ("", "")


def served_folder(of: Server) -> str:
    return str(of.RequestHandlerClass.keywords["directory"])  # type: ignore[union-attr]


def test_slow_clients_hold_few_threads_and_not_for_long(
    served: Server, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(server._Handler, "timeout", 3.0)
    before = threading.active_count()
    slow = [socket.create_connection(("127.0.0.1", served.server_port)) for _ in range(200)]
    for client in slow:
        client.sendall(b"GET / HT")
    wait_for(lambda: len(served._deadlines) == server._MAX_CONNECTIONS)
    assert threading.active_count() - before <= server._MAX_CONNECTIONS
    status, answer = get(served, "/")
    assert status == 503
    assert "Retry-After: 1\r\n" in answer
    wait_for(lambda: not served._deadlines, 30)
    assert get(served, "/")[0] == 200
    for client in slow:
        client.close()
    assert capsys.readouterr() == ("", "")


def test_clients_that_are_never_idle_are_cut_too(
    served: Server, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(server, "_MAX_DURATION_S", 0.5)
    client = socket.create_connection(("127.0.0.1", served.server_port))
    with client, pytest.raises(ConnectionError):
        for _ in range(200):  # ten seconds
            client.sendall(b"a")
            time.sleep(0.05)
    wait_for(lambda: not served._deadlines, 30)
    assert get(served, "/")[0] == 200
    assert capsys.readouterr() == ("", "")


def test_what_has_not_changed_is_not_sent_again(served: Server) -> None:
    _, answer = get(served, "/a.mjs")
    date = next(line for line in answer.splitlines() if line.startswith("Last-Modified: "))
    since = date.replace("Last-Modified", "If-Modified-Since")
    request = f"GET /a.mjs HTTP/1.1\r\nHost: localhost\r\n{since}\r\n\r\n"
    assert ask(served, request)[0] == 304
