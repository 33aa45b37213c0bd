"""Compares the outputs of a graph with reference outputs, and reports the result."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from aeonnx.bundle import TensorSpec, shape_at
from aeonnx.runtime.session import Array

__all__ = [
    "OUT_OF_RANGE",
    "Check",
    "Report",
    "differences",
    "farthest",
    "is_categorical",
    "malformed",
    "merged",
]


OUT_OF_RANGE = "expected values in "
"""What the line of an output says that leaves the range which it declares."""
_LAST_PLACES = 4


@dataclass(frozen=True)
class Check:
    """The result for one output of one part.

    Args:
        part: name of the part.
        precision: name of the variant, such as "fp32".
        output: name of the output.
        max_abs_diff: largest |difference| from eager torch; of an output of whole numbers, such as
            codes, the largest share of a row's values that differ, see `differences`.
        max_rel_diff: the same, relative to eager torch.
        tolerance: largest allowed |difference|, or share.
        error: largest |difference| from float64 torch; None if not compared.
        noise_floor: difference that rounding to float32 alone causes; None if not compared.
        inputs: kind of inputs, such as "golden".
        rows: number of input rows.
        batch: batch size at which the largest difference occurred.
        sizes: of the other dynamic axes of the graph.
        categorical: whether the differences are shares.
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
    sizes: Mapping[str, int] = field(default_factory=dict)
    categorical: bool = False

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
    def _where(self) -> str:
        sizes = {"batch": self.batch, **self.sizes}
        return ", ".join(f"{name} {size}" for name, size in sizes.items())

    @property
    def failure(self) -> str:
        """One line: output, differences, where, tolerance, and the tolerance that would pass."""
        if self.categorical:
            return (
                f"{self.part}.{self.output} ({self.precision}): {self.needed:.3%} of the values of "
                f"a row differ from torch's on {self.inputs} inputs at {self._where}, at most "
                f"{self.tolerance:.3%} may"
            )
        return (
            f"{self.part}.{self.output} ({self.precision}): max abs {self.max_abs_diff:.3g}, "
            f"max rel {self.max_rel_diff:.3g} on {self.inputs} inputs at {self._where}, "
            f"tolerance {self.tolerance:.3g}; it would pass at {self.needed:.3g}"
        )


@dataclass(frozen=True)
class Report:
    """All checks, and a line for every failure and every graph that was not run.

    Args:
        checks: one for each output that was compared.
        failures: outputs that differ and runs that failed.
        not_run: graphs that this machine cannot run, so nothing is known about them.
    """

    checks: tuple[Check, ...]
    failures: tuple[str, ...]
    not_run: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether every graph ran and no check failed."""
        return not (self.failures or self.not_run)

    def to_json(self) -> dict[str, Any]:
        """The report as JSON values, for `--json`."""
        checks = [asdict(check) | {"passed": check.passed} for check in self.checks]
        return {
            "passed": self.passed,
            "checks": checks,
            "failures": list(self.failures),
            "not_run": list(self.not_run),
        }


def merged(reports: Sequence[Report]) -> Report:
    """Several reports combined into one."""
    return Report(
        tuple(check for report in reports for check in report.checks),
        tuple(failure for report in reports for failure in report.failures),
        tuple(dict.fromkeys(line for report in reports for line in report.not_run)),
    )


def malformed(
    specs: Sequence[TensorSpec], sizes: Mapping[str, int], outputs: Mapping[str, Array]
) -> list[str]:
    """Errors in outputs that need no reference: names, dtypes, shapes, NaN, range.

    Args:
        specs: expected outputs.
        sizes: of the axes of the inputs, see `interface.sizes_of`.
        outputs: arrays by name, as the graph returned them.

    Returns:
        One line per error; empty if there is none.
    """
    expected = [spec.name for spec in specs]
    if list(outputs) != expected:
        return [f"outputs: expected {expected}, got {list(outputs)}"]
    found = []
    for spec in specs:
        value = outputs[spec.name]
        shape = [*shape_at(spec.shape, sizes)]
        if str(value.dtype) != spec.dtype:
            found.append(f"{spec.name}: expected {spec.dtype}, got {value.dtype}")
        elif list(value.shape) != shape:
            found.append(f"{spec.name}: expected shape {shape}, got {list(value.shape)}")
        elif not np.isfinite(value).all():
            found.append(f"{spec.name}: NaN or infinite values at batch {len(value)}")
        elif spec.range and _outside(value, spec.range):
            low, high = spec.range
            found.append(
                f"{spec.name}: {OUT_OF_RANGE}[{low:g}, {high:g}], got "
                f"{value.min():.9g} to {value.max():.9g}"
            )
    return found


def farthest(lines: Sequence[str]) -> list[str]:
    """Lines of failures with one alone of each output that leaves its range: the farthest.

    Every batch that was run has such a line.
    """
    worst: dict[str, tuple[float, str]] = {}
    for line in lines:
        found = _OUT_OF_RANGE.fullmatch(line)
        low, high, least, most = map(float, found.groups()[1:]) if found else (0.0,) * 4
        beyond, key = max(low - least, most - high), found[1] if found else line
        worst[key] = max(worst.get(key, (beyond, line)), (beyond, line), key=lambda item: item[0])
    return [line for _, line in worst.values()]


_OUT_OF_RANGE = re.compile(rf"(.*: {OUT_OF_RANGE})\[(\S+), (\S+)\], got (\S+) to (\S+)")


def _outside(value: Array, bounds: tuple[float, float]) -> bool:
    """Whether values leave a range by more than rounding does.

    Engines round tanh and similar functions, so a value may lie slightly outside the bound:
    4 float32 ULPs of the bound with the larger magnitude are allowed.
    """
    slack = 0.0
    if np.issubdtype(value.dtype, np.floating):
        slack = _LAST_PLACES * float(np.spacing(np.float32(max(map(abs, bounds)))))
    return bool(value.min() < bounds[0] - slack or value.max() > bounds[1] + slack)


def is_categorical(dtype: str) -> bool:
    """Whether values of this dtype are codes, labels or the like, whose distances mean nothing.

    uint8 values are pixels.
    """
    return dtype in ("int32", "int64", "bool")


def differences(
    actual: Array, expected: Array, *, categorical: bool = False
) -> tuple[Array, Array]:
    """Largest absolute and largest relative |actual - expected| of each row, float64 [rows].

    The relative one ignores expected values below a millionth of the largest: dividing by them
    would say nothing. If `categorical`, both are the share of the row's values that differ.
    """
    rows = len(expected)
    actual, expected = (value.astype(np.float64).reshape(rows, -1) for value in (actual, expected))
    if categorical:
        share = (actual != expected).mean(1) if actual.size else np.zeros(rows)
        return share, share
    difference, size = np.abs(actual - expected), np.abs(expected)
    counted = size > 1e-6 * size.max(initial=0.0)
    relative = np.divide(difference, size, out=np.zeros_like(difference), where=counted)
    return difference.max(1, initial=0.0), relative.max(1, initial=0.0)
