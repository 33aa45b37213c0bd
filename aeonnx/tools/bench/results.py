"""What was measured."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from aeonnx.tools.bench.options import Case
from aeonnx.tools.bench.peak import Peak

__all__ = ["OURS", "Benchmark", "Cell", "Ratio", "Timing"]

OURS = "aeonnx"
"""The contender that the others are held against."""


@dataclass(frozen=True)
class Timing:
    """One contender in one cell.

    Args:
        load_ms: from its files to ready, the median of what was measured.
        first_ms: the first call after that, likewise.
        p50_ms, p99_ms: percentiles of single calls, warm.
        rows_per_s: rows over the time in these calls.
        calls: how many.
    """

    load_ms: float
    first_ms: float
    p50_ms: float
    p99_ms: float
    rows_per_s: float
    calls: int


@dataclass(frozen=True)
class Ratio:
    """Time of another contender over aeonnx's: above 1, aeonnx is the faster one.

    Args:
        median: over the rounds, of medians within each.
        low, high: quartiles over the rounds.
    """

    median: float
    low: float
    high: float


@dataclass(frozen=True)
class Cell:
    """A part in a variant, at a batch, on a provider, with threads.

    Args:
        case: which.
        ratios: of the other contenders, by name.
        timings: of all contenders, by name.
        not_measured: why a contender did not run, by its name.
        flops_share: twice aeonnx's multiply-adds per second, over the machine's peak; None where
            these cannot be counted.
        bytes_share: bytes of the file, the inputs and the outputs per second, over the peak of the
            device's memory; None on the CPU.
        peak: what the machine reached with the same threads.
    """

    case: Case
    ratios: dict[str, Ratio]
    timings: dict[str, Timing]
    not_measured: dict[str, str]
    flops_share: float | None
    bytes_share: float | None
    peak: Peak


@dataclass(frozen=True)
class Benchmark:
    """All cells.

    Args:
        machine: what it ran on, in one line.
        load: jobs that ran or waited to run in the minute before, of other programs too.
        bundle: what was measured, in one line.
        seconds: for each contender in each cell.
        rounds: in which they took turns.
        cells: in the order of measuring.
    """

    machine: str
    load: float
    bundle: str
    seconds: float
    rounds: int
    cells: tuple[Cell, ...]

    def to_json(self) -> dict[str, Any]:
        """Everything, cases spread into their cells."""
        found = asdict(self)
        found["cells"] = [{**cell.pop("case"), **cell} for cell in found["cells"]]
        return found
