"""Verify a bundle against its checkpoint: repeat the comparisons of the export."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from aeonnx import checkpoint
from aeonnx.bundle import BATCH, Golden
from aeonnx.catalog.source import Source
from aeonnx.checkpoint import Checkpoint
from aeonnx.errors import BundleError
from aeonnx.exporting.capture.program import program_of
from aeonnx.exporting.ensemble import with_ensemble
from aeonnx.exporting.options import SAMPLER
from aeonnx.exporting.passes.pixels import images_of
from aeonnx.exporting.plan import with_fixed_batch
from aeonnx.exporting.scores import measure_of, with_score
from aeonnx.exporting.sizes import at_usual, usual_sizes
from aeonnx.exporting.sources.external import from_source
from aeonnx.exporting.sources.outputs import ready
from aeonnx.exporting.verify.calibration import own_inputs, parts_at, task_of
from aeonnx.exporting.verify.effort import comparisons
from aeonnx.exporting.verify.inputs import (
    compare_sizes,
    few_rows,
    real_inputs,
    rows_of,
    train_inputs,
    verify_composed,
)
from aeonnx.exporting.verify.probes import Rows, whole
from aeonnx.exporting.verify.quality import Task, measure
from aeonnx.exporting.verify.reference import Reference
from aeonnx.exporting.verify.runs import OTHER_CODES
from aeonnx.exporting.verify.sampler import SamplerReference, compare_sampler
from aeonnx.exporting.verify.variants import (
    as_floats,
    as_pixels,
    compare_lossy,
    compare_pixels,
)
from aeonnx.models import Part
from aeonnx.runtime import Bundle, Report, Session
from aeonnx.runtime.batching import Run, any_rows
from aeonnx.runtime.compare import merged
from aeonnx.runtime.interface import batch_of, stored_sizes
from aeonnx.runtime.prior import Distribution, Gaussian, stored_prior
from aeonnx.runtime.session import Array
from aeonnx.runtime.verification import entry

__all__ = ["origin", "verify_checkpoint"]


def origin(bundle: Bundle, source: Source) -> Checkpoint:
    """Load the model at `source`, from which the bundle was exported.

    Raises:
        CheckpointError: the checkpoint is missing, damaged or of another model, or weights do not
            fit the module.
        UsageError: there is no such module or factory, or it returns no usable parts.
        ModuleError: the module's own code raises an error.
        GraphError: weights of the module cannot be exported.
        BundleError: the bundle was exported from another checkpoint.
    """
    name = bundle.manifest.model
    if source.from_source:
        trained = from_source(replace(source, latents=_latents(bundle)), name)
    elif source.checkpoint:
        trained = checkpoint.load(source.checkpoint, name)
    if trained.checkpoint_id != bundle.manifest.checkpoint_id:
        raise BundleError(
            f"{bundle.folder} was not exported from {source}: its checkpoint id is "
            f"{bundle.manifest.checkpoint_id[:12]}, the checkpoint's {trained.checkpoint_id[:12]}"
        )
    return trained


def _latents(bundle: Bundle) -> str:
    """Which latents the bundle was exported with, one of `LATENTS`."""
    specs = [
        spec
        for variants in bundle.manifest.parts.values()
        for spec in (*variants["fp32"].inputs, *variants["fp32"].outputs)
    ]
    scaled = any(spec.scaling is not None and spec.scaling.in_graph for spec in specs)
    return "scaled" if scaled else "plain"


def verify_checkpoint(bundle: Bundle, source: Path | Source) -> Report:
    """Compare every graph of a bundle with the live model, as the export did.

    Parts in fp32 are compared alone and composed. Reduced-precision variants are measured on test
    images, at each size that they have golden vectors of, and must stay within the limits and the
    tolerances that follow from them; without test images, as for a module from outside aeonnx, they
    are compared on their golden inputs, within the tolerances in the manifest. Graphs with uint8
    pixels must equal those with floats to the bit. The sampler is compared with numpy's draws.

    Args:
        bundle: opened with the providers to compare on.
        source: the checkpoint's folder or file, or a module from outside aeonnx.

    Raises:
        CheckpointError: the checkpoint is missing, damaged or of another model, or weights do not
            fit the module.
        UsageError: there is no such module or factory, or it returns no usable parts.
        ModuleError: the module's own code raises an error.
        GraphError: weights of the module cannot be exported.
        BundleError: the bundle was exported from another checkpoint.
    """
    source = source if isinstance(source, Source) else Source(source)
    judge = _judge(bundle, origin(bundle, source))
    reports = [
        entry(part, variant, partial(judge.judged, part, variant))
        for part, variants in sorted(bundle.manifest.parts.items())
        for variant in variants  # fp32 first
    ]
    return merged([*reports, entry("decoder(encoder)", "fp32", judge.composed)])


@dataclass(frozen=True)
class _At:
    """Where a variant is judged.

    Args:
        parts: of the model, at these sizes.
        sizes: of the axes other than that of rows.
        golden: golden vectors of these sizes.
    """

    parts: Mapping[str, Part]
    sizes: Mapping[str, int]
    golden: Golden


@dataclass(frozen=True)
class _Judge:
    """Judges the graphs of a bundle against the model.

    Args:
        bundle: the bundle with the graphs.
        parts: parts of the model, with the batch axis of the graphs.
        real: inputs for test images, by tensor name; empty without test images.
        classes: number of classes of the model.
        rows: by part, the rows that its fp32 graph is compared on; filled on demand.
    """

    bundle: Bundle
    parts: Mapping[str, Part]
    real: Mapping[str, Array]
    classes: int
    rows: dict[str, Rows]

    def judged(self, part: str, variant: str) -> Report:
        """Compare one graph."""
        needed = "decoder" if part == SAMPLER else part
        if needed not in self.parts:
            return Report((), (f"{part}: the model has no part {needed}",))
        if part == SAMPLER:
            draws = SamplerReference(self.parts["decoder"], self.prior)
            return merged(compare_sampler(self.bundle.session(part).run, self.decode, draws))
        session = self.bundle.session(part, variant)
        if variant == "fp32":
            return self._floats(part, session)
        precision, _, pixels = variant.partition("-")
        judge = self._pixels if pixels else self._reduced
        stored = self.bundle.variant(part, variant).golden
        places = [self._at(part, variant, golden) for golden in stored]
        return merged([judge(part, precision, session.run, at) for at in places])

    def _at(self, part: str, variant: str, golden: Golden) -> _At:
        """The sizes at which a variant has golden vectors, and was judged at its export."""
        found = stored_sizes(self.bundle.variant(part, variant), golden)
        sizes = {axis: size for axis, size in found.items() if axis != BATCH}
        return _At(parts_at(self.parts, sizes), sizes, golden)

    def _pixels(self, part: str, precision: str, graph: Run, at: _At) -> Report:
        """Compare a graph with pixels with that of floats, and with torch."""
        known = at.parts[part]
        lossy = None if precision == "fp32" else self._recorded(part, precision, at.sizes)
        rows = self._every(part, at)
        if lossy is not None:
            rows = whole(known, Rows.of(known, self._task(part, at).inputs, "test"))
        images = images_of(known)
        given = replace(rows, values=as_pixels(rows.values, images))
        floats = any_rows(known, self.bundle.session(part, precision).run)
        variant = f"{precision}-uint8"
        return compare_pixels(part, known, variant, graph, floats, given, lossy, at.sizes)

    def _floats(self, part: str, session: Session) -> Report:
        """Compare an fp32 graph at the usual sizes of its axes, and at others."""
        known = self.parts[part]
        program, plan = program_of(known), comparisons(known)
        found, _ = compare_sizes(part, known, session, program, self.real, plan)
        self.rows[part] = found[0].rows
        return merged(found)

    @property
    def usual(self) -> dict[str, Part]:
        """The parts at the usual sizes of their axes."""
        return {name: at_usual(part) for name, part in self.parts.items()}

    def composed(self) -> Report:
        """Compare decoder(encoder(x)); an empty report if the bundle lacks one."""
        there = self.bundle.manifest.parts.keys() & self.parts.keys()
        sessions = {name: self.bundle.session(name) for name in there & {"encoder", "decoder"}}
        return verify_composed(self.parts, sessions, None, self.real)

    def every(self, part: str) -> Rows:
        """The rows that an fp32 graph is compared on."""
        if part not in self.rows:
            item, usual = comparisons(self.parts[part])[0], self.usual[part]
            real = own_inputs(part, usual, self.real)
            if item.thorough:
                program = program_of(self.parts[part])
                self.rows[part], _ = rows_of(usual, program, real, item.effort)
            else:
                self.rows[part] = few_rows(usual, real, item.effort.rows)
        return self.rows[part]

    @property
    def prior(self) -> Distribution:
        """The prior that the sampler draws from."""
        prior = self.bundle.manifest.prior
        return stored_prior(prior, self.bundle.read_golden) if prior else Gaussian()

    @property
    def decode(self) -> Run | None:
        """The decoder's fp32 graph; None if the bundle has none."""
        if "decoder" not in self.bundle.manifest.parts:
            return None
        return any_rows(self.parts["decoder"], self.bundle.session("decoder").run)

    def _reduced(self, part: str, precision: str, graph: Run, at: _At) -> Report:
        """Measure what a graph loses, and compare it with torch."""
        known, task = at.parts[part], self._task(part, at)
        tolerances, missed = self._recorded(part, precision, at.sizes), list[str]()
        if self.real:
            floats = any_rows(known, self.bundle.session(part).run)
            losses = measure(known, precision, task, floats, any_rows(known, graph))
            tolerances = {loss.output: loss.tolerance for loss in losses}
            missed = [f"{part} ({precision}): {line}" for loss in losses for line in loss.missed]
        every = self._every(part, at)
        report = compare_lossy(
            part, known, precision, graph, task.inputs, every, tolerances, at.sizes
        )
        return Report(report.checks, (*missed, *report.failures))

    def _every(self, part: str, at: _At) -> Rows:
        """The rows that an fp32 graph is compared on at these sizes."""
        if at.sizes == usual_sizes(self.parts[part]):
            return self.every(part)
        known = at.parts[part]
        return few_rows(known, {})

    def _task(self, part: str, at: _At) -> Task:
        """Inputs of a part: those for test images, or else those of its golden vectors."""
        if not self.real:
            stored = at.golden.inputs
            inputs = {name: self.bundle.read_golden(tensor) for name, tensor in stored.items()}
            uint8 = {name for name, value in inputs.items() if value.dtype == np.uint8}
            images = images_of(at.parts[part])
            inputs = as_floats(inputs, {name: images[name] for name in images.keys() & uint8})
            return Task(inputs, next(iter(inputs.values())), None, 0)
        decode = self.decode
        if decode is None and "decoder" in self.parts:
            decode = Reference(self.parts["decoder"]).single
        task = task_of(part, at.parts, self.real, self.classes, decode)
        return replace(task, sizes=at.sizes)

    def _recorded(self, part: str, variant: str, sizes: Mapping[str, int]) -> dict[str, float]:
        """The tolerances of a graph at its export, by output."""
        parity = self.bundle.variant(part, variant).parity
        return {
            name: max(
                (
                    item.tolerance
                    for item in kinds
                    if item.sizes == sizes and item.inputs != OTHER_CODES
                ),
                default=0.0,
            )
            for name, kinds in parity.items()
        }


def _judge(bundle: Bundle, trained: Checkpoint) -> _Judge:
    declared, there = trained.model.parts(), bundle.manifest.parts
    if "denoiser" in there and there["denoiser"]["fp32"].ensemble > 1:
        declared = with_ensemble(declared, there["denoiser"]["fp32"].ensemble)
    if "scorer" in there:
        score = measure_of(there["scorer"]["fp32"].outputs)
        declared = with_score(declared, score, partial(train_inputs, trained, dict(declared)))
    parts = {}
    for name, part in declared.items():
        batch = batch_of(bundle.variant(name)) if name in there else _any_batch(bundle)
        fixed = with_fixed_batch(part, batch)
        parts[name] = ready(name, fixed) if name in there or name == "decoder" else fixed
        declared[name] = replace(part, module=parts[name].module)
    real = real_inputs(trained, declared)
    return _Judge(bundle, parts, real, len(trained.config.classes), {})


def _any_batch(bundle: Bundle) -> int | None:
    """The fixed batch size of a graph of the bundle, mostly that of all; None if dynamic."""
    return next((batch_of(item["fp32"]) for item in bundle.manifest.parts.values()), None)
