"""Signals: what was accepted is answered, and the end comes in time."""

from __future__ import annotations

import re
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from urllib.parse import urlsplit

import pytest

from tests.serving.conftest import Maker, Process, ask, body, process
from tests.support import wait_for


def test_sigterm_finishes_what_was_accepted(bundle_of: Maker) -> None:
    """Under load: every request that was sent whole before the end is answered."""
    path = f"/v2/models/{bundle_of().name}.decoder/infer"
    lost, answered, stop, ends = [], [0], threading.Event(), [float("inf")]

    def load(address: str) -> None:
        found = urlsplit(address)
        while not stop.is_set():
            try:
                client = HTTPConnection(str(found.hostname), found.port, timeout=30)
                client.connect()
            except OSError:
                return  # it takes no more connections
            used = False
            try:
                while not stop.is_set():
                    client.request("POST", path, body(4))
                    reply = client.getresponse()
                    reply.read()
                    if reply.status != 200:
                        lost.append(reply.status)
                    answered[0] += 1
                    used = True
                    if reply.headers.get("connection") == "close":
                        break
            except OSError as error:
                # The kernel takes connections that the server, which stopped, never sees.
                if used or time.monotonic() < ends[0]:
                    lost.append(error)
            finally:
                client.close()

    with process(bundle_of(), "--provider", "cpu") as found:
        threads = [threading.Thread(target=load, args=(found.address,)) for _ in range(8)]
        for thread in threads:
            thread.start()
        wait_for(lambda: answered[0] > 50)
        found.process.send_signal(signal.SIGTERM)
        ends[0] = time.monotonic() + 0.9  # seconds in which it takes connections
        time.sleep(0.1)
        assert found.ask("/v2/health/ready").status == 503
        assert found.ask("/v2/health/live").status == 200
        for thread in threads:
            thread.join(30)
        stop.set()
        assert found.process.wait(30) == 0
        assert not lost, lost


SLOW = """
import time
from aeonnx.serving import batcher
run = batcher.Batcher._results
batcher.Batcher._results = lambda *given: time.sleep({seconds}) or run(*given)
"""


@pytest.mark.shortened(1)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_that_comes_twice_at_once_loses_no_request(
    bundle_of: Maker, decoder: str, number: int
) -> None:
    """As `timeout` sends it."""
    before = SLOW.format(seconds=0.5)
    with (
        process(bundle_of(), "--provider", "cpu", before=before) as found,
        ThreadPoolExecutor(1) as pool,
    ):
        reply = pool.submit(found.ask, decoder, body())
        wait_for(lambda: pending(found) == 1)
        found.process.send_signal(number)
        time.sleep(0.05)
        found.process.send_signal(number)
        assert reply.result().status == 200
        assert found.process.wait(30) == 0


def pending(found: Process) -> float:
    """The rows that wait or run, of all models."""
    text = ask(found.address, "/metrics").body.decode()
    return sum(map(float, re.findall(r"^aeonnx_pending_rows\{.*\} (.*)$", text, re.MULTILINE)))


@pytest.mark.shortened(1)
@pytest.mark.parametrize("second", [True, False])
def test_a_request_that_takes_too_long_to_stop_is_told_so(
    bundle_of: Maker, decoder: str, second: bool
) -> None:
    """At a second signal at once, or after the limit."""
    limit = 20 if second else 1
    with (
        process(
            *(bundle_of(), "--provider", "cpu", "--stop-timeout", limit),
            before=SLOW.format(seconds=60),
        ) as found,
        ThreadPoolExecutor(1) as pool,
    ):
        reply = pool.submit(found.ask, decoder, body())
        wait_for(lambda: pending(found) == 1)
        began = time.monotonic()
        found.process.send_signal(signal.SIGINT)
        if second:
            time.sleep(1.1)
            assert found.process.poll() is None
            found.process.send_signal(signal.SIGINT)
        assert (reply.result().status, reply.result().json) == (503, {"error": "the server stops"})
        assert found.process.wait(10) == 0
        assert time.monotonic() - began < 10
        assert found.process.stderr
        assert "Traceback" not in found.process.stderr.read()
