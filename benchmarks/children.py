"""Run a command in a process of its own, and measure its time and memory."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Child", "run"]


@dataclass(frozen=True)
class Child:
    """What a command came to.

    Args:
        code: its exit code.
        seconds: wall clock, from the start of the process.
        cpu: seconds of CPU time, of the user and the system.
        megabytes: peak resident memory.
        said: what it wrote to the stream that was kept.
    """

    code: int
    seconds: float
    cpu: float
    megabytes: float
    said: str


def run(
    command: Sequence[str],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    keep: str = "stderr",
) -> Child:
    """Run a command to its end.

    Args:
        command: the program and its arguments.
        cwd: working directory; None for this one.
        env: the whole environment; None for this one.
        keep: "stdout", beside which errors go to the terminal, or "stderr" alone.
    """
    errors = None if keep == "stdout" else subprocess.PIPE
    output = subprocess.PIPE if keep == "stdout" else subprocess.DEVNULL
    start = time.perf_counter()
    process = subprocess.Popen(
        [*command], cwd=cwd, env=env, stdout=output, stderr=errors, text=True
    )
    stream = process.stdout or process.stderr
    assert stream  # a pipe was asked for
    said = stream.read()
    _, status, used = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    cpu = used.ru_utime + used.ru_stime
    return Child(process.returncode, seconds, cpu, used.ru_maxrss / 1024, said)
