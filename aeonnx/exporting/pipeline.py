"""Write a bundle: every part is verified before any file appears under its final name."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from itertools import count
from pathlib import Path
from typing import Protocol

from aeonnx import checkpoint
from aeonnx._util import files
from aeonnx.bundle import Manifest, Prior, manifest
from aeonnx.checkpoint import Checkpoint
from aeonnx.errors import (
    BundleError,
    DeviceMemoryError,
    ManifestError,
    OutputError,
    ParityError,
    RunError,
    UsageError,
)
from aeonnx.exporting.blending import with_blending
from aeonnx.exporting.calibration_data import predicted_labels, predicts_labels, read_calibration
from aeonnx.exporting.conformal import few_scores
from aeonnx.exporting.contents import contents_of, dropped_variants
from aeonnx.exporting.ensemble import with_ensemble
from aeonnx.exporting.margins import with_margins
from aeonnx.exporting.options import SAMPLER, ExportOptions, check
from aeonnx.exporting.parts import ExportContext, ExportedGraph, export_part
from aeonnx.exporting.plan import Plan, make_plan, with_fixed_batch
from aeonnx.exporting.sampler_export import distribution_of, export_sampler, stored
from aeonnx.exporting.scores import with_score
from aeonnx.exporting.sources.external import from_source
from aeonnx.exporting.sources.outputs import ready
from aeonnx.exporting.sources.plain import from_modules
from aeonnx.exporting.sources.user_code import user_code
from aeonnx.exporting.variants import over_pixels, reduce_precision
from aeonnx.exporting.verify.inputs import inputs_of, real_inputs, train_inputs, verify_composed
from aeonnx.models import Part
from aeonnx.runtime import Bundle, Report
from aeonnx.runtime.compare import OUT_OF_RANGE, farthest, merged
from aeonnx.runtime.providers import CPU
from aeonnx.runtime.session import Array
from aeonnx.runtime.settings import Settings

__all__ = ["Exported", "Listener", "export"]

_LOG = logging.getLogger(__name__)

_PATIENCE = 60.0  # seconds to wait for another export to write
_RANGE_ADVICE = "Clamp such an output in the module, or declare the range that it has"
_PLACES = ("*.onnx", "golden/*/*.bin", "prior/*.bin")
"""Patterns of the files in a bundle that its manifest names."""


@dataclass(frozen=True)
class Exported:
    """Result of an export.

    Args:
        output: the bundle's folder.
        manifest: of the whole bundle, including parts that earlier exports wrote.
        parts: names of the parts that this export wrote.
        report: all parity checks; each of them passed.
        left_out: a line for each part that was not requested by name and cannot be exported.
        notes: a line for each variant in reduced precision that is not in its smallest form, with
            the reason, and for a prior that the model was not trained with.
    """

    output: Path
    manifest: Manifest
    parts: tuple[str, ...]
    report: Report
    left_out: tuple[str, ...]
    notes: tuple[str, ...] = ()


class Listener(Protocol):
    """Receives the progress of an export."""

    def exporting(self, part: str, variant: str, number: int, total: int) -> None:
        """Called before this variant of the part is built and verified: `number` of `total`."""


def export(options: ExportOptions, listener: Listener | None = None) -> Exported:
    """Export parts of a checkpoint into a bundle, or fail and write nothing.

    Args:
        options: what to export, from where, and to where.
        listener: is called before each graph is built.

    Raises:
        UsageError: the model, a part, the opset, a variant or the target is unknown, or options
            contradict each other.
        CheckpointError: the checkpoint is missing, damaged, or of another model.
        ModuleError: the code of an external model raises an error.
        ImageError: the calibration images are missing or have the wrong size.
        BundleError: `output` holds a bundle of another checkpoint and `force` is not set.
        GraphError: a part cannot be exported to a graph that follows the bundle's rules.
        ParityError: a graph and torch differ, or a graph fails while it runs; the message lists
            every failed check.
        QualityError: a reduced-precision variant loses too much accuracy, or is neither smaller nor
            faster than fp32.
        OutputError: the bundle cannot be written.
    """
    check(options)
    trained = _source(options)
    plan = make_plan(options, trained.model)
    output = options.folder
    # refuse early
    _require_one_prior(plan, _bundle_there(output, trained.checkpoint_id, force=options.force))
    with files.staging(output) as staged:
        context = _context(options, plan, trained, staged)
        try:
            made = _make(plan, options.temperature, context, listener)
        except DeviceMemoryError:
            raise
        except RunError as error:
            raise ParityError(f"running a graph failed, nothing was written: {error}") from error
        # Exports into the same bundle write one at a time; each adds to what the others wrote.
        with files.locked(output, "aeonnx export", seconds=_PATIENCE):
            before = _bundle_there(output, trained.checkpoint_id, force=options.force)
            _require_one_prior(plan, before)
            report = _judged(made, before, context)
            contents = contents_of(plan, made.graphs, made.prior, before, trained)
            dropped = dropped_variants(before, contents)
            files.write(staged / manifest.FILE_NAME, manifest.serialize(contents))
            files.commit(staged, output, manifest.FILE_NAME)
            files.remove_unnamed(output, manifest.file_names(contents), _PLACES)
    for line in plan.left_out:
        _LOG.warning("left out: %s", line)
    _LOG.info("wrote %s: %s; %d checks passed", output, ", ".join(plan.parts), len(report.checks))
    notes = [item.note for item in made.graphs if item.note and item.quality is not None]
    notes += [*dict.fromkeys(filter(None, map(_few_normal, made.graphs))), *dropped, *plan.notes]
    return Exported(output, contents, plan.parts, report, plan.left_out, tuple(notes))


def _few_normal(made: ExportedGraph) -> str:
    what = "image" if made.interface.inputs[0].kind == "image" else "row"
    return few_scores(made.scores, what)


def _source(options: ExportOptions) -> Checkpoint:
    """The model that is exported, from where it comes."""
    if options.modules:
        return from_modules(options.modules, options.example, options.model, options.range)
    if options.from_source:
        return from_source(options.source, options.model)
    return checkpoint.load(options.trained, options.model, options.state)


def _judged(made: _Made, before: Bundle | None, context: ExportContext) -> Report:
    """Report of all graphs, alone and composed with those already in the bundle.

    Raises:
        ParityError: a graph and torch differ.
    """
    sessions = {item.part: item.session for item in made.graphs if item.variant == "fp32"}
    composed = verify_composed(context.parts, sessions, before, context.test)
    report = merged([*(item.report for item in made.graphs), composed])
    if not report.passed:
        lines = farthest(report.failures)
        if any(OUT_OF_RANGE in line for line in lines):
            lines.append(_RANGE_ADVICE)
        raise ParityError("graph and torch differ, nothing was written:\n  " + "\n  ".join(lines))
    return report


@dataclass(frozen=True)
class _Made:
    """Compared graphs, and the prior to draw latents from."""

    graphs: tuple[ExportedGraph, ...]
    prior: Prior | None


def _make(
    plan: Plan, temperature: float, context: ExportContext, listener: Listener | None
) -> _Made:
    def tell(part: str, variant: str) -> None:
        _LOG.info("exporting %s (%s)", part, variant)
        if listener:
            listener.exporting(part, variant, next(numbers), total)

    lossy = any(want.precision != "fp32" for want in plan.variants)
    # The sampler contains the decoder, and encoders' variants are measured on decoded images.
    also = plan.prior or (lossy and "encoder" in plan.parts)
    needed = {*plan.parts, *(["decoder"] if also else [])}
    names = [name for name in context.parts if name in needed]
    reduced = sum(name in names for name in plan.parts) * len(plan.variants)
    numbers, total = count(1), len(names) + reduced + (SAMPLER in plan.parts)
    made: dict[str, ExportedGraph] = {}
    for name in names:
        tell(name, "fp32")
        with user_code(f"{name}: its module, called on more rows,", among_ours=True):
            made[name] = with_blending(export_part(name, context), context)
    graphs = []
    for name in plan.parts:
        if name in made:
            base = made[name]
            graphs.append(base)
            if base.report.passed and _passed(made, "decoder"):  # otherwise the export fails
                graphs += _variants(base, made, plan, context, tell)
    if not _passed(made, "decoder"):
        if "decoder" not in plan.parts:
            graphs.append(made["decoder"])  # its failed report makes the export fail
        return _Made(tuple(graphs), None)
    if plan.prior is None:
        return _Made(tuple(graphs), None)
    prior = distribution_of(plan.prior, temperature, context)
    if SAMPLER in plan.parts:
        tell(SAMPLER, "fp32")
        graphs.append(export_sampler(made["decoder"], prior, context))
    return _Made(tuple(graphs), stored(plan.prior, temperature, prior, context))


def _passed(made: Mapping[str, ExportedGraph], part: str) -> bool:
    """Whether a part passed its checks, or was not built because no graph needs it."""
    return part not in made or made[part].report.passed


def _variants(
    base: ExportedGraph,
    made: Mapping[str, ExportedGraph],
    plan: Plan,
    context: ExportContext,
    tell: Callable[[str, str], None],
) -> list[ExportedGraph]:
    found = {base.variant: base}
    for want in plan.variants:
        tell(base.part, want.name)
        if want.io == "uint8":
            found[want.name] = over_pixels(found[want.precision], context)
        else:
            decoder = made.get("decoder")
            found[want.name] = reduce_precision(base, want.precision, context, decoder)
    return [item for item in found.values() if item is not base]


def _context(
    options: ExportOptions, plan: Plan, trained: Checkpoint, staged: Path
) -> ExportContext:
    declared = _ready(plan, options, trained)
    test = real_inputs(trained, declared)
    train = _train_inputs(options, trained, declared)
    if any(want.precision != "fp32" for want in plan.variants):
        _require_several(options, train)
    # Statistics are those of the checkpoint's images, which `verify --against` has too.
    own = partial(train_inputs, trained, declared) if options.calibration else lambda: train
    declared = with_score(declared, options.score, own)
    parts = {name: with_fixed_batch(part, plan.batch) for name, part in declared.items()}
    normal, held_out = _normal_inputs(options, trained, declared, train)
    return ExportContext(
        trained, parts, plan.opset, options.target, test or train, train, staged, normal, held_out
    )


def _ready(plan: Plan, options: ExportOptions, trained: Checkpoint) -> dict[str, Part]:
    """All parts; the modules of those needed are checked by a call on examples."""
    parts = trained.model.parts()
    if options.ensemble is not None:
        parts = with_ensemble(parts, options.ensemble)
    images = options.calibration or trained.examples
    needed = {*plan.parts, *(["encoder"] if images else []), *(["decoder"] if plan.prior else [])}
    for name in [name for name in parts if name in needed]:
        checked = ready(name, with_fixed_batch(parts[name], plan.batch))
        checked = replace(parts[name], module=checked.module)
        parts[name] = with_margins(checked) if name in plan.parts else checked
    return parts


def _train_inputs(
    options: ExportOptions, trained: Checkpoint, parts: Mapping[str, Part]
) -> dict[str, Array]:
    if options.calibration is not None:
        return read_calibration(options.calibration, parts)
    return train_inputs(trained, parts)


def _require_several(options: ExportOptions, train: Mapping[str, Array]) -> None:
    """Raise if there is too little to measure reduced precision on, before the work begins."""
    if not train:
        raise UsageError(
            f"--precision: {options.from_source or options.trained} carries no images to measure "
            "the loss on: give some with --calibration"
        )
    count = min(map(len, train.values()))
    if options.calibration is not None and count < 2:
        raise UsageError(
            f"--calibration: expected 2 rows or more, to measure the loss of --precision on, got "
            f"{count}"
        )


def _normal_inputs(
    options: ExportOptions,
    trained: Checkpoint,
    parts: Mapping[str, Part],
    train: dict[str, Array],
) -> tuple[dict[str, Array], bool]:
    """Inputs whose scores are normal, and whether the model was not trained on them.

    These are the images of `--calibration`, or test images of the checkpoint, or training images.
    With labels at random none would be normal.
    """
    examples = trained.examples
    if options.calibration is not None:
        labelled = any(spec.kind == "label" for part in parts.values() for spec in part.inputs)
        return ({}, False) if labelled and not predicts_labels(parts) else (train, True)
    if examples is None or examples.normal is None:
        return train, False
    # As those who score do it: of true labels, which they rarely know, scores are higher.
    labels = predicted_labels(parts, examples.normal.numpy())
    labels = examples.normal_labels if labels is None else labels
    return inputs_of(parts, examples.normal, labels), True


def _bundle_there(folder: Path, checkpoint_id: str, *, force: bool) -> Bundle | None:
    """The bundle to add to, or None to write a new one."""
    if not folder.exists():
        return None
    try:
        contents = manifest.read(folder)
    except BundleError as error:
        if force or (folder.is_dir() and files.holds_only_leftovers(folder, _PLACES)):
            return None
        if isinstance(error, ManifestError):
            raise
        raise OutputError(
            f"{folder} exists and is not a bundle: pass --force to write into it, or another -o"
        ) from None
    if contents.checkpoint_id == checkpoint_id:
        return Bundle(folder, contents, Settings([CPU]))
    if force:
        return None
    raise BundleError(
        f"{folder} holds parts of another checkpoint (id {contents.checkpoint_id[:12]}, this one "
        f"has {checkpoint_id[:12]}), and parts of two checkpoints do not fit together: pass "
        "--force to replace the bundle, or another -o"
    )


def _require_one_prior(plan: Plan, before: Bundle | None) -> None:
    """Raise if a sampler in the bundle would draw from another prior than the manifest's."""
    if plan.prior and SAMPLER not in plan.parts and before and SAMPLER in before.manifest.parts:
        raise BundleError(
            f"{before.folder} has a sampler, whose prior would be replaced, and this export makes "
            "none: give another -o"
        )
