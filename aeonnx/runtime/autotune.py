"""How fast a graph is on this machine at several batch sizes, measured once and remembered.

The record belongs to the graph's digest, onnxruntime's release, the provider, the threads and the
processor; it lies in the user's cache directory (`aeonnx._util.cache`).
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import onnxruntime as ort

from aeonnx._util import cache, processor
from aeonnx.bundle import Variant
from aeonnx.errors import DeviceMemoryError
from aeonnx.runtime.interface import tile_rows
from aeonnx.runtime.session import Array, Session

__all__ = ["Speed", "by_speed", "known_speed", "measure_speed"]

_ROWS = (1, 16, 64, 256, 1024, 4096, 16384, 65536)
_SECONDS = 0.05
"""Time for each batch size, and the longest run after which no larger batch is tried."""
_LONGEST = 3600.0
"""Seconds that a record may say of one run."""
_SLACK = 1.03
"""A batch may be this much slower per row than the best: small ones need less memory."""


@dataclass(frozen=True)
class Speed:
    """What was measured of one graph.

    Args:
        seconds: the shortest time of a run by the number of rows: what else the machine does at
            the moment, which is forgotten later, makes the others longer.
    """

    seconds: dict[int, float]

    @property
    def max_batch(self) -> int:
        """The smallest batch size whose time per row is near the best."""
        per_row = {rows: taken / rows for rows, taken in self.seconds.items()}
        best = min(per_row.values())
        return min(rows for rows, each in per_row.items() if each <= _SLACK * best)


def known_speed(variant: Variant, session: Session, threads: int) -> Speed | None:
    """What was measured before, on this machine; None if nothing was, or nothing sound."""
    value = cache.read(_key(variant, session, threads))
    found = value.get("seconds") if isinstance(value, dict) else None
    if not isinstance(found, dict) or not found.keys() <= {str(rows) for rows in _ROWS}:
        return None
    seconds = {int(rows): taken for rows, taken in found.items()}
    if _ROWS[0] not in seconds or not all(map(_is_time, seconds.values())):
        return None
    return Speed(seconds)


def _is_time(value: object) -> bool:
    return type(value) is float and 0 < value < _LONGEST


def measure_speed(
    variant: Variant, session: Session, threads: int, inputs: Mapping[str, Array]
) -> Speed:
    """Time a graph on its golden inputs at growing batch sizes, until that no longer pays.

    Args:
        variant: of the graph.
        session: with the graph open.
        threads: of the session.
        inputs: golden inputs, whose rows are repeated.

    Raises:
        RunError: it cannot run.
        DeviceMemoryError: not even one row fits in memory.
    """
    seconds: dict[int, float] = {}
    for rows in _ROWS:
        try:
            seconds[rows] = _least(session, tile_rows(variant, inputs, rows))
        except DeviceMemoryError:
            if not seconds:
                raise
            break
        per_row = [value / size for size, value in seconds.items()]
        if seconds[rows] > _SECONDS or per_row[-1] > 1.2 * min(per_row):
            break
    speed = Speed(seconds)
    cache.write(_key(variant, session, threads), asdict(speed))
    return speed


def by_speed(speeds: Mapping[str, Speed]) -> list[str]:
    """The names, the fastest first, over all batch sizes that all were measured at."""
    shared = set.intersection(*(set(speed.seconds) for speed in speeds.values())) if speeds else ()
    means = {
        name: math.prod(speed.seconds[rows] for rows in shared) for name, speed in speeds.items()
    }
    return sorted(means, key=lambda name: means[name])


def _least(session: Session, inputs: Mapping[str, Array]) -> float:
    session.run(inputs)
    times: list[float] = []
    end = time.perf_counter() + _SECONDS
    while len(times) < 3 or (time.perf_counter() < end and len(times) < 200):
        began = time.perf_counter()
        session.run(inputs)
        times.append(time.perf_counter() - began)
    return min(times)


def _key(variant: Variant, session: Session, threads: int) -> dict[str, Any]:
    return {
        "graph": variant.sha256,
        "onnxruntime": ort.__version__,
        "provider": session.providers[0],
        "threads": threads,
        "processor": processor.model(),
    }
