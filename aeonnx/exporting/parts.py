"""Build the float32 graph of a part, compare it with torch, and describe it for the manifest."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import numpy as np
from onnx import ModelProto

from aeonnx._util import files
from aeonnx.bundle import (
    FORMAT_VERSION,
    ActivationCoverage,
    Blending,
    Conversion,
    Golden,
    OutputParity,
    Quality,
    Variant,
    golden,
)
from aeonnx.checkpoint import Checkpoint
from aeonnx.errors import GraphError, RefusedGraphError
from aeonnx.exporting.capture.graph import Graph, finish
from aeonnx.exporting.capture.program import Captured, capture
from aeonnx.exporting.conformal import Scores, scores_of
from aeonnx.exporting.determinism.check import require_deterministic
from aeonnx.exporting.macs import macs
from aeonnx.exporting.profiled import shapes_of_run
from aeonnx.exporting.sizes import at_sizes, at_usual, usual_sizes
from aeonnx.exporting.sources.modules import require_exportable
from aeonnx.exporting.targets import check_operators
from aeonnx.exporting.verify.batches import batch_sizes
from aeonnx.exporting.verify.calibration import own_inputs
from aeonnx.exporting.verify.effort import Comparison, comparisons, thorough_of
from aeonnx.exporting.verify.inputs import ComparedAt, compare_sizes
from aeonnx.exporting.verify.probes import EDGE, RANDOM, REAL, Rows, probes, whole
from aeonnx.exporting.verify.reference import Reference
from aeonnx.exporting.verify.runs import ReferenceFn
from aeonnx.exporting.verify.trial import require_running
from aeonnx.models import Part
from aeonnx.runtime import Check, Report, Session
from aeonnx.runtime.batching import Run, any_rows
from aeonnx.runtime.compare import merged
from aeonnx.runtime.interface import batch_of, select_rows
from aeonnx.runtime.providers import CPU
from aeonnx.runtime.session import Array

__all__ = [
    "ExportContext",
    "ExportedGraph",
    "count_macs",
    "export_part",
    "golden_vectors",
    "open_graph",
    "write_golden",
]

_STORED = 8  # rows of golden vectors, of each kind
_STORED_BESIDE = 1  # the same at other sizes than the usual ones


@dataclass(frozen=True)
class ExportContext:
    """Inputs shared by all graphs of an export.

    Args:
        trained: the checkpoint.
        parts: the model's parts by name, with the batch axis (dynamic or fixed) of the graphs.
        opset: ONNX opset of the graphs.
        target: name of the engine that runs the graphs; None for any.
        test: inputs of the parts for test images, [rows, ...] by tensor name; empty without images.
        train: inputs of the parts for training images, likewise.
        normal: inputs of the parts for normal images, by whose scores others are judged, likewise.
        held_out: whether the model was not trained on the normal images.
        staged: temporary folder that files are written to.
    """

    trained: Checkpoint
    parts: Mapping[str, Part]
    opset: int
    target: str | None
    test: Mapping[str, Array]
    train: Mapping[str, Array]
    staged: Path
    normal: Mapping[str, Array] = field(default_factory=dict)
    held_out: bool = False

    def usual(self, part: str) -> Part:
        """A part at the usual sizes of its axes: only its axis of rows is dynamic."""
        return at_usual(self.parts[part])


@dataclass(frozen=True)
class ExportedGraph:
    """A graph in the staged folder, with the result of its comparison with torch.

    Args:
        part, variant: its keys in the manifest.
        interface: names and shapes of its inputs and outputs.
        graph: the serialised ONNX file.
        session: onnxruntime session of the file.
        report: result of the comparison; only a graph whose report passed goes into a bundle.
        rows: inputs that it was compared on.
        stored: inputs of the first golden vectors, those of the usual sizes.
        golden: golden vectors, with tolerances: these inputs with the expected outputs, and others
            at another size of each dynamic axis.
        scores: what normal rows score.
        macs, activations, quality, blending, conversion: see `Variant`.
        note: why a graph in reduced precision has this form and not a smaller one; None without
            a reason.
    """

    part: str
    variant: str
    interface: Part
    graph: Graph
    session: Session
    report: Report
    rows: Rows
    stored: Rows
    golden: tuple[Golden, ...]
    macs: int | None
    activations: ActivationCoverage | None = None
    quality: dict[str, tuple[Quality, ...]] | None = None
    scores: Scores = field(default_factory=Scores)
    blending: Blending | None = None
    conversion: Conversion | None = None
    note: str | None = None

    @property
    def run(self) -> Run:
        """Runs the graph on any number of rows, also where its batch is fixed."""
        return any_rows(self.interface, self.session.run)

    def entry(self) -> Variant:
        """Its entry in the manifest."""
        return Variant(
            file=self.session.path.name,
            sha256=hashlib.sha256(self.graph.data).hexdigest(),
            bytes=len(self.graph.data),
            macs=self.macs,
            opset=self.graph.opset,
            ir_version=self.graph.ir_version,
            min_onnxruntime=self.graph.min_onnxruntime,
            inputs=self.interface.inputs,
            outputs=self.interface.outputs,
            axes=dict(self.interface.axes),
            parity={
                spec.name: tuple(
                    _parity(check) for check in self.report.checks if check.output == spec.name
                )
                for spec in self.interface.outputs
            },
            parity_batches=batch_sizes(self.interface, len(self.rows.kinds)),
            activations=self.activations,
            golden=self.golden,
            quality=self.quality,
            percentiles=self.scores.percentiles,
            normal=self.scores.normal,
            blending=self.blending,
            conversion=self.conversion,
            ensemble=self.interface.ensemble,
        )


def count_macs(graph: ModelProto, part: Part, session: Session, usual: ComparedAt) -> int | None:
    """Multiply-adds per row at the usual sizes."""
    rows = batch_of(part) or 1
    row = select_rows(part, usual.rows.values, np.arange(rows))
    run = partial(shapes_of_run, graph, session.path, row) if usual.passed else None
    return macs(graph, rows, usual_sizes(part), run)


def _parity(check: Check) -> OutputParity:
    return OutputParity(
        inputs=check.inputs,
        rows=check.rows,
        batch=check.batch,
        max_abs_diff=check.max_abs_diff,
        max_rel_diff=check.max_rel_diff,
        error=check.error or 0.0,
        noise_floor=check.noise_floor or 0.0,
        tolerance=check.tolerance,
        sizes=dict(check.sizes),
    )


def export_part(name: str, context: ExportContext) -> ExportedGraph:
    """A part as a float32 graph, compared with eager torch.

    Raises:
        GraphError: it cannot be exported to a graph that follows the bundle's rules.
    """
    part, usual = context.parts[name], context.usual(name)
    plan = comparisons(part)
    _require_deterministic(name, part, plan, own_inputs(name, part, context.test))
    captured = _captured(name, part, context.opset)
    graph, session = open_graph(captured.graph, name, "fp32", context)
    found, activations = compare_sizes(name, part, session, captured.program, context.test, plan)
    first = found[0]
    scores = Scores()
    if first.passed:  # otherwise the graph may fail to run
        run = any_rows(usual, session.run)
        scores = scores_of(usual, run, context.normal, held_out=context.held_out)
    kinds = (REAL, RANDOM, EDGE)
    stored, vectors = golden_vectors(context, name, part, found, kinds, Reference(part))
    return ExportedGraph(
        part=name,
        variant="fp32",
        interface=part,
        graph=graph,
        session=session,
        report=merged(found),
        rows=first.rows,
        stored=stored,
        golden=vectors,
        macs=count_macs(captured.graph, part, session, first),
        activations=ActivationCoverage(activations.units, activations.inactive),
        scores=scores,
    )


def golden_vectors(
    context: ExportContext,
    name: str,
    part: Part,
    found: Sequence[ComparedAt],
    kinds: Sequence[str],
    reference: ReferenceFn,
) -> tuple[Rows, tuple[Golden, ...]]:
    """Write golden vectors at the usual sizes of the axes, and fewer at the first other sizes.

    Args:
        context: see `write_golden`.
        name: of the part.
        part: its interface.
        found: what it was compared on, the usual sizes first.
        kinds: of the rows that are chosen.
        reference: computes the outputs.

    Returns:
        The rows of the usual sizes, and the vectors.
    """
    rows: list[Rows] = []
    vectors: list[Golden] = []
    for item in found[:2]:
        where = f".{'x'.join(map(str, item.sizes.values()))}" if rows else ""
        count = _STORED_BESIDE if rows else _STORED
        rows.append(_golden_rows(at_sizes(part, item.sizes), item, kinds, count))
        vectors.append(write_golden(context, name + where, rows[-1], reference, item.checks))
    return rows[0], tuple(vectors)


def _golden_rows(part: Part, found: ComparedAt, kinds: Sequence[str], count: int) -> Rows:
    """Some of the rows that a part was compared on, with the kinds that they turned out to be."""
    judged = Rows(found.rows.values, found.kinds)
    chosen = judged.first_of(part, kinds, count)
    if not chosen.kinds:  # all are ill-conditioned
        chosen = judged.at_most(part, count)
    return whole(part, chosen)


def _require_deterministic(
    name: str, part: Part, plan: Sequence[Comparison], real: Mapping[str, Array]
) -> None:
    """Call the module several times, at the sizes that are compared thoroughly: some 20 calls."""
    item = thorough_of(plan)
    at, known = at_sizes(part, item.sizes), real if item is plan[0] else {}
    require_deterministic(name, at, probes(at.inputs, known).values)


def _captured(name: str, part: Part, opset: int) -> Captured:
    require_exportable(name, part.module)
    try:
        return capture(part, opset)
    except GraphError as error:
        raise GraphError(f"{name}: {error}") from error


def write_golden(
    context: ExportContext,
    where: str,
    rows: Rows,
    reference: ReferenceFn,
    checks: Sequence[Check],
) -> Golden:
    """Write golden vectors: `rows` and what the reference returns for them in float32.

    Args:
        context: whose staged folder they are written to.
        where: name of the part, or of the part's file for inputs of its own.
        rows: the inputs.
        reference: computes the outputs.
        checks: each row's tolerance is that of the check on the row's kind of inputs.
    """
    found = golden.write(context.staged, where, rows.values, reference.single(rows.values))
    tolerances = {(check.output, check.inputs): check.tolerance for check in checks}
    outputs = {
        name: replace(tensor, tolerance=tuple(tolerances.get((name, k), 0.0) for k in rows.kinds))
        for name, tensor in found.outputs.items()
    }
    return replace(found, outputs=outputs)


def open_graph(
    graph: ModelProto,
    part: str,
    variant: str,
    context: ExportContext,
    *,
    tried_on: Mapping[str, Array] | None = None,
) -> tuple[Graph, Session]:
    """Write a graph to the staged folder and open it there.

    Args:
        graph: its metadata is overwritten.
        part, variant: its keys in the manifest.
        context: checkpoint, target and staged folder of the export.
        tried_on: inputs to run it on in a child process first, in case it crashes; None to skip
            this.

    Raises:
        QualityError: it fails on `tried_on`.
        GraphError: it breaks a rule of the bundle, the target lacks an operator, or onnxruntime
            refuses it.
    """
    if context.target:
        check_operators(graph, context.target, f"{part} ({variant})")
    finished = finish(graph, _metadata(context.trained, part, variant))
    name = part if variant == "fp32" else f"{part}.{variant}"
    path = context.staged / files.named_by_content(f"{name}.onnx", finished.data)
    files.write(path, finished.data)
    if tried_on is not None:
        require_running(path, tried_on)
    try:
        return finished, Session(path, [CPU])
    except RefusedGraphError as error:
        raise GraphError(f"{part} ({variant}): {error}") from error


def _metadata(trained: Checkpoint, part: str, variant: str) -> dict[str, str]:
    return {
        "aeonnx.format": str(FORMAT_VERSION),
        "aeonnx.model": trained.config.model,
        "aeonnx.arch": trained.config.arch,
        "aeonnx.part": part,
        "aeonnx.variant": variant,
        "aeonnx.checkpoint_id": trained.checkpoint_id,
    }
