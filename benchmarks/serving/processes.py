"""Memory and open files of a process, watched while it works."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

__all__ = ["Sample", "per_hour", "sample", "watched"]


@dataclass(frozen=True)
class Sample:
    """A look at a process.

    Args:
        moment: seconds of a clock.
        megabytes: resident memory.
        files: open file descriptors.
    """

    moment: float
    megabytes: float
    files: int


def sample(pid: int) -> Sample:
    """Look at a process now."""
    folder = Path(f"/proc/{pid}")
    lines = (folder / "status").read_text().splitlines()
    kilobytes = next(int(line.split()[1]) for line in lines if line.startswith("VmRSS:"))
    files = sum(1 for _ in (folder / "fd").iterdir())
    return Sample(time.monotonic(), kilobytes / 1024, files)


@contextmanager
def watched(pid: int, every: float) -> Iterator[list[Sample]]:
    """The samples of a process, one each so many seconds, until the end of the block."""
    samples, ended = [sample(pid)], threading.Event()

    def watch() -> None:
        while not ended.wait(every):
            samples.append(sample(pid))

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield samples
    finally:
        ended.set()
        thread.join()


def per_hour(samples: list[Sample], figure: str) -> float:
    """The slope of a figure, by least squares over all but the first tenth."""
    kept = samples[len(samples) // 10 :]
    moments = np.array([each.moment for each in kept])
    values = np.array([getattr(each, figure) for each in kept], float)
    return float(np.polyfit(moments - moments[0], values, 1)[0] * 3600) if len(kept) > 1 else 0.0
