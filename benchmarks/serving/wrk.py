"""Loads a server from so many clients, each of which asks again as soon as it is answered: wrk."""

from __future__ import annotations

import json
import statistics
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from serving.servers import CLIENT_CORE, Running, pinned
from serving.wires import Call

__all__ = ["Load", "load", "median"]

_SETTLE_S = 0.5
_SCRIPT = """
wrk.method = "POST"
local file = io.open({body}, "rb")
wrk.body = file:read("*all")
file:close()
{headers}
function done(summary, latency, requests)
  local errors = summary.errors
  local failed = errors.connect + errors.read + errors.write + errors.status + errors.timeout
  io.write(string.format(
    '\\n{{"rate": %f, "p50": %f, "p99": %f, "failed": %d}}\\n',
    summary.requests / summary.duration * 1e6,
    latency:percentile(50) / 1e3, latency:percentile(99) / 1e3, failed))
end
"""


@dataclass(frozen=True)
class Load:
    """What a server did under load.

    Args:
        rate: requests per second.
        p50: median of the latency in ms.
        p99: its 99th percentile.
        failed: requests without an answer of status 2xx.
    """

    rate: float
    p50: float
    p99: float
    failed: int


def load(running: Running, call: Call, clients: int, seconds: float, work: Path) -> Load:
    """Load a server.

    Args:
        running: the server.
        call: the request that all clients repeat.
        clients: number of connections.
        seconds: whole ones, at least 1.
        work: folder for the script.
    """
    body, script = work / "body", work / "load.lua"
    body.write_bytes(call.body)
    headers = "\n".join(
        f"wrk.headers[{json.dumps(name)}] = {json.dumps(value)}"
        for name, value in call.headers.items()
    )
    script.write_text(_SCRIPT.format(body=json.dumps(str(body)), headers=headers))
    words = [*("wrk", "-t", "1", "-c", str(clients), "-d", f"{max(1, round(seconds))}s")]
    words += ["--timeout", "30s", "-s", str(script)]
    time.sleep(_SETTLE_S)  # an earlier wrk leaves without its last answers
    done = subprocess.run(
        pinned(CLIENT_CORE, [*words, f"http://127.0.0.1:{running.port}{call.path}"]),
        capture_output=True,
        text=True,
        check=True,
    )
    return Load(**json.loads(done.stdout.strip().splitlines()[-1]))


def median(loads: Sequence[Load]) -> Load:
    """The median of each figure, and all failures."""
    return Load(
        rate=statistics.median(each.rate for each in loads),
        p50=statistics.median(each.p50 for each in loads),
        p99=statistics.median(each.p99 for each in loads),
        failed=sum(each.failed for each in loads),
    )
