"""Variants of a verified fp32 graph: reduced precision, and uint8 inputs and outputs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import onnx

from aeonnx._util.text import printable
from aeonnx.bundle import Golden
from aeonnx.errors import QualityError
from aeonnx.exporting.conformal import scores_of
from aeonnx.exporting.parts import (
    ExportContext,
    ExportedGraph,
    open_graph,
    write_golden,
)
from aeonnx.exporting.passes.pixels import images_of, with_pixels
from aeonnx.exporting.passes.precision import Candidate, in_precision
from aeonnx.exporting.sizes import other_sizes, usual_sizes
from aeonnx.exporting.verify.batches import in_chunks
from aeonnx.exporting.verify.calibration import (
    Calibration,
    complete_inputs,
    own_inputs,
    parts_at,
    rows_at_once,
    task_of,
)
from aeonnx.exporting.verify.inputs import few_rows
from aeonnx.exporting.verify.probes import (
    ACTIVATION,
    EDGE,
    RANDOM,
    Rows,
    whole,
)
from aeonnx.exporting.verify.quality import Loss, Task, measure, speedup
from aeonnx.exporting.verify.reference import Reference
from aeonnx.exporting.verify.runs import OTHER_CODES, Compared
from aeonnx.exporting.verify.variants import (
    PixelReference,
    as_pixels,
    compare_lossy,
    compare_pixels,
    over_pixels_of,
)
from aeonnx.models import Part
from aeonnx.runtime import Session
from aeonnx.runtime.batching import any_rows
from aeonnx.runtime.compare import merged
from aeonnx.runtime.interface import is_sized
from aeonnx.runtime.session import ORT_ERRORS

__all__ = ["over_pixels", "reduce_precision"]

_STORED = 16  # rows of golden vectors
_STORED_BESIDE = 1  # the same of each kind, at another size of the axes
_FEW = 4  # rows of each kind that are neither real nor at the usual sizes
_WORTH = 1.1  # least speedup over fp32 of a variant that is not smaller
_WAY_OUT = "Nothing was written: choose parts with --part, or leave the precision out"


@dataclass(frozen=True)
class _Setting:
    """What a variant is judged on, at some sizes of the axes.

    Args:
        part: the original part at these sizes.
        sizes: of the axes other than that of rows.
        task: test images.
        every: rows on which outputs must be finite.
        where: what the names of files of golden vectors say of the sizes.
        at_once: largest number of rows to run at once.
    """

    part: Part
    sizes: dict[str, int]
    task: Task
    every: Rows
    where: str
    at_once: int


def reduce_precision(
    base: ExportedGraph, precision: str, context: ExportContext, decoder: ExportedGraph | None
) -> ExportedGraph:
    """A part in fp16 or int8: the first candidate graph that passes the quality gate.

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
    what = f"{base.part} in {precision}"
    settings = _settings(base, context, decoder)
    lost: list[str] = []
    for candidate in _candidates(base, precision, context, settings[0]):
        form = f"with {candidate.form}, " if candidate.form else ""
        try:
            found = _judged(base, candidate, precision, context, settings)
            _require_worth(base, found, settings[0])
        except QualityError as error:
            lost.append(f"{form}{error}")
            continue
        return replace(found, note=_note(what, candidate, lost))
    if not lost:
        raise QualityError(
            f"{what}: it has no layer with weights that a lower precision would make smaller. "
            f"{_WAY_OUT}"
        )
    raise QualityError(f"{what}: {'; '.join(lost)}. {_WAY_OUT}")


def _settings(
    base: ExportedGraph, context: ExportContext, decoder: ExportedGraph | None
) -> list[_Setting]:
    """The usual sizes of the axes, and another size of each dynamic axis."""
    declared = context.parts[base.part]
    classes = len(context.trained.config.classes)
    at_once = rows_at_once(onnx.load_model_from_string(base.graph.data), declared)
    found: list[_Setting] = []
    for sizes in _sizes(declared):
        parts = parts_at(context.parts, sizes)
        part = parts[base.part]
        decode = in_chunks(parts["decoder"], decoder.run, at_once) if decoder else None
        task = task_of(base.part, parts, context.test, classes, decode)
        every = few_rows(part, {}) if found else base.rows
        where = _named(sizes) if found else ""
        found.append(_Setting(part, sizes, replace(task, sizes=sizes), every, where, at_once))
    return found


def _sizes(part: Part) -> list[dict[str, int]]:
    return [usual_sizes(part), *other_sizes(part)[-1:]]


def _named(sizes: Mapping[str, int]) -> str:
    """What names of files of golden vectors say of sizes that are not the usual ones."""
    return f".{'x'.join(map(str, sizes.values()))}"


def _candidates(
    base: ExportedGraph, precision: str, context: ExportContext, setting: _Setting
) -> Iterator[Candidate]:
    part = setting.part
    own = own_inputs(base.part, part, context.train)
    calibration = Calibration(part, complete_inputs(part, own), setting.at_once)
    unusual = base.rows.first_of(part, (RANDOM, EDGE, ACTIVATION), _FEW)
    extremes = Calibration(part, unusual.values, setting.at_once)
    try:
        yield from in_precision(
            onnx.load_model_from_string(base.graph.data),
            precision,
            calibration.batches,
            extremes.batches(),
        )
    except ORT_ERRORS as error:
        raise QualityError(
            f"{base.part} in {precision}: onnxruntime's converter failed: "
            f"{printable(str(error))}. {_WAY_OUT}"
        ) from error


def _note(what: str, candidate: Candidate, lost: list[str]) -> str | None:
    """Why it is not the first candidate; None if it is."""
    if not lost:
        return None
    alone = candidate.conversion.method == "weights" and "not worth it" not in lost[0]
    why = "activations do not quantise" if alone else "otherwise"
    return f"{what} has {candidate.form}, since {why}: {lost[0]}"


def _judged(
    base: ExportedGraph,
    candidate: Candidate,
    precision: str,
    context: ExportContext,
    settings: list[_Setting],
) -> ExportedGraph:
    """A candidate graph, compared with fp32 and with torch.

    Raises:
        QualityError: it crashes, loses more than the gate allows, or differs from torch by more.
    """
    part, task = settings[0].part, settings[0].task
    first = next(Calibration(part, task.inputs, settings[0].at_once).batches())
    graph, session = open_graph(candidate.graph, base.part, precision, context, tried_on=first)
    judged = [_judged_at(base, session, precision, setting) for setting in settings]
    stored = [
        _stored(setting, report) for setting, (_, report) in zip(settings, judged, strict=True)
    ]
    golden = [
        write_golden(context, f"{base.part}{at.where}.use", rows, Reference(at.part), report.checks)
        for at, rows, (_, report) in zip(settings, stored, judged, strict=True)
    ]
    run = in_chunks(part, any_rows(part, session.run), settings[0].at_once)
    quality = {
        name: tuple(item for losses, _ in judged for item in losses[name].found)
        for name in judged[0][0]
    }
    return replace(
        base,
        variant=precision,
        graph=graph,
        session=session,
        report=merged([report for _, report in judged]),
        activations=None,  # counted on the rows of fp32
        rows=whole(part, _test_rows(settings[0])),
        stored=stored[0],
        golden=tuple(golden),
        quality=quality,
        scores=scores_of(part, run, context.normal, held_out=context.held_out),
        conversion=candidate.conversion,
    )


def _stored(setting: _Setting, report: Compared) -> Rows:
    """The rows of golden vectors: the first test images whose codes are those of torch."""
    rows = whole(setting.part, _test_rows(setting)).chosen(setting.part, range(len(report.kinds)))
    images = Rows(rows.values, report.kinds)
    good = [place for place, kind in enumerate(images.kinds) if kind != OTHER_CODES]
    count = _STORED_BESIDE if setting.where else _STORED
    return whole(setting.part, images.chosen(setting.part, good[:count]))


def _test_rows(setting: _Setting) -> Rows:
    return Rows.of(setting.part, setting.task.inputs, "test")


def _judged_at(
    base: ExportedGraph, session: Session, precision: str, setting: _Setting
) -> tuple[dict[str, Loss], Compared]:
    """The losses by output, and the comparison with torch, at some sizes of the axes."""
    part, task = setting.part, setting.task
    fp32, run = (
        in_chunks(part, any_rows(part, item.run), setting.at_once)
        for item in (base.session, session)
    )
    losses = {loss.output: loss for loss in measure(part, precision, task, fp32, run)}
    _require_kept([line for loss in losses.values() for line in loss.failures])
    tolerances = {key: loss.tolerance for key, loss in losses.items()}
    report = compare_lossy(
        base.part,
        part,
        precision,
        session.run,
        task.inputs,
        setting.every,
        tolerances,
        setting.sizes,
    )
    _require_kept([*report.failures])
    # The loss must also be small at other batch sizes than that of all test images at once.
    kept = [check for check in report.checks if check.inputs != OTHER_CODES]
    _require_kept([line for check in kept for line in losses[check.output].too_large(check.needed)])
    return losses, report


def _require_kept(failures: list[str]) -> None:
    if failures:
        raise QualityError(", and ".join(failures))


def _require_worth(base: ExportedGraph, found: ExportedGraph, setting: _Setting) -> None:
    """Refuse a variant that is neither smaller nor faster than fp32.

    In int8, one of a denoiser of pictures of any size must be faster.
    """
    task, before, after = setting.task, len(base.graph.data), len(found.graph.data)
    # The weights of a denoiser of pictures are few: time is what its users wait for. That of
    # float16 is not measured where it is made: it is for devices other than this CPU.
    timed = task.noisy and is_sized(base.interface) and found.variant == "int8"
    if after < before and not timed:
        return
    some = next(Calibration(setting.part, task.inputs, setting.at_once).batches())
    faster = speedup(replace(task, inputs=some), base.run, found.run)
    if faster < _WORTH:
        raise QualityError(
            f"it is not worth it: {after:,} bytes, where fp32 has {before:,}, and "
            f"{faster:.2f} times as fast"
        )


def over_pixels(base: ExportedGraph, context: ExportContext) -> ExportedGraph:
    """The same graph with images as uint8 pixels at its inputs and outputs.

    Its pixels must equal, bit for bit, those that numpy computes from the float graph's images.

    Raises:
        GraphError: the target lacks one of its operators.
    """
    images = images_of(context.usual(base.part))
    name = f"{base.variant}-uint8"
    changed = with_pixels(onnx.load_model_from_string(base.graph.data), images)
    graph, session = open_graph(changed, base.part, name, context)
    kind = "uint8" if base.variant == "fp32" else "use-uint8"
    rows: list[Rows] = []
    reports: list[Compared] = []
    golden: list[Golden] = []
    for sizes in _sizes(context.parts[base.part]):
        parts = parts_at(context.parts, sizes)
        part = parts[base.part]
        if not rows:
            where, given, stored = base.part, base.rows, base.stored
        else:
            where = f"{base.part}{_named(sizes)}"
            given = stored = _rows_beside(base, parts, context)
        given, stored = (
            replace(item, values=as_pixels(item.values, images)) for item in (given, stored)
        )
        report = compare_pixels(
            base.part, part, name, session.run, base.run, given, _lossy(base, sizes), sizes
        )
        if rows:
            few = given.at_most(part, len(report.kinds))
            judged = Rows(few.values, report.kinds)
            kinds = [kind for kind in dict.fromkeys(judged.kinds) if kind != OTHER_CODES]
            stored = whole(part, judged.first_of(part, kinds, _STORED_BESIDE))
        reference = PixelReference(Reference(part), images)
        golden.append(write_golden(context, f"{where}.{kind}", stored, reference, report.checks))
        rows.append(given)
        reports.append(report)
    return replace(
        base,
        variant=name,
        interface=over_pixels_of(context.parts[base.part]),
        graph=graph,
        session=session,
        report=merged(reports),
        rows=rows[0],
        golden=tuple(golden),
        note=None,
    )


def _lossy(base: ExportedGraph, sizes: Mapping[str, int]) -> dict[str, float] | None:
    """The tolerances of a graph in reduced precision at some sizes; None in fp32."""
    if base.variant == "fp32":
        return None
    return {
        check.output: check.tolerance
        for check in base.report.checks
        if check.sizes == sizes and check.inputs != OTHER_CODES  # which may differ by any amount
    }


def _rows_beside(base: ExportedGraph, parts: Mapping[str, Part], context: ExportContext) -> Rows:
    """What a graph is compared on at other sizes than the usual ones."""
    part = parts[base.part]
    if base.variant == "fp32":
        return few_rows(part, {})
    inputs = task_of(base.part, parts, context.test, 0, None).inputs
    return whole(part, Rows.of(part, inputs, "test"))
