"""The access log, whoever reads it, or does not."""

from __future__ import annotations

import json
import re
import signal
import threading
import time
from pathlib import Path

import pytest

from aeonnx.serving import access_log
from aeonnx.serving.access_log import AccessLog
from tests.serving.conftest import connect, metric, process
from tests.support import wait_for


def test_each_request_is_a_line_of_json_on_stdout(denoiser: Path) -> None:
    with process(denoiser, "--provider", "cpu") as found:
        found.ask("/v2", headers={"X-Request-ID": "one"})
        found.ask("/nowhere", headers={"X-Request-ID": 'two"\n'.strip()})
        wait_for(lambda: len(found.log) == 2)
        found.ask("/" + 1000 * "long")
        with connect(found.address) as client:
            client.sendall(b"no HTTP\r\n\r\n")
            assert client.recv(4096).startswith(b"HTTP/1.1 400 ")
        assert metric(found.address, 'aeonnx_http_responses_total{status="400"}') == 1
        found.ask("/v2/health/live", headers={"X-Request-ID": "last"})
        found.process.send_signal(signal.SIGINT)
        assert found.process.wait(30) == 0
        wait_for(lambda: len(found.log) == 6)
        first, second, long, refused, _, last = map(json.loads, found.log)
        assert (first["request"], first["path"], first["status"]) == ("one", "/v2", 200)
        assert re.fullmatch("[0-9a-f]{32}", second["request"])
        assert (second["status"], second["error"]) == (404, "Not Found")
        assert len(long["path"]) == 1000
        assert (refused["client"], refused["status"], refused["path"]) == ("127.0.0.1", 400, "")
        assert refused["error"] == "expected a request of HTTP/1.1, got something else"
        assert re.fullmatch("[0-9a-f]{32}", refused["request"])
        assert last["request"] == "last"


def test_a_server_whose_log_nobody_reads_goes_on(denoiser: Path) -> None:
    with process(denoiser, "--provider", "cpu", reads=False) as found:
        for _ in range(120):  # a pipe holds 64 kB
            assert found.ask("/" + "x" * 16_000).status == 404
        assert found.ask("/v2/health/live").status == 200
        found.process.send_signal(signal.SIGINT)
        assert found.process.wait(30) == 0
        assert found.process.stderr
        assert "lines of the access log were lost: nobody reads" in found.process.stderr.read()


def test_a_server_whose_stdout_is_closed_goes_on(denoiser: Path) -> None:
    """As under `aeonnx serve ... | head -1`."""
    with process(denoiser, "--provider", "cpu", reads=False) as found:
        assert found.process.stdout
        found.process.stdout.close()
        assert found.ask("/v2").status == 200
        assert found.process.stderr
        line = found.process.stderr.readline()
        assert line == "the access log ends, stdout cannot be written: [Errno 32] Broken pipe\n"
        assert found.ask("/v2").status == 200
        found.process.send_signal(signal.SIGINT)
        assert found.process.wait(30) == 0


def test_lines_wait_for_a_slow_reader_and_the_rest_is_lost(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(access_log, "_MOST", 5)
    written: list[bytes] = []
    go, tried = threading.Event(), threading.Event()

    def write(lines: bytes) -> None:
        tried.set()
        go.wait(30)
        written.append(lines)

    log = AccessLog(write)
    log.add(b"first")
    assert tried.wait(30)
    began = time.monotonic()
    for place in range(8):
        log.add(b"%d" % place)
    assert time.monotonic() - began < 1
    go.set()
    log.close()
    assert b"".join(written) == b"first\n0\n1\n2\n3\n4\n"
    assert "3 lines of the access log were lost: nobody reads stdout" in caplog.text
