"""What a request costs beyond bare uvicorn and the run of the model."""

from __future__ import annotations

import statistics
import subprocess
import sys

from serving.report import Settings, table
from serving.servers import SERVER_CORE, aeonnx, pinned, running, uvicorn
from serving.target import Target
from serving.wrk import load

__all__ = ["overhead"]

_ALONE = """
import statistics, sys, time
import numpy as np, onnxruntime as ort
graph, seconds, *shape = sys.argv[1:]
options = ort.SessionOptions()
options.intra_op_num_threads = 1
session = ort.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
(entry,) = session.get_inputs()
given, times = {entry.name: np.zeros([int(size) for size in shape], np.float32)}, []
until = time.perf_counter() + float(seconds)
while time.perf_counter() < until:
    began = time.perf_counter()
    session.run(None, given)
    times.append(time.perf_counter() - began)
print(statistics.median(times) * 1e6)
"""


def overhead(settings: Settings) -> str:
    """The section of the report."""
    target, work = settings.target, settings.work
    ours = aeonnx(target)
    with running(ours, target, work) as found:
        size = len(found.ask(ours.wire.call(target.rows[:1]))[1])
    servers = [ours, uvicorn(size, ours.wire)]
    call = ours.wire.call(target.rows[:1])
    times: dict[str, list[float]] = {server.name: [] for server in servers}
    alone = []
    for number in range(settings.repetitions):
        for server in servers[:: -1 if number % 2 else 1]:
            with running(server, target, work) as found:
                load(found, call, 1, 1, work)
                times[server.name].append(load(found, call, 1, settings.load, work).p50 * 1e3)
        alone.append(_alone(target, settings.load))
    mine, theirs = times.values()
    beyond = [a - b for a, b in zip(mine, theirs, strict=True)]
    rest = [a - b for a, b in zip(beyond, alone, strict=True)]
    rows = [
        *((name, _microseconds(figures)) for name, figures in times.items()),
        ("the model alone: `session.run` of onnxruntime", _microseconds(alone)),
        ("aeonnx serve beyond bare uvicorn", _microseconds(beyond)),
        ("and beyond the model", _microseconds(rest)),
    ]
    how = (
        f"One client, one row a request, p50; medians of {settings.repetitions} repetitions of "
        f"{settings.load:g} s, in brackets the lowest and the highest. Bare uvicorn reads the "
        f"body, answers a constant of the same size ({size} bytes), and writes no log."
    )
    return f"{how}\n\n{table(('', 'us'), rows)}"


def _alone(target: Target, seconds: float) -> float:
    """Microseconds of a run of the graph on one row, in a process of its own."""
    shape = [str(size) for size in target.rows[:1].shape]
    words = [sys.executable, "-c", _ALONE, str(target.graph), str(seconds), *shape]
    done = subprocess.run(pinned(SERVER_CORE, words), check=True, stdout=subprocess.PIPE)
    return float(done.stdout)


def _microseconds(figures: list[float]) -> str:
    return f"{statistics.median(figures):,.0f} ({min(figures):,.0f}-{max(figures):,.0f})"
