"""A constant load for long, with bad requests and clients that leave; and idle connections."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from serving.generator import file_of, generate
from serving.processes import Sample, per_hour, sample, watched
from serving.report import Bar, Settings, bars, table
from serving.sender import Plan
from serving.servers import aeonnx, running
from serving.wires import Call
from serving.wrk import load

__all__ = ["soak"]

_CLIENTS = 64
_EVERY = 50
_IDLERS = 2000
_IDLE_S = 20.0
_SETTLE_S = 2.0
_GROWTH_ASKED = 0.05


def soak(settings: Settings) -> str:
    """The section of the report."""
    target, work = settings.target, settings.work
    server = aeonnx(target)
    call = server.wire.call(target.rows[:1])
    with running(server, target, work) as found:
        closed = load(found, call, _CLIENTS, settings.load, work)
        good, rate = file_of(work, "call", call.raw()), closed.rate / 2
        plan = Plan(good, rate, settings.soak, bad=_bad(work, call), every=_EVERY)
        generate(found, replace(plan, seconds=min(5.0, settings.soak)), work)  # warms up
        quiet = _settled(found.pid)
        with watched(found.pid, min(1.0, settings.soak / 20)) as samples:
            said = generate(found, plan, work)
        after = _settled(found.pid)
        held = Plan(
            *(good, rate / 2, min(_IDLE_S, settings.soak)),
            idle=file_of(work, "idle", b"GET /v2/health/live HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"),
            idlers=_IDLERS,
        )
        with watched(found.pid, 0.25) as idle_samples:
            idle = generate(found, held, work)
        end = _settled(found.pid)
    how = (
        f"{_CLIENTS} clients get {closed.rate:,.0f} answers/s for one row each; then half as many "
        f"requests come for {settings.soak:g} s: of {_EVERY}, one is bad, and one is of a client "
        "that leaves, after a whole request or half of one."
    )
    rows = [*_counts(said), *_slopes(quiet, samples, after)]
    rows += _held(idle, [quiet, after, end], idle_samples)
    found_bars = bars(_bars(said, idle, [quiet, after, end]))
    return f"{how}\n\n{table(('', ''), rows)}\n\n{found_bars}"


def _bad(work: Path, call: Call) -> tuple[str, ...]:
    """Requests that a server must refuse, each for another reason."""
    (length,) = (name for name in call.headers if name.startswith("Inference"))
    head = int(call.headers[length])
    far = {**call.headers, length: str(len(call.body) + 1)}
    other = call.body[:head].replace(b'"shape": [1', b'"shape": [2')
    found = {
        "unknown": replace(call, path="/v2/models/none/infer"),
        "json": replace(call, body=b"{" + call.body[1:].replace(b"}", b"]")),
        "short": replace(call, body=call.body[:-1]),
        "length": replace(call, headers=far),
        "shape": replace(call, body=other + call.body[head:]),
    }
    return tuple(file_of(work, f"bad-{name}", each.raw()) for name, each in found.items())


def _settled(pid: int) -> Sample:
    """A process after its clients have gone."""
    time.sleep(_SETTLE_S)
    return sample(pid)


def _counts(said: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for status, times in sorted(said["answers"].items()):
        yield f"status {status}: requests", f"{times['count']:,}"
        yield f"status {status}: p50 / p99, ms", f"{times['p50']:.2f} / {times['p99']:.2f}"
    statuses = ", ".join(f"{count:,} of {status}" for status, count in sorted(said["bad"].items()))
    yield "bad requests: answers by status", statuses
    yield "clients that left", f"{said['left']:,}"
    yield "requests without an answer", str(said["unanswered"])


def _slopes(quiet: Sample, samples: list[Sample], after: Sample) -> Iterator[tuple[str, str]]:
    memory = f"{quiet.megabytes:.1f}, {after.megabytes:.1f}"
    yield "resident memory before, after, MB", memory
    yield "its slope, MB/h", f"{per_hour(samples, 'megabytes'):+.1f}"
    yield "file descriptors before, after", f"{quiet.files}, {after.files}"
    yield "their slope, per hour", f"{per_hour(samples, 'files'):+.1f}"


def _held(
    idle: Mapping[str, Any], quiet: list[Sample], samples: list[Sample]
) -> Iterator[tuple[str, str]]:
    good = idle["answers"].get("200", {"count": 0, "p50": 0.0, "p99": 0.0})
    answers = f"{good['count']:,}: {good['p50']:.2f} / {good['p99']:.2f}"
    yield f"answers beside {_IDLERS:,} idle connections: p50 / p99, ms", answers
    files = f"{max(each.files for each in samples):,}, {quiet[-1].files}"
    yield "file descriptors meanwhile, after", files
    memory = f"{max(each.megabytes for each in samples):.1f}, {quiet[-1].megabytes:.1f}"
    yield "resident memory meanwhile, after, MB", memory


def _bars(said: Mapping[str, Any], idle: Mapping[str, Any], quiet: list[Sample]) -> Iterator[Bar]:
    wrong = sum(
        times["count"]
        for each in (said, idle)
        for status, times in each["answers"].items()
        if status != "200"
    )
    wrong += said["unanswered"] + idle["unanswered"]
    yield Bar("good requests that failed: none", str(wrong), wrong == 0)
    passed = sum(count for status, count in said["bad"].items() if not status.startswith("4"))
    yield Bar("bad requests not answered with 4xx: none", str(passed), passed == 0)
    before, after, end = quiet
    growth = after.megabytes / before.megabytes - 1
    asked = f"memory grows by less than {_GROWTH_ASKED:.0%}"
    yield Bar(asked, f"{growth:+.1%}", growth < _GROWTH_ASKED)
    files = max(after.files, end.files) - before.files
    yield Bar("no file descriptor is left", f"{files:+d}", files <= 0)
    lost = idle["idlers_lost"]
    yield Bar(f"all {_IDLERS:,} idle connections are kept", f"{lost} lost", lost == 0)
