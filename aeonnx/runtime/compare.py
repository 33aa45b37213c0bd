"""Comparing what a graph gave with what it should have given, and reporting it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from aeonnx.bundle import BATCH, TensorSpec
from aeonnx.runtime.session import Array

__all__ = [
    "Check",
    "Report",
    "differences",
    "malformed",
    "merged",
]


_LAST_PLACES = 4


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
        inputs: the kind of inputs that it is about.
        rows: how many of these.
        batch: at which the largest difference was seen.
    """

    part: str
    precision: str
    output: str
    max_abs_diff: float
    max_rel_diff: float
    tolerance: float
    error: float | None = None
    noise_floor: float | None = None
    inputs: str = "golden"
    rows: int = 0
    batch: int = 1

    @property
    def needed(self) -> float:
        """The smallest tolerance that would pass."""
        differences = (self.max_abs_diff, self.error or 0.0)
        return math.inf if any(map(math.isnan, differences)) else max(differences)

    @property
    def passed(self) -> bool:
        """Whether every difference is within the tolerance."""
        return self.needed <= self.tolerance

    @property
    def failure(self) -> str:
        """One line: output, differences, where, tolerance, and the tolerance that would pass."""
        return (
            f"{self.part}.{self.output} ({self.precision}): max abs {self.max_abs_diff:.3g}, "
            f"max rel {self.max_rel_diff:.3g} on {self.inputs} inputs at batch {self.batch}, "
            f"tolerance {self.tolerance:.3g}; it would pass at {self.needed:.3g}"
        )


@dataclass(frozen=True)
class Report:
    """All checks, and every failure in words: what is in neither of the others passed.

    Args:
        checks: one for each output that was compared.
        failures: what differs, or stopped.
        not_run: what this machine cannot run, and so says nothing of.
    """

    checks: tuple[Check, ...]
    failures: tuple[str, ...]
    not_run: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether everything ran, and nothing failed."""
        return not (self.failures or self.not_run)

    def to_json(self) -> dict[str, Any]:
        """The report as plain values, for `--json`."""
        checks = [asdict(check) | {"passed": check.passed} for check in self.checks]
        return {
            "passed": self.passed,
            "checks": checks,
            "failures": list(self.failures),
            "not_run": list(self.not_run),
        }


def merged(reports: Sequence[Report]) -> Report:
    """One report with what is in several."""
    return Report(
        tuple(check for report in reports for check in report.checks),
        tuple(failure for report in reports for failure in report.failures),
        tuple(dict.fromkeys(line for report in reports for line in report.not_run)),
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
        elif spec.range and _outside(value, spec.range):
            low, high = spec.range
            found.append(
                f"{spec.name}: expected values in [{low:g}, {high:g}], got "
                f"{value.min():.9g} to {value.max():.9g}"
            )
    return found


def _outside(value: Array, bounds: tuple[float, float]) -> bool:
    """Whether values leave a range by more than rounding does.

    Engines compute tanh and the like to the last place, not to the bound: 4 of float32's last
    places, at the larger end of the range, are no fault.
    """
    slack = 0.0
    if np.issubdtype(value.dtype, np.floating):
        slack = _LAST_PLACES * float(np.spacing(np.float32(max(map(abs, bounds)))))
    return bool(value.min() < bounds[0] - slack or value.max() > bounds[1] + slack)


def differences(actual: Array, expected: Array) -> tuple[Array, Array]:
    """Largest absolute and largest relative |actual - expected| of each row, float64 [rows].

    The relative one leaves out values under a millionth of the largest, where it says nothing.
    """
    rows = len(expected)
    actual, expected = (value.astype(np.float64).reshape(rows, -1) for value in (actual, expected))
    difference, size = np.abs(actual - expected), np.abs(expected)
    counted = size > 1e-6 * size.max(initial=0.0)
    relative = np.divide(difference, size, out=np.zeros_like(difference), where=counted)
    return difference.max(1, initial=0.0), relative.max(1, initial=0.0)
