"""`aeonnx demo --web`: what it needs, and what it serves."""

from __future__ import annotations

import hashlib
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest
from click.testing import Result

from aeonnx import cache, web
from aeonnx.web import site
from tests.support import graph_file

Aeonnx = Callable[..., Result]
Maker = Callable[..., Path]


@pytest.fixture
def no_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("AEONNX_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def engine(no_cache: None) -> None:  # noqa: ARG001
    """A cache in which npm has been, with empty files."""
    wanted = (site.clients_folder() / "web/package.json").read_bytes()
    name = f"web-{hashlib.sha256(wanted).hexdigest()[:16]}"
    folder = cache.folder() / name / "node_modules/onnxruntime-web/dist"
    folder.mkdir(parents=True)
    for name in site._ENGINE:
        (folder / name).touch()


@pytest.fixture
def made(bundle_of: Maker, denoiser: Path, tmp_path: Path) -> Path:
    """The folder of a demo that has been run before."""
    folder = tmp_path / "aeonnx-demo"
    shutil.copytree(bundle_of(), folder / "bundle")
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
    assert f"port {port} cannot be taken: Address already in use" in result.stderr
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
    assert web.made_in(made) is not None
    graph = graph_file(made / "dae-bundle", "denoiser")
    graph.write_bytes(graph.read_bytes()[:-1] + b"x")
    assert web.made_in(made) is None
    assert web.made_in(made / "elsewhere") is None


@pytest.mark.usefixtures("engine")
def test_files_of_others_in_the_folder_stay(made: Path, aeonnx: Aeonnx) -> None:
    (made / "web").mkdir()
    (made / "web/mine.txt").write_text("mine")
    assert aeonnx("demo", "--build-only", "-o", made).exit_code == 0
    assert (made / "web/mine.txt").read_text() == "mine"
