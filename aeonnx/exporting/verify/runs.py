"""Compare a graph with its reference, on the same inputs and at every batch size.

Where float32's noise floor is more than `LARGEST_FLOOR` of an output's spread, or changes a code, a
correct graph cannot be told from a wrong one: a few such inputs are judged separately, many are a
failure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from types import MappingProxyType
from typing import Protocol

import numpy as np

from aeonnx.bundle import BATCH, TensorSpec
from aeonnx.errors import BundleError, DeviceMemoryError, RunError
from aeonnx.exporting.verify.batches import batches, drawn, in_chunks
from aeonnx.exporting.verify.columns import ILL_CONDITIONED, ColumnDifferences
from aeonnx.exporting.verify.effort import FULL, Effort
from aeonnx.exporting.verify.probes import RANDOM, REAL, Rows
from aeonnx.exporting.verify.reference import Arrays
from aeonnx.exporting.verify.tolerance import FACTOR, LARGEST_FLOOR, ErrorStats, Limit, measured
from aeonnx.runtime import Check, Report
from aeonnx.runtime.batching import Run
from aeonnx.runtime.compare import differences, is_categorical, malformed
from aeonnx.runtime.interface import Interface, rows_in, select_rows
from aeonnx.runtime.session import Array

__all__ = [
    "GOLDEN_SHARE",
    "ILL_CONDITIONED",
    "OTHER_CODES",
    "Compared",
    "ReferenceFn",
    "compare_runs",
]

GOLDEN_SHARE = 0.8
"""Share of the tolerance that golden rows of a lossy graph need: other machines round otherwise."""

OTHER_CODES = "other codes"
"""The kind of inputs for which a lossy graph gives more other codes than a golden row may have."""

_ILL_SHARE = 1 / 8  # largest share of the real or random inputs that may be ill-conditioned
_OTHER_SHARE = 1 / 8  # largest share of the inputs that may be of the kind `OTHER_CODES`
_NO_VALUE = 1e-12  # share of a row that is less than one of its values


class ReferenceFn(Protocol):
    """What outputs of a graph are compared with, as functions of its inputs; see `Reference`."""

    def single(self, inputs: Mapping[str, Array]) -> Arrays: ...

    def double(self, inputs: Mapping[str, Array]) -> Arrays: ...

    def perturbed(self, inputs: Mapping[str, Array], draw: int = 0) -> Arrays: ...


@dataclass(frozen=True)
class Compared(Report):
    """A report, and the kind of each row: that of `Rows`, `ILL_CONDITIONED` or `OTHER_CODES`."""

    kinds: tuple[str, ...] = ()


def compare_runs(
    name: str,
    part: Interface,
    graph: Run,
    reference: ReferenceFn,
    rows: Rows,
    *,
    variant: str = "fp32",
    limit: Limit = measured,
    sizes: Mapping[str, int] = MappingProxyType({}),
    effort: Effort = FULL,
    lossy: bool = False,
) -> Compared:
    """Compare the outputs of a graph with its reference.

    In order: at every batch size of `batches` the outputs' names, dtypes, shapes and finiteness,
    and their values; then a row alone against the same row in batches. All failures are collected.

    Args:
        name: name of the part.
        part: names and shapes of inputs and outputs; only its axis of rows is dynamic.
        graph: runs the graph that is judged.
        reference: what its outputs are compared with.
        rows: the inputs.
        variant: name of the variant, for the report.
        limit: the tolerance of an output, from its measured differences.
        sizes: of the axes that are dynamic in the graph, for the report.
        effort: how many rows run at once, and how often rounding is simulated.
        lossy: whether the graph may give other codes than torch for a few inputs: their share is
            limited by `quality`.

    Raises:
        DeviceMemoryError: the graph runs out of the device's memory.
    """
    double = in_chunks(part, reference.double, effort.at_once)(rows.values)
    found = {spec.name: _Differences(spec, double[spec.name]) for spec in part.outputs}
    for draw in range(max(effort.draws, effort.edge_draws)):
        places = drawn(part, rows.kinds, draw, effort)
        if not len(places):
            break
        inputs = select_rows(part, rows.values, places)
        shaken = partial(reference.perturbed, draw=draw)
        for key, value in in_chunks(part, shaken, effort.at_once)(inputs).items():
            found[key].add_floor(places, value, simulated=True)
    failures: list[str] = []
    alone = _Alone()
    for places in batches(part, len(rows.kinds), effort):
        inputs = select_rows(part, rows.values, places)
        single = reference.single(inputs)
        for key, value in single.items():
            found[key].add_floor(places, value)
        try:
            outputs = graph(inputs)
        except DeviceMemoryError:
            raise
        except (BundleError, RunError) as error:
            failures.append(f"{name} ({variant}): {error}")
            continue
        problems = malformed(part.outputs, {BATCH: rows_in(part, inputs)}, outputs)
        failures += [f"{name}: {problem}" for problem in problems]
        if problems:
            continue
        for key, value in outputs.items():
            found[key].add(places, value, single[key])
        alone.add(places, outputs, single)
    kinds = _conditioned(rows.kinds, [*found.values()])
    if lossy:
        kinds, lines = _other_codes(f"{name} ({variant})", kinds, [*found.values()], limit)
        failures += lines
    checks = [
        replace(_check(name, variant, found[spec.name], kinds, kind, limit), sizes=dict(sizes))
        for spec in part.outputs
        for kind in dict.fromkeys(kinds)
    ]
    failures += _ill_conditioned(name, rows.kinds, kinds, [*found.values()])
    failures += [check.failure for check in checks if not check.passed]
    for item in found.values():
        if item.columns:
            failures += item.columns.failures(name, kinds, limit)
    failures += alone.failures(name, found, checks, kinds)
    return Compared(tuple(checks), tuple(dict.fromkeys(failures)), kinds=kinds)


class _Differences:
    """The differences of one output, row by row."""

    def __init__(self, spec: TensorSpec, double: Array) -> None:
        self.spec = spec
        self.is_float = np.issubdtype(np.dtype(spec.dtype), np.floating)
        self.is_categorical = is_categorical(spec.dtype)
        self.double = double.astype(np.float64)
        count = len(double)
        self.floor, self.absolute, self.relative, self.error = np.zeros((4, count))
        self.simulated = np.zeros(count)  # the part of the floor that comes from simulated rounding
        self.batch = np.zeros(count, np.int64)  # batch size at the largest difference
        columns = spec.names and self.is_float and not spec.range
        self.columns = ColumnDifferences(spec, self.double) if columns else None

    def add_floor(self, places: Array, value: Array, *, simulated: bool = False) -> None:
        """Raise the floor of some rows by a float32 output, or by a simulated one."""
        lost, _ = differences(value, self.double[places], categorical=self.is_categorical)
        self.floor[places] = np.maximum(self.floor[places], lost)
        if self.columns:
            self.columns.add_floor(places, value)
        if simulated:
            self.simulated[places] = np.maximum(self.simulated[places], lost)

    def add(self, places: Array, graph: Array, single: Array) -> None:
        """Add the outputs of the graph and of float32 torch for some rows."""
        if self.columns:
            self.columns.add(places, graph, single)
        categorical = self.is_categorical
        absolute, relative = differences(graph, single, categorical=categorical)
        error, _ = differences(graph, self.double[places], categorical=categorical)
        before = np.maximum(self.absolute[places], self.error[places])
        self.batch[places] = np.where(
            np.maximum(absolute, error) > before, len(places), self.batch[places]
        )
        for kept, new in (
            (self.absolute, absolute),
            (self.relative, relative),
            (self.error, error),
        ):
            kept[places] = np.maximum(kept[places], new)

    def of(self, chosen: Array) -> ErrorStats:
        """The largest differences of the rows where `chosen` is true."""
        absolute, relative, error, floor = (
            float(number[chosen].max(initial=0.0))
            for number in (self.absolute, self.relative, self.error, self.floor)
        )
        if self.is_categorical:
            return ErrorStats(absolute, relative, error, floor, _NO_VALUE)
        largest = np.float32(np.abs(self.double[chosen]).max(initial=0.0))
        return ErrorStats(absolute, relative, error, floor, float(np.spacing(largest)))

    def spread(self, kinds: Sequence[str]) -> float:
        """Range of the values on real and random inputs; without any, on all inputs.

        At least a hundredth of the largest absolute value: an output may be constant. 1 for codes,
        whose differences are shares.
        """
        if self.is_categorical:
            return 1.0
        chosen = [kind in (REAL, RANDOM) for kind in kinds]
        values = self.double[chosen] if any(chosen) else self.double
        return float(max(np.ptp(values), 0.01 * np.abs(values).max())) if values.size else 0.0


def _conditioned(kinds: Sequence[str], found: Sequence[_Differences]) -> tuple[str, ...]:
    """The kinds, with `ILL_CONDITIONED` where the floor is too large a share of some output."""
    ill = np.zeros(len(kinds), bool)
    for item in found:
        if item.is_float:
            ill |= item.floor > LARGEST_FLOOR * item.spread(kinds)
        elif item.is_categorical:  # a pixel, not so, can only change by a whole step
            ill |= item.floor > 0  # a code that changes is another one, however near
    return tuple(
        ILL_CONDITIONED if bad else kind for kind, bad in zip(kinds, ill.tolist(), strict=True)
    )


def _other_codes(
    name: str, kinds: Sequence[str], found: Sequence[_Differences], limit: Limit
) -> tuple[tuple[str, ...], list[str]]:
    """The kinds, with `OTHER_CODES` for inputs that cannot be golden; a line if they are many."""
    other = np.zeros(len(kinds), bool)
    for item in found:
        if item.is_categorical:
            most = GOLDEN_SHARE * limit(item.spec, item.of(np.ones(len(kinds), bool)))
            other |= np.maximum(item.absolute, item.error) > most
    lines = []
    if other.sum() > max(1, _OTHER_SHARE * len(kinds)):
        lines.append(
            f"{name}: for {other.sum()} of {len(kinds)} inputs, more codes differ from torch's "
            "than may in a golden row"
        )
    own = zip(kinds, other.tolist(), strict=True)
    return tuple(OTHER_CODES if differs else kind for kind, differs in own), lines


def _ill_conditioned(
    name: str, before: Sequence[str], after: Sequence[str], found: Sequence[_Differences]
) -> list[str]:
    """A line for each kind of inputs of which too many are ill-conditioned."""
    lines = []
    for kind in (REAL, RANDOM):
        places = [i for i, own in enumerate(before) if own == kind]
        ill = [i for i in places if after[i] == ILL_CONDITIONED]
        if len(ill) <= _ILL_SHARE * len(places):
            continue
        worst = max(found, key=lambda item: item.floor[ill].max() / (item.spread(before) or 1))
        if worst.is_categorical:
            lines.append(
                f"{name}.{worst.spec.name}: {len(ill)} of {len(places)} {kind} inputs are "
                f"ill-conditioned: there up to {worst.floor[ill].max():.2%} of the values of a row "
                "differ between float32 torch and float64 torch, so that a right graph cannot be "
                "told from a wrong one. Look for a choice among equal values"
            )
            continue
        lines.append(
            f"{name}.{worst.spec.name}: {len(ill)} of {len(places)} {kind} inputs are "
            f"ill-conditioned: there float32 torch is off by up to {worst.floor[ill].max():.3g} "
            f"from float64 torch, and the output spreads over {worst.spread(before):.3g}, so that "
            "a right graph cannot be told from a wrong one. Look for a difference of nearly equal "
            "numbers, a division by nearly 0, a choice among equal values, or a state that changes"
        )
    return lines


def _check(
    name: str, variant: str, item: _Differences, kinds: Sequence[str], kind: str, limit: Limit
) -> Check:
    chosen = np.array([own == kind for own in kinds])
    stats = item.of(chosen)
    worst = int(np.argmax(np.where(chosen, np.maximum(item.absolute, item.error), -1.0)))
    return Check(
        part=name,
        precision=variant,
        output=item.spec.name,
        max_abs_diff=stats.absolute,
        max_rel_diff=stats.relative,
        tolerance=1.0 if kind == OTHER_CODES and item.is_categorical else limit(item.spec, stats),
        error=stats.error,
        noise_floor=stats.floor,
        inputs=kind,
        rows=int(chosen.sum()),
        batch=int(item.batch[worst]) or 1,
        categorical=item.is_categorical,
    )


class _Alone:
    """Outputs of the first row, alone and in batches, which must be equal within the tolerance."""

    def __init__(self) -> None:
        self._place: int | None = None
        self._graph: dict[int, Arrays] = {}  # by batch size
        self._torch: dict[int, Arrays] = {}

    def add(self, places: Array, graph: Arrays, single: Arrays) -> None:
        if self._place is None:
            self._place = int(places[0])
        if places[0] == self._place:
            self._graph[len(places)], self._torch[len(places)] = graph, single

    def failures(
        self,
        name: str,
        found: Mapping[str, _Differences],
        checks: Sequence[Check],
        kinds: Sequence[str],
    ) -> list[str]:
        if 1 not in self._graph or self._place is None:  # fixed batch size, or failed before
            return []
        lines = []
        kind = kinds[self._place]
        tolerances = {check.output: check.tolerance for check in checks if check.inputs == kind}
        for key, tolerance in tolerances.items():
            item = found[key]
            # Rounding may be large here; a larger difference means that the part mixes rows.
            rounding = FACTOR * float(item.simulated[self._place])
            mixed = max(rounding, LARGEST_FLOOR * item.spread(kinds))
            if not item.is_float:
                mixed = max(mixed, tolerance)
            for whose, runs, most in (
                ("", self._graph, tolerance),
                ("eager torch: ", self._torch, mixed),
            ):
                for batch, outputs in runs.items():
                    pair = outputs[key][:1], runs[1][key][:1]
                    difference = differences(*pair, categorical=item.is_categorical)[0].max()
                    if difference > most:
                        lines.append(
                            f"{name}.{key}: {whose}a row alone and the same row in a batch of "
                            f"{batch} differ by {difference:.3g}, tolerance {most:.3g}"
                        )
        return lines
