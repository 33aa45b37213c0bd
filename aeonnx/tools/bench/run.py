"""Runs a benchmark."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from math import prod
from typing import Protocol

import numpy as np

from aeonnx import __version__, runtime
from aeonnx._util.optional import require_modules
from aeonnx.bundle import BATCH, Variant
from aeonnx.runtime import Bundle
from aeonnx.runtime.export_advice import require_own
from aeonnx.runtime.interface import stored_sizes
from aeonnx.runtime.providers import CPU
from aeonnx.runtime.tiles import sized_axes
from aeonnx.tools.bench.contenders import Contender, bare, inputs_of, ours
from aeonnx.tools.bench.machine import describe
from aeonnx.tools.bench.measure import ROUNDS, Measured, measure
from aeonnx.tools.bench.options import BenchOptions, Case, cases_of, check
from aeonnx.tools.bench.peak import Peak, measure_peak
from aeonnx.tools.bench.results import OURS, Benchmark, Cell

__all__ = ["Listener", "bench"]

_MOST_SECONDS = 1.0
"""Of a call, from which on a larger batch is left out: it is called about 40 times."""
_MOST_BYTES = 2**30
"""Of the inputs and outputs of a call; what a network keeps between its layers is several times."""


class Listener(Protocol):
    """Receives the progress of a benchmark."""

    def measuring(self, case: Case, number: int, total: int) -> None:
        """Called before cell `number` of `total` is measured; numbers begin at 1."""


def bench(options: BenchOptions, listener: Listener | None = None) -> Benchmark:
    """Measure a bundle beside onnxruntime alone and, with a checkpoint, torch.

    Raises:
        UsageError: a number is out of range, or a part or variant is unknown.
        BundleError: there is no bundle, or it was exported from another checkpoint.
        IntegrityError, OldRuntimeError, GraphError: a graph to measure cannot be opened.
        CheckpointError: the checkpoint is missing, damaged or from another program.
        ProviderError: a provider that is named cannot run here.
        MissingExtraError: a chart needs matplotlib, a checkpoint needs torch.
        OutputError: the chart exists and `force` is not set, or cannot be written.
    """
    check(options)
    bundle = runtime.load(options.bundle)
    cases = cases_of(options, bundle)
    _check_graphs(options, cases)
    if options.checkpoint is not None and options.source.from_source is None:
        require_own(bundle.manifest, "--checkpoint")
    options.source.check("--checkpoint", bundle.manifest.model)
    if options.source.named:
        require_modules("torch", "onnx", extra="train", purpose="measuring a checkpoint")
        from aeonnx.tools.bench import _torch

        _torch.check(bundle, options.source)
    load = os.getloadavg()[0]
    measured: list[tuple[Case, Measured]] = []
    peaks: dict[tuple[str, int, str], Peak] = {}
    speeds: dict[Case, float] = {}
    left_out: list[str] = []
    for number, case in enumerate(cases, start=1):
        if listener:
            listener.measuring(case, number, len(cases))
        reason = None if options.batches else _too_much(bundle, case, speeds)
        if reason:
            left_out.append(reason)
            continue
        # Before each cell, and the best of all is used: other load can lower a single measurement.
        kind = _peak_of(case)
        peaks[kind] = measure_peak(*kind).or_better(peaks.get(kind))
        with _contenders(options, bundle, case) as contenders:
            found = measure(contenders, case.batch, case.threads, options.seconds)
        measured.append((case, found))
        speeds[replace(case, batch=0)] = found[0][OURS].rows_per_s
    cells = [_cell(bundle, case, found, peaks[_peak_of(case)]) for case, found in measured]
    contents = bundle.manifest
    packages = ("onnxruntime", "numpy", *(("torch",) if options.source.named else ()))
    result = Benchmark(
        machine=f"{describe(*packages)}, aeonnx {__version__}",
        load=load,
        bundle=f"{contents.model} ({contents.arch}), {contents.checkpoint_id[:12]}",
        seconds=options.seconds,
        rounds=ROUNDS,
        cells=tuple(cells),
        left_out=tuple(left_out),
    )
    if options.chart:
        from aeonnx.tools.bench.chart import draw

        draw(options.chart, result)
    return result


def _too_much(bundle: Bundle, case: Case, speeds: Mapping[Case, float]) -> str | None:
    """Why a batch is left out, by the speed of the batch before it; None if it is measured."""
    speed = speeds.get(replace(case, batch=0))
    if speed is None:
        return None
    seconds = case.batch / speed
    size = _bytes(bundle.variant(case.part, case.variant), case.batch)
    if seconds <= _MOST_SECONDS and size <= _MOST_BYTES:
        return None
    return (
        f"{case.part} ({case.variant}), batch {case.batch:,} was left out: a call would take about "
        f"{seconds:,.1f} s, for inputs and outputs of {size / 2**20:,.0f} MiB. To measure it, give "
        f"--batch {case.batch}"
    )


def _check_graphs(options: BenchOptions, cases: Sequence[Case]) -> None:
    """Open each graph once, so that one that is missing does not end a benchmark half way."""
    with runtime.load(options.bundle, ["cpu"]) as bundle:
        for part, variant in dict.fromkeys((case.part, case.variant) for case in cases):
            bundle.session(part, variant)


def _peak_of(case: Case) -> tuple[str, int, str]:
    """Arguments of `measure_peak` for a case; on CPUs the peak is always that of float32."""
    half = case.provider != CPU and case.variant.startswith("fp16")
    return case.provider, case.threads, "float16" if half else "float32"


def _cell(bundle: Bundle, case: Case, measured: Measured, peak: Peak) -> Cell:
    timings, ratios, reasons = measured
    variant, speed = bundle.variant(case.part, case.variant), timings[OURS].rows_per_s
    moved = variant.bytes + _bytes(variant, case.batch)
    return Cell(
        case=case,
        sizes=_sizes(variant),
        ratios=ratios,
        timings=timings,
        not_measured=reasons,
        flops_share=None if variant.macs is None else 2 * variant.macs * speed / peak.flops,
        bytes_share=peak.bytes_per_s and speed / case.batch * moved / peak.bytes_per_s,
        peak=peak,
    )


def _sizes(variant: Variant) -> dict[str, int]:
    found = stored_sizes(variant, variant.golden[0])
    return {axis: found[axis] for axis in sized_axes(variant)}


def _bytes(variant: Variant, batch: int) -> int:
    """Bytes of the inputs and outputs of one call, at the sizes of the first golden vectors."""
    stored = variant.golden[0].inputs | variant.golden[0].outputs
    return sum(
        (batch if spec.shape[0] == BATCH else int(spec.shape[0]))
        * prod(stored[spec.name].shape[1:])
        * np.dtype(spec.dtype).itemsize
        for spec in (*variant.inputs, *variant.outputs)
    )


@contextmanager
def _contenders(options: BenchOptions, bundle: Bundle, case: Case) -> Iterator[list[Contender]]:
    inputs = inputs_of(bundle, bundle.variant(case.part, case.variant), case.batch)
    both = [ours(bundle, case, inputs), bare(bundle, case, inputs)]
    if not options.source.named:
        yield both
        return
    from aeonnx.tools.bench import _torch

    with _torch.torch_contenders(bundle, options.source, case) as others:
        yield [*both, *others]
