"""The gate: a graph passes only if it is as near to float64 torch as float32 torch itself is.

float64 torch is the truth. The noise floor is float32 torch's own distance from it, or what
float32 loses in running sums where that is more: see `Reference`. The graph, run through
`aeonnx.runtime` at the optimisation level that ships, may be at most `FACTOR` times that floor away
from the truth and from eager float32 torch. On an output in [0, 1] it may also not be more than
`CEILING` away, unless float32 itself cannot keep a third of that: two roundings of one sum differ
by up to the sum of their errors. There is no switch to skip it. docs/parity.md has the
measurements behind these numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from aeonnx.errors import BundleError
from aeonnx.export.verify.reference import Arrays, Reference
from aeonnx.manifest import TensorSpec
from aeonnx.models import Part, Through
from aeonnx.runtime import Check, Report, Session
from aeonnx.runtime.batching import Run
from aeonnx.runtime.compare import malformed, max_differences
from aeonnx.runtime.interface import Interface, batch_of, rows_in, taken
from aeonnx.runtime.session import Array

__all__ = [
    "BATCHES",
    "CEILING",
    "FACTOR",
    "Limit",
    "Seen",
    "Truth",
    "compare",
    "compare_composed",
    "compare_runs",
    "measured",
]

BATCHES = (1, 2, 3, 7, 32)
FACTOR = 4.0
CEILING = 1e-6
_CEILING_FACTOR = 3.0


class Truth(Protocol):
    """What a graph should give; see `Reference`."""

    def single(self, inputs: Mapping[str, Array]) -> Arrays: ...

    def double(self, inputs: Mapping[str, Array]) -> Arrays: ...

    def rounded(self, inputs: Mapping[str, Array]) -> Arrays: ...


@dataclass
class Seen:
    """The largest differences of one output so far."""

    absolute: float = 0.0
    relative: float = 0.0
    error: float = 0.0
    floor: float = 0.0
    resolution: float = 0.0  # float32's spacing at the largest value

    def add(self, graph: Array, single: Array, double: Array, rounded: Array) -> None:
        absolute, relative = max_differences(graph, single)
        self.absolute, self.relative = max(self.absolute, absolute), max(self.relative, relative)
        self.error = max(self.error, max_differences(graph, double)[0])
        for other in (single, rounded):
            self.floor = max(self.floor, max_differences(other, double)[0])
        spacing = float(np.spacing(np.float32(np.abs(double).max())))
        self.resolution = max(self.resolution, spacing)


Limit = Callable[[TensorSpec, Seen], float]


def measured(spec: TensorSpec, seen: Seen) -> float:
    """The tolerance of a float32 graph: see above."""
    # No answer can be finer than float32's last place, even if torch happened to hit it.
    floor = max(seen.floor, seen.resolution)
    if spec.range != (0.0, 1.0):
        return FACTOR * floor
    return min(FACTOR * floor, max(CEILING, _CEILING_FACTOR * floor))


def compare(name: str, part: Part, session: Session, rows: Mapping[str, Array]) -> Report:
    """Compare the graph in `session` with eager torch.

    In order: names, axes and dtypes of the graph; then at every batch of `BATCHES` the outputs'
    names, dtypes, shapes and finiteness, and their values; then rows alone against the same rows
    in a batch. All failures are collected.

    Args:
        name: of the part.
        part: the original.
        session: the graph.
        rows: input arrays by name, at least as many rows as the largest batch.
    """
    failures = session.interface_mismatches(part.inputs, part.outputs)
    if failures:
        return Report((), tuple(f"{name}: {failure}" for failure in failures))
    return compare_runs(name, part, session.run, Reference(part), rows)


def compare_composed(
    encoder: Part, decoder: Part, sessions: Mapping[str, Session], rows: Mapping[str, Array]
) -> Report:
    """Compare decode(encode(x)) through both graphs with the same in eager torch."""

    def graph(inputs: Mapping[str, Array]) -> Arrays:
        latent = sessions["encoder"].run(inputs)[encoder.outputs[0].name]
        return sessions["decoder"].run({decoder.inputs[0].name: latent})

    whole = Part(Through(encoder.module, decoder.module), encoder.inputs, decoder.outputs)
    return compare_runs("decoder(encoder)", whole, graph, Reference(whole), rows)


def compare_runs(
    name: str,
    part: Interface,
    graph: Run,
    reference: Truth,
    rows: Mapping[str, Array],
    *,
    variant: str = "fp32",
    limit: Limit = measured,
) -> Report:
    """The half of `compare` that looks at outputs: of any functions of the same inputs.

    Args:
        name: of the part.
        part: names and shapes of what goes in and comes out.
        graph: what is judged.
        reference: what it should give.
        rows: input arrays by name.
        variant: for the report.
        limit: tolerance of an output, from what was seen of it.
    """
    worst = {spec.name: Seen() for spec in part.outputs}
    failures: list[str] = []
    first: dict[int, Arrays] = {}  # by batch size, what the graph gave for the first rows
    for batch, start in _batches(part, rows_in(part, rows)):
        inputs = taken(part, rows, slice(start, start + batch))
        try:
            outputs = graph(inputs)
        except BundleError as error:
            failures.append(f"{name}: {error}")
            continue
        problems = malformed(part.outputs, rows_in(part, inputs), outputs)
        failures += [f"{name}: {problem}" for problem in problems]
        if problems:
            continue
        if start == 0:
            first[batch] = outputs
        single, double = reference.single(inputs), reference.double(inputs)
        rounded = reference.rounded(inputs)
        for key, value in outputs.items():
            worst[key].add(value, single[key], double[key], rounded[key])
    checks = tuple(
        _check(name, variant, spec.name, worst[spec.name], limit(spec, worst[spec.name]))
        for spec in part.outputs
    )
    failures += [check.failure for check in checks if not check.passed]
    failures += _row_differences(first, checks)
    return Report(checks, tuple(dict.fromkeys(failures)))


def _batches(part: Interface, rows: int) -> list[tuple[int, int]]:
    """(batch size, first row): the smaller batches from a share of the rows, the largest from all.

    Rows that do not fill a last batch go alone, as some other size; a graph that is fixed to a size
    gets that one alone.
    """
    size = batch_of(part)
    if size is not None:
        return [(size, start) for start in range(0, rows - size + 1, size)]
    shares = {batch: min(rows, 8 * batch) for batch in BATCHES}
    shares[max(BATCHES)] = rows
    return [(batch, start) for batch, end in shares.items() for start in range(0, end, batch)]


def _row_differences(first: Mapping[int, Arrays], checks: Sequence[Check]) -> list[str]:
    """A row alone must be what the same row is as the first of a batch."""
    if 1 not in first:  # fixed to another size, or a failure already
        return []
    found = []
    for check in checks:
        alone = first[1][check.output]
        for batch, outputs in first.items():
            difference, _ = max_differences(outputs[check.output][:1], alone)
            if difference > check.tolerance:
                found.append(
                    f"{check.part}.{check.output}: a row alone and the same row in a batch of "
                    f"{batch} differ by {difference:.3g}, tolerance {check.tolerance:.3g}"
                )
    return found


def _check(name: str, variant: str, output: str, seen: Seen, tolerance: float) -> Check:
    return Check(
        part=name,
        precision=variant,
        output=output,
        max_abs_diff=seen.absolute,
        max_rel_diff=seen.relative,
        tolerance=tolerance,
        error=seen.error,
        noise_floor=seen.floor,
    )
