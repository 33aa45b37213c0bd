"""Comparing what a graph gave with what it should have given, and reporting it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from aeonnx.manifest import BATCH, TensorSpec
from aeonnx.runtime.session import Array

__all__ = [
    "Check",
    "Report",
    "malformed",
    "max_differences",
    "merged",
]


@dataclass(frozen=True)
class Check:
    """The result for one output of one part.

    Args:
        part: name of the part.
        precision: "fp32" and the like.
        output: name of the output.
        max_abs_diff: largest |difference| from eager torch.
        max_rel_diff: the same, relative to eager torch.
        tolerance: the largest that is allowed.
        error: largest |difference| from float64 torch, where that was compared.
        noise_floor: what rounding to float32 alone does, where that was compared.
    """

    part: str
    precision: str
    output: str
    max_abs_diff: float
    max_rel_diff: float
    tolerance: float
    error: float | None = None
    noise_floor: float | None = None

    @property
    def needed(self) -> float:
        """The smallest tolerance that would pass."""
        return max(self.max_abs_diff, self.error or 0.0)

    @property
    def passed(self) -> bool:
        """Whether every difference is within the tolerance."""
        return self.needed <= self.tolerance

    @property
    def failure(self) -> str:
        """One line: part, output, differences, tolerance, and the tolerance that would pass."""
        return (
            f"{self.part}.{self.output} ({self.precision}): max abs {self.max_abs_diff:.3g}, "
            f"max rel {self.max_rel_diff:.3g}, tolerance {self.tolerance:.3g}; "
            f"it would pass at {self.needed:.3g}"
        )


@dataclass(frozen=True)
class Report:
    """All checks, and every failure in words: what is not in `failures` passed."""

    checks: tuple[Check, ...]
    failures: tuple[str, ...]

    @property
    def passed(self) -> bool:
        """Whether nothing failed."""
        return not self.failures

    def to_json(self) -> dict[str, Any]:
        """The report as plain values, for `--json`."""
        checks = [asdict(check) | {"passed": check.passed} for check in self.checks]
        return {"passed": self.passed, "checks": checks, "failures": list(self.failures)}


def merged(reports: Sequence[Report]) -> Report:
    """One report with the checks and failures of several."""
    return Report(
        tuple(check for report in reports for check in report.checks),
        tuple(failure for report in reports for failure in report.failures),
    )


def malformed(specs: Sequence[TensorSpec], rows: int, outputs: Mapping[str, Array]) -> list[str]:
    """What is wrong with outputs before their values are looked at: names, dtypes, shapes, NaN.

    Args:
        specs: what the outputs should be.
        rows: the batch size that went in.
        outputs: what came out.
    """
    expected = [spec.name for spec in specs]
    if list(outputs) != expected:
        return [f"outputs: expected {expected}, got {list(outputs)}"]
    found = []
    for spec in specs:
        value = outputs[spec.name]
        shape = [rows if size == BATCH else size for size in spec.shape]
        if str(value.dtype) != spec.dtype:
            found.append(f"{spec.name}: expected {spec.dtype}, got {value.dtype}")
        elif list(value.shape) != shape:
            found.append(f"{spec.name}: expected shape {shape}, got {list(value.shape)}")
        elif not np.isfinite(value).all():
            found.append(f"{spec.name}: NaN or infinite values at batch {rows}")
        elif spec.range and (value.min() < spec.range[0] or value.max() > spec.range[1]):
            found.append(
                f"{spec.name}: expected values in [{spec.range[0]:g}, {spec.range[1]:g}], got "
                f"{value.min():g} to {value.max():g}"
            )
    return found


def max_differences(actual: Array, expected: Array) -> tuple[float, float]:
    """Largest absolute and largest relative |actual - expected|, in float64.

    The relative one leaves out values under a millionth of the largest, where it says nothing.
    """
    actual, expected = actual.astype(np.float64), expected.astype(np.float64)
    difference = np.abs(actual - expected)
    size = np.abs(expected)
    counted = size > 1e-6 * size.max(initial=0.0)
    relative = (difference[counted] / size[counted]).max(initial=0.0)
    return float(difference.max(initial=0.0)), float(relative)
