"""What a graph may be off by: measured for each output on each kind of inputs.

float64 torch is the truth. The noise floor is float32 torch's own distance from it, or what
float32 loses where every operator rounds and sums run, where that is more: see `Reference`. The
graph may be at most `FACTOR` times that floor away from the truth and from eager float32 torch; for
each kind of inputs on its own, so that edge values do not widen what real images are held to. On an
output with a range it may also not be more than `CEILING` of that range's width away, unless
float32 itself cannot keep a third of that: two roundings of one sum differ by up to the sum of
their errors. docs/parity.md has the measurements behind these numbers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from aeonnx.bundle import TensorSpec

__all__ = ["CEILING", "FACTOR", "LARGEST_FLOOR", "ErrorStats", "Limit", "measured"]

FACTOR = 4.0
CEILING = 1e-6
LARGEST_FLOOR = 1e-3
"""Share of an output's spread: where the floor is more, no graph can be told right from wrong."""

_CEILING_FACTOR = 3.0


@dataclass(frozen=True)
class ErrorStats:
    """The largest differences of one output on one kind of inputs."""

    absolute: float
    relative: float
    error: float
    floor: float
    resolution: float  # float32's spacing at the largest value


Limit = Callable[[TensorSpec, ErrorStats], float]


def measured(spec: TensorSpec, stats: ErrorStats) -> float:
    """The tolerance of a float32 graph: see above."""
    # No answer can be finer than float32's last place, even if torch happened to hit it.
    floor = max(stats.floor, stats.resolution)
    if spec.range is None:
        return FACTOR * floor
    low, high = spec.range
    return min(FACTOR * floor, max(CEILING * (high - low), _CEILING_FACTOR * floor))
