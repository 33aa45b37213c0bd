"""Variants of a verified fp32 graph: reduced precision, and uint8 inputs and outputs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import onnx

from aeonnx._util.text import printable
from aeonnx.errors import QualityError
from aeonnx.exporting.parts import (
    ExportContext,
    ExportedGraph,
    open_graph,
    percentiles,
    write_golden,
)
from aeonnx.exporting.passes.pixels import images_of, with_pixels
from aeonnx.exporting.passes.precision import in_precision
from aeonnx.exporting.verify.calibration import Calibration, complete_inputs, task_of
from aeonnx.exporting.verify.probes import Rows, whole
from aeonnx.exporting.verify.quality import Task, measure, speedup
from aeonnx.exporting.verify.reference import Reference
from aeonnx.exporting.verify.variants import (
    PixelReference,
    as_pixels,
    compare_lossy,
    compare_pixels,
    over_pixels_of,
)
from aeonnx.runtime.batching import any_rows
from aeonnx.runtime.session import ORT_ERRORS, Array

__all__ = ["over_pixels", "reduce_precision"]

_STORED = 16  # rows of golden vectors
_WORTH = 1.1  # least speedup over fp32 of a variant that is not smaller
_WAY_OUT = "Nothing was written: choose parts with --part, or leave the precision out"


def reduce_precision(
    base: ExportedGraph, precision: str, context: ExportContext, decoder: ExportedGraph | None
) -> ExportedGraph:
    """A part in fp16 or int8: the smallest candidate graph that passes the quality gate.

    Args:
        base: the part in fp32 with float images.
        precision: "fp16" or "int8".
        context: parts, images and target of the export.
        decoder: in fp32, to measure the loss of latents on decoded images; None without one.

    Raises:
        QualityError: it cannot be converted, every candidate crashes or loses more than the gate
            allows, or it is neither smaller nor faster than fp32.
        GraphError: the target lacks one of its operators.
    """
    what, part = f"{base.part} in {precision}", context.usual(base.part)
    classes = len(context.trained.config.classes)
    parts = {name: context.usual(name) for name in context.parts}
    task = task_of(base.part, parts, context.test, classes, decoder.run if decoder else None)
    calibration = Calibration(part, complete_inputs(part, context.train))
    fp32 = onnx.load_model_from_string(base.graph.data)
    try:
        forms = in_precision(fp32, precision, calibration.batches)
    except ORT_ERRORS as error:
        raise QualityError(
            f"{what}: onnxruntime's converter failed: {printable(str(error))}. {_WAY_OUT}"
        ) from error
    if not forms:
        raise QualityError(
            f"{what}: it has no layer with weights that a lower precision would make smaller. "
            f"{_WAY_OUT}"
        )
    lost = []
    for form in forms:
        try:
            found = _judged(base, form, precision, context, task, next(calibration.batches()))
        except QualityError as error:
            lost.append(f"{error}")
            continue
        _require_worth(what, base, found, task)
        return found
    raise QualityError(f"{what}: {'; with its last layer in fp32, '.join(lost)}. {_WAY_OUT}")


def _judged(
    base: ExportedGraph,
    form: onnx.ModelProto,
    precision: str,
    context: ExportContext,
    task: Task,
    batch: Mapping[str, Array],
) -> ExportedGraph:
    """A candidate graph, compared with fp32 and with torch.

    Raises:
        QualityError: it crashes, or loses more than the gate allows.
    """
    part = context.usual(base.part)
    graph, session = open_graph(form, base.part, precision, context, tried_on=batch)
    run = any_rows(part, session.run)
    losses = {loss.output: loss for loss in measure(part, precision, task, base.run, run)}
    _require_kept([line for loss in losses.values() for line in loss.failures])
    tolerances = {key: loss.tolerance for key, loss in losses.items()}
    report = compare_lossy(
        base.part, part, precision, session.run, task.inputs, base.rows, tolerances
    )
    # The loss must also be small at other batch sizes than that of all test images at once.
    _require_kept([line for c in report.checks for line in losses[c.output].too_large(c.needed)])
    images = Rows.of(part, task.inputs, "test")
    stored = whole(part, images.first_of(part, ("test",), _STORED))
    return replace(
        base,
        variant=precision,
        graph=graph,
        session=session,
        report=report,
        activations=None,  # counted on the rows of fp32
        rows=whole(part, images),
        stored=stored,
        golden=(write_golden(context, f"{base.part}.use", stored, Reference(part), report.checks),),
        quality={name: loss.found for name, loss in losses.items()},
        percentiles=percentiles(part, run, context.train),
    )


def _require_kept(failures: list[str]) -> None:
    if failures:
        raise QualityError(", and ".join(failures))


def _require_worth(what: str, base: ExportedGraph, found: ExportedGraph, task: Task) -> None:
    """Refuse a variant that is neither smaller nor faster than fp32."""
    before, after = len(base.graph.data), len(found.graph.data)
    if after < before:
        return
    faster = speedup(task, base.run, found.run)
    if faster < _WORTH:
        raise QualityError(
            f"{what} is not worth it: {after:,} bytes, where fp32 has {before:,}, and "
            f"{faster:.2f} times as fast. {_WAY_OUT}"
        )


def over_pixels(base: ExportedGraph, context: ExportContext) -> ExportedGraph:
    """The same graph with images as uint8 pixels at its inputs and outputs.

    Its pixels must equal, bit for bit, those that numpy computes from the float graph's images.

    Raises:
        GraphError: the target lacks one of its operators.
    """
    part = context.usual(base.part)
    images, interface = images_of(part), over_pixels_of(context.parts[base.part])
    name = f"{base.variant}-uint8"
    changed = with_pixels(onnx.load_model_from_string(base.graph.data), images)
    graph, session = open_graph(changed, base.part, name, context)
    rows, stored = (
        replace(item, values=as_pixels(item.values, images)) for item in (base.rows, base.stored)
    )
    exact = base.variant == "fp32"
    lossy = None if exact else {check.output: check.tolerance for check in base.report.checks}
    report = compare_pixels(base.part, part, name, session.run, base.run, rows, lossy)
    reference = PixelReference(Reference(part), images)
    where = f"{base.part}.uint8" if exact else f"{base.part}.use-uint8"
    return replace(
        base,
        variant=name,
        interface=interface,
        graph=graph,
        session=session,
        report=report,
        rows=rows,
        stored=stored,
        golden=(write_golden(context, where, stored, reference, report.checks),),
    )
