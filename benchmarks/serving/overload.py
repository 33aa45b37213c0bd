"""Five times as many requests as a server can answer, for a minute, and what follows."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator, Mapping
from typing import Any

from serving.generator import file_of, generate
from serving.processes import Sample, sample, watched
from serving.report import Bar, Settings, bars, table
from serving.sender import Plan
from serving.servers import aeonnx, running
from serving.wrk import load, median

__all__ = ["overload"]

_TIMES = 5
_WAITING = 4
"""Requests that the queue holds, the one that runs included."""
_TIMEOUT_S = 1
_SHARE_ASKED = 0.9
_GROWTH_ASKED = 0.05
_RECOVERY_ASKED_S = 1.0


def overload(settings: Settings) -> str:
    """The section of the report."""
    target, work = settings.target, settings.work
    queue = str(max(64, _WAITING * settings.rows))
    server = aeonnx(target, "--timeout", str(_TIMEOUT_S), "--max-queue", queue)
    call = server.wire.call(target.batch(settings.rows))
    one = server.wire.call(target.rows[:1])
    with running(server, target, work) as found:
        status, body, headers = found.ask(call)
        assert status == 200, body[:500]
        target.require_right(server.name, 0, server.wire.values(body, headers))
        load(found, call, _WAITING, 1, work)
        closed = median([load(found, call, _WAITING, settings.load, work) for _ in range(3)])
        assert not closed.failed, closed
        plan = Plan(
            file_of(work, "call", call.raw()),
            closed.rate * _TIMES,
            settings.seconds,
            probe=file_of(work, "probe", one.raw()),
        )
        with watched(found.pid, 0.25) as samples:
            said = generate(found, plan, work)
        time.sleep(2)
        samples.append(sample(found.pid))
    how = (
        f"Requests of {settings.rows} rows to `--timeout {_TIMEOUT_S} --max-queue {queue}`. "
        f"{_WAITING} clients that wait for their answers get {closed.rate:,.0f} answers/s: that is "
        f"the capacity. Then {plan.rate:,.0f} requests/s come for {settings.seconds:g} s, whatever "
        "is answered. Latencies count from the moment at which a request was due; it was sent "
        f"{said['lag']['p50']:.2f} ms later (p50; p99 {said['lag']['p99']:.2f} ms)."
    )
    rows = [*_answers(said), *_memory(samples), *_calm(said)]
    found_bars = bars(_bars(said, samples, closed.rate))
    return f"{how}\n\n{table(('', ''), rows)}\n\n{found_bars}"


def _answers(said: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield "requests due, sent", f"{said['due']:,}, {said['sent']:,}"
    for status, times in sorted(said["answers"].items()):
        yield f"status {status}", f"{times['count']:,}"
        latency = f"{times['p50']:.1f} / {times['p99']:.1f} / {times['max']:.1f}"
        yield f"status {status}: p50 / p99 / longest, ms", latency
    yield "requests without an answer", str(said["unanswered"])
    yield "connections", f"{said['connections']:,}"
    yield "accepted, answers/s", f"{said['accepted_per_s']:,.0f}"


def _memory(samples: list[Sample]) -> Iterator[tuple[str, str]]:
    sizes = [each.megabytes for each in samples]
    figures = f"{sizes[0]:.0f}, {max(sizes):.0f}, {sizes[-1]:.0f}"
    yield "resident memory before, most, after, MB", figures


def _calm(said: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    before = statistics.median(latency for _, latency, _ in said["before"]) * 1e3
    after = statistics.median(latency for _, latency, _ in said["after"]) * 1e3
    yield "one row from one client before, after: p50, ms", f"{before:.2f}, {after:.2f}"
    yield "until its latency was as before, s", f"{_recovery(said):.3f}"


def _recovery(said: Mapping[str, Any]) -> float:
    """Seconds until one client's answer came within the 99th percentile of before."""
    usual = statistics.quantiles((latency for _, latency, _ in said["before"]), n=100)[-1]
    return next(
        (at for at, latency, status in said["after"] if status == 200 and latency <= usual),
        float("inf"),
    )


def _bars(said: Mapping[str, Any], samples: list[Sample], capacity: float) -> Iterator[Bar]:
    accepted, refused = (said["answers"].get(status, {}) for status in ("200", "503"))
    other = {*said["answers"]} - {"200", "503"}
    wrong = said["unanswered"] + said["due"] - said["sent"]
    yield Bar(
        "each request was sent, and answered with 200 or 503",
        f"{wrong} were not; other statuses: {', '.join(other) or 'none'}",
        not wrong and not other,
    )
    yield Bar(
        "refused sooner than accepted: p99, ms",
        f"{refused.get('p99', 0):.1f} to {accepted.get('p50', 0):.1f} (p50)",
        bool(refused) and refused["p99"] < accepted["p50"],
    )
    longest = accepted.get("max", float("inf")) / 1e3
    yield Bar(f"accepted: none over {_TIMEOUT_S} s", f"{longest:.3f} s", longest <= _TIMEOUT_S)
    share = said["accepted_per_s"] / capacity
    asked = f"accepted: {_SHARE_ASKED:.0%} of the capacity"
    yield Bar(asked, f"{share:.0%}", share >= _SHARE_ASKED)
    sizes = [each.megabytes for each in samples]
    growth = max(sizes[len(sizes) // 2 :]) / max(sizes[: len(sizes) // 2]) - 1
    asked = f"memory: in the second half at most {_GROWTH_ASKED:.0%} more than in the first"
    yield Bar(asked, f"{growth:+.1%}", growth <= _GROWTH_ASKED)
    recovery = _recovery(said)
    asked = f"as before within {_RECOVERY_ASKED_S:g} s"
    yield Bar(asked, f"{recovery:.3f} s", recovery <= _RECOVERY_ASKED_S)
