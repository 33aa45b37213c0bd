"""The results of a benchmark."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from aeonnx.tools.bench.options import Case
from aeonnx.tools.bench.peak import Peak

__all__ = ["OURS", "Benchmark", "Cell", "Ratio", "Timing"]

OURS = "aeonnx"
"""Name of the contender that the others are compared with."""


@dataclass(frozen=True)
class Timing:
    """The timing of one contender in one cell.

    Args:
        load_ms: milliseconds to load its files, median.
        first_ms: milliseconds of the first call after that, median.
        p50_ms, p99_ms: percentiles of the milliseconds of warm calls.
        rows_per_s: rows per second in these calls.
        calls: number of these calls.
    """

    load_ms: float
    first_ms: float
    p50_ms: float
    p99_ms: float
    rows_per_s: float
    calls: int


@dataclass(frozen=True)
class Ratio:
    """Time of another contender divided by aeonnx's: above 1, aeonnx is faster.

    Args:
        median: median over the rounds of the ratio of the medians in each round.
        low, high: quartiles over the rounds.
    """

    median: float
    low: float
    high: float


@dataclass(frozen=True)
class Cell:
    """The results for one part, variant, batch, provider and number of threads.

    Args:
        case: what was measured.
        sizes: sizes of the axes that may have any, beside the rows, by name.
        ratios: ratios of the other contenders, by name.
        timings: timings of all contenders, by name.
        not_measured: why a contender did not run, by name.
        flops_share: twice aeonnx's multiply-adds per second, divided by the machine's peak; None if
            they cannot be counted.
        bytes_share: bytes of the file, the inputs and the outputs per second, divided by the peak
            of the device's memory; None on the CPU.
        peak: the machine's peak with the same number of threads.
    """

    case: Case
    sizes: dict[str, int]
    ratios: dict[str, Ratio]
    timings: dict[str, Timing]
    not_measured: dict[str, str]
    flops_share: float | None
    bytes_share: float | None
    peak: Peak


@dataclass(frozen=True)
class Benchmark:
    """The results of a benchmark.

    Args:
        machine: the machine and versions, in one line.
        load: load average of the machine over the minute before, other programs included.
        bundle: model, architecture and checkpoint id, in one line.
        seconds: time that each contender was measured for in each cell.
        rounds: number of rounds in which the contenders took turns.
        cells: in the order of measurement.
        left_out: a line for each batch that takes too much, with the reason.
    """

    machine: str
    load: float
    bundle: str
    seconds: float
    rounds: int
    cells: tuple[Cell, ...]
    left_out: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """All fields, with those of each case merged into its cell."""
        found = asdict(self)
        found["cells"] = [{**cell.pop("case"), **cell} for cell in found["cells"]]
        return found
