"""Measures how fast a graph runs on this machine at several batch sizes, and caches the result.

The cache key is the graph's digest, onnxruntime's version, the provider, the number of threads, the
user's session options and the processor; records are in the user's cache directory
(`aeonnx._util.cache`).
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import onnxruntime as ort

from aeonnx._util import cache
from aeonnx._util.machine import cpu_model, usable_cores
from aeonnx.bundle import Variant
from aeonnx.errors import DeviceMemoryError
from aeonnx.runtime.interface import tile_rows
from aeonnx.runtime.session import Array, Session
from aeonnx.runtime.settings import Settings

__all__ = ["Speed", "by_speed", "known_speed", "measure_speed"]

_ROWS = (1, 16, 64, 256, 1024, 4096, 16384, 65536)
_SECONDS = 0.05
"""Measuring time per batch size; if one run takes longer, no larger batch is tried."""
_LONGEST = 3600.0
"""Cached run times of this or more are ignored as damaged."""
_SLACK = 1.03
"""Accepted slowdown per row against the best batch size: smaller ones need less memory."""


@dataclass(frozen=True)
class Speed:
    """Measured run times of one graph.

    Args:
        seconds: shortest time of a run, by number of rows: the minimum is least disturbed by
            other load on the machine.
    """

    seconds: dict[int, float]

    @property
    def max_batch(self) -> int:
        """The smallest batch size whose time per row is near the best."""
        per_row = {rows: taken / rows for rows, taken in self.seconds.items()}
        best = min(per_row.values())
        return min(rows for rows, each in per_row.items() if each <= _SLACK * best)


def known_speed(variant: Variant, session: Session, settings: Settings) -> Speed | None:
    """The cached measurement of this machine; None if there is none or it is invalid."""
    value = cache.read(_key(variant, session, settings))
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
    variant: Variant, session: Session, settings: Settings, inputs: Mapping[str, Array]
) -> Speed:
    """Time a graph on its golden inputs at growing batch sizes, and cache the result.

    It stops when a run takes too long, the time per row grows or memory runs out.

    Args:
        variant: the graph's entry in the manifest.
        session: the open graph.
        settings: of the session.
        inputs: golden inputs, whose rows are repeated.

    Raises:
        RunError: the graph cannot run.
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
    cache.write(_key(variant, session, settings), asdict(speed))
    return speed


def by_speed(speeds: Mapping[str, Speed]) -> list[str]:
    """The names, fastest first: by geometric mean over the batch sizes that all share."""
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


def _key(variant: Variant, session: Session, settings: Settings) -> dict[str, Any]:
    given = settings.session_options
    return {
        "graph": variant.sha256,
        "onnxruntime": ort.__version__,
        "provider": session.providers[0],
        "threads": settings.threads or usable_cores(),
        "session_options": {name: str(given[name]) for name in sorted(given)},
        "processor": cpu_model(),
    }
