"""The generator of load of `benchmarks/serve.py`: its rate, and what it counts."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("uvloop", reason="needs the extra serve")

from serving.open_loop import run
from serving.sender import Plan
from serving.wires import Call

ANSWER = "HTTP/1.1 {} OK\r\ninference-header-content-length: 7\r\ncontent-length: 300000\r\n\r\n"
BODY = b"x" * 1000


async def measured(plan: Plan, answer: Callable[[int], Any]) -> tuple[dict[str, Any], list[bytes]]:
    """Carry out a plan against a server; `answer` gives the status of the n-th request, or None."""
    seen: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                seen.append(head + await reader.readexactly(len(BODY)))
                status = await answer(len(seen))
                if status is None:
                    break
                writer.write(ANSWER.format(status).encode() + bytes(300_000))
        except (asyncio.IncompleteReadError, ConnectionError):  # a client that left
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        found = await run(server.sockets[0].getsockname()[1], plan)
    return found, seen


def request(folder: Path, name: str = "call") -> str:
    path = folder / name
    path.write_bytes(Call(f"/{name}", BODY, {"X": "y"}).raw())
    return str(path)


def test_answers_are_counted_by_status_and_timed(tmp_path: Path) -> None:
    async def third(number: int) -> int:
        await asyncio.sleep(0.03)
        return 200 if number % 3 else 503

    found, seen = asyncio.run(measured(Plan(request(tmp_path), 200, 0.6), third))
    assert found["due"] == found["sent"] == len(seen) == 120
    assert {status: times["count"] for status, times in found["answers"].items()} == {
        "200": 80,
        "503": 40,
    }
    assert found["answers"]["200"]["p50"] >= 30
    assert found["accepted_per_s"] <= 80 / 0.6
    assert found["unanswered"] == 0
    assert seen[0].startswith(b"POST /call HTTP/1.1\r\n")
    assert seen[0].endswith(BODY)


def test_a_request_that_is_sent_late_counts_as_slow(tmp_path: Path) -> None:
    async def stall(number: int) -> int:
        if number == 10:
            time.sleep(0.4)  # the generator, in the same thread, stands still
        return 200

    found, _ = asyncio.run(measured(Plan(request(tmp_path), 200, 0.5), stall))
    assert found["sent"] == 100
    assert found["lag"]["max"] > 250
    assert found["answers"]["200"]["p99"] > 250


def test_bad_requests_and_clients_that_leave_are_counted_apart(tmp_path: Path) -> None:
    async def fine(_: int) -> int:
        return 200

    bad = (request(tmp_path, "bad-1"), request(tmp_path, "bad-2"))
    plan = Plan(request(tmp_path), 200, 0.5, bad=bad, every=10)
    found, seen = asyncio.run(measured(plan, fine))
    assert (found["bad"], found["left"], found["sent"]) == ({"200": 10}, 10, 100)
    assert found["answers"]["200"]["count"] == 80
    asked = [head.split()[1] for head in seen]
    assert (asked.count(b"/bad-1"), asked.count(b"/bad-2")) == (5, 5)


def test_requests_without_an_answer_are_counted(tmp_path: Path) -> None:
    async def tenth(number: int) -> int | None:
        return 200 if number % 10 else None

    found, _ = asyncio.run(measured(Plan(request(tmp_path), 200, 0.5), tenth))
    assert found["unanswered"] == 10
    assert found["answers"]["200"]["count"] == 90


def test_one_client_probes_before_and_right_after(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr("serving.open_loop._PROBE_S", 0.2)

    async def slow_at_first(number: int) -> int:
        await asyncio.sleep(0.01 if number < 5 else 0.002)
        return 200

    plan = Plan(request(tmp_path), 50, 0.2, probe=request(tmp_path, "probe"))
    found, _ = asyncio.run(measured(plan, slow_at_first))
    assert found["before"][0][1] >= 0.01
    assert all(0.002 <= latency <= moment for moment, latency, _ in found["after"])
    assert {status for *_, status in found["after"]} == {200}


def test_idle_connections_are_held(tmp_path: Path) -> None:
    async def fine(_: int) -> int:
        return 200

    plan = Plan(request(tmp_path), 100, 0.2, idle=request(tmp_path, "idle"), idlers=30)
    found, seen = asyncio.run(measured(plan, fine))
    assert sum(head.startswith(b"POST /idle") for head in seen) == 30
    assert found["idlers_lost"] == 0
