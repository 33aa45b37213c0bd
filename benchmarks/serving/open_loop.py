"""The process that sends requests at a fixed rate, and times the answers.

    python -m serving.open_loop PORT PLAN

PLAN is a JSON file with the fields of `Plan`; what happened is printed as JSON. Latencies count
from the moment at which a request was due, so that waiting in the generator counts as well.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import resource
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import uvloop

from serving.exchange import connect
from serving.sender import Plan, Sender

__all__ = ["probe", "run"]

_LATE_S = 60.0
"""So long answers are waited for, once all requests are sent."""
_PROBE_S = 3.0


async def probe(port: int, path: str) -> list[tuple[float, float, int | None]]:
    """Ask again and again from one client.

    Args:
        port: of the server.
        path: file with the request; "" for none.

    Returns:
        Seconds from now on, latency and status of each answer.
    """
    found: list[tuple[float, float, int | None]] = []
    if not path:
        return found
    call, began = Path(path).read_bytes(), time.perf_counter()
    connection, sent = await connect(port), began
    while not connection.lost and sent - began < _PROBE_S:
        status = await connection.status(call)
        now = time.perf_counter()
        found.append((now - began, now - sent, status))
        sent = now
    connection.transport.close()
    return found


async def run(port: int, plan: Plan) -> dict[str, Any]:
    """Carry out a plan, and return what happened."""
    before = await probe(port, plan.probe)
    idlers = [await connect(port) for _ in range(plan.idlers)]
    for idler in idlers:
        await idler.status(Path(plan.idle).read_bytes())
    sender = Sender(port, plan)
    sender.start()
    await sender.sent.wait()
    after = await probe(port, plan.probe)
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(sender.answered.wait(), _LATE_S)
    tally = sender.tally
    return {
        "due": plan.count,
        "sent": len(tally.lags) + tally.left,
        "lag": summary(tally.lags),
        "answers": {str(status): summary(all_) for status, all_ in tally.answers.items()},
        "accepted_per_s": tally.within / plan.seconds,
        "bad": {str(status): count for status, count in tally.bad.items()},
        "left": tally.left,
        "unanswered": tally.broken + tally.waiting,
        "connections": tally.connections,
        "idlers_lost": sum(idler.lost for idler in idlers),
        "before": before,
        "after": after,
    }


def summary(seconds: Sequence[float]) -> dict[str, float]:
    """Number, median, 99th percentile and largest of times, which are in ms."""
    if not seconds:
        return {"count": 0, "p50": 0.0, "p99": 0.0, "max": 0.0}
    p50, p99, most = (float(each) for each in np.percentile(seconds, (50, 99, 100)) * 1e3)
    return {"count": len(seconds), "p50": p50, "p99": p99, "max": most}


if __name__ == "__main__":
    gc.disable()  # its pauses would count as latencies
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    chosen = Plan(**json.loads(Path(sys.argv[2]).read_text()))
    print(json.dumps(uvloop.run(run(int(sys.argv[1]), chosen))))
