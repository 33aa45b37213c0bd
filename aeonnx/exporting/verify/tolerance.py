"""The tolerance of a graph, measured for each output on each kind of inputs.

float64 torch is the reference. The noise floor is the larger of two errors against it: that of
float32 torch, and that of a simulated float32 in which every operator rounds and sums are running
sums (`Reference.perturbed`). The graph may differ from the reference and from eager float32 torch
by at most

    FACTOR * floor, and for an output with a range
    min(FACTOR * floor, max(CEILING * width of the range, 3 * floor)).

where the floor is at least float32's spacing at the largest value. The ceiling yields to 3 * floor
where float32 itself cannot keep a third of it: two roundings of one sum differ by up to the sum of
their errors. Each kind of inputs has its own tolerance, so that edge
values do not widen the tolerance of real images. docs/parity.md has the measurements behind these
numbers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from aeonnx.bundle import TensorSpec

__all__ = ["CEILING", "FACTOR", "LARGEST_FLOOR", "ErrorStats", "Limit", "measured"]

FACTOR = 4.0
CEILING = 1e-6
LARGEST_FLOOR = 1e-3
"""Largest floor, as a share of the output's spread: above it the comparison is inconclusive."""

_CEILING_FACTOR = 3.0


@dataclass(frozen=True)
class ErrorStats:
    """The largest differences of one output on one kind of inputs.

    Args:
        absolute: |graph - float32 torch|.
        relative: the same, relative to float32 torch.
        error: |graph - float64 torch|.
        floor: |float32 - float64 torch|, the noise floor.
        resolution: float32's spacing at the largest value.
    """

    absolute: float
    relative: float
    error: float
    floor: float
    resolution: float


Limit = Callable[[TensorSpec, ErrorStats], float]
"""(output, its differences) -> the tolerance."""


def measured(spec: TensorSpec, stats: ErrorStats) -> float:
    """The tolerance of a float32 graph; the formula is in the module's docstring."""
    # float32 cannot resolve less than its last place, even if torch happened to be exact.
    floor = max(stats.floor, stats.resolution)
    if spec.range is None:
        return FACTOR * floor
    low, high = spec.range
    return min(FACTOR * floor, max(CEILING * (high - low), _CEILING_FACTOR * floor))
