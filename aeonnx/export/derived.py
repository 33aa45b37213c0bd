"""Graphs made from proven ones: in fewer bits, and with pixels at the edges."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import onnx

from aeonnx.errors import QualityError
from aeonnx.export.golden import write_golden
from aeonnx.export.pixels import is_image, pixel_spec, require_same_pixels, with_pixels
from aeonnx.export.precision import in_precision
from aeonnx.export.proven import Material, Proven, open_graph, percentiles_of
from aeonnx.export.verify.probes import Rows, whole
from aeonnx.export.verify.quality import Task, measure, speedup
from aeonnx.export.verify.reference import Arrays, Reference
from aeonnx.export.verify.runs import Truth, compare_runs
from aeonnx.export.verify.tolerance import Seen, measured
from aeonnx.manifest import Quality, TensorSpec
from aeonnx.models import Part
from aeonnx.pixels import from_pixels, to_pixels
from aeonnx.runtime import Report
from aeonnx.runtime.batching import any_rows, whole_batches
from aeonnx.runtime.interface import batch_of
from aeonnx.runtime.session import Array

__all__ = ["PixelTruth", "in_fewer_bits", "over_pixels"]

_STORED = 16  # rows of golden vectors
_CALIBRATED_AT_ONCE = 64  # rows
_WORTH = 1.1  # times as fast as fp32, for a variant that is not smaller
_BUDGET = 2.0  # times the differences seen here: other machines have other int8 kernels


def in_fewer_bits(base: Proven, precision: str, material: Material, decoder: Proven) -> Proven:
    """A part in fp16 or int8, in the smallest form that passes its gate.

    Args:
        base: the part in fp32 with float images.
        precision: "fp16" or "int8".
        material: what it is made of.
        decoder: in fp32, to see what latents become.

    Raises:
        QualityError: every form loses more than the gate allows, or is not smaller than fp32.
        GraphError: the target lacks one of its operators.
    """
    part = material.parts[base.part]
    task = _task(part, material, decoder)
    lost = []
    calibration = {
        spec.name: whole_batches(part, material.train[spec.name]) for spec in part.inputs
    }
    fp32 = onnx.load_model_from_string(base.graph.data)
    forms = in_precision(fp32, precision, calibration, batch_of(part) or _CALIBRATED_AT_ONCE)
    if not forms:
        raise QualityError(
            f"{base.part} in {precision}: it has no layer with weights, of which fewer bits would "
            "make it smaller. Nothing was written: choose parts with --part, or leave the "
            "precision out"
        )
    for form in forms:
        graph, session = open_graph(form, base.part, precision, material)
        run = any_rows(part, session.run)
        quality = measure(part, precision, task, base.run, run)
        if quality.drop <= quality.largest_drop:
            break
        lost.append(_told(quality))
    else:
        raise QualityError(
            f"{base.part} in {precision}: {'; with its last layer in fp32, '.join(lost)}. Nothing "
            "was written: choose parts with --part, or leave the precision out"
        )
    if len(graph.data) >= len(base.graph.data):
        faster = speedup(task, base.run, run)
        if faster < _WORTH:
            raise QualityError(
                f"{base.part} in {precision} is not worth it: {len(graph.data):,} bytes, where "
                f"fp32 has {len(base.graph.data):,}, and {faster:.2f} times as fast. Nothing was "
                "written: leave the precision out"
            )
    # Edges that no image comes near would make the budget so wide that it could refuse nothing.
    images = Rows.of(part, task.inputs, "test")
    rows = whole(part, images)
    stored = whole(part, images.first_of(part, ("test",), _STORED))
    truth = Reference(part)
    report = compare_runs(
        base.part, part, session.run, truth, rows, variant=precision, limit=_budget
    )
    failures = [*report.failures]
    for key, value in run(
        base.rows.values
    ).items():  # on edges too, fp16 may not pass its largest number
        if not np.isfinite(value).all():
            failures.append(f"{base.part} ({precision}): {key}: NaN or infinite values")
    return replace(
        base,
        variant=precision,
        graph=graph,
        session=session,
        report=Report(report.checks, tuple(failures)),
        rows=rows,
        stored=stored,
        golden=write_golden(material.staged, f"{base.part}.use", stored.values, truth),
        quality=quality,
        percentiles=percentiles_of(part, run, material.train),
    )


def over_pixels(base: Proven, material: Material) -> Proven:
    """The same graph with uint8 images at its edges.

    Raises:
        ParityError: its pixels are not, bit for bit, those that numpy makes of the float graph's.
        GraphError: the target lacks one of its operators.
    """
    part = material.parts[base.part]
    images = {spec.name for spec in (*part.inputs, *part.outputs) if is_image(spec)}
    interface = replace(
        part,
        inputs=tuple(pixel_spec(spec) for spec in part.inputs),
        outputs=tuple(pixel_spec(spec) for spec in part.outputs),
    )
    name = f"{base.variant}-uint8"
    changed = with_pixels(onnx.load_model_from_string(base.graph.data), images)
    graph, session = open_graph(changed, base.part, name, material)
    rows, stored = (
        replace(item, values=as_pixels(item.values, images)) for item in (base.rows, base.stored)
    )
    expected = as_pixels(base.run(as_floats(rows.values)), images)
    given = any_rows(interface, session.run)(rows.values)
    for key in images & expected.keys():
        what = f"{base.part} ({name}): {key}"
        require_same_pixels(what, given[key], expected[key], "the float graph")
    truth = PixelTruth(Reference(part), images)
    exact = base.variant == "fp32"
    limit = _exact_pixels if exact else _lossy_pixels
    report = compare_runs(base.part, interface, session.run, truth, rows, variant=name, limit=limit)
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
        golden=write_golden(material.staged, where, stored.values, truth),
    )


@dataclass(frozen=True)
class PixelTruth:
    """What a graph with pixels should give: the same arithmetic around another truth."""

    truth: Truth
    images: set[str]

    def single(self, inputs: Mapping[str, Array]) -> Arrays:
        """See `Reference.single`; and so on."""
        return as_pixels(self.truth.single(as_floats(inputs)), self.images)

    def double(self, inputs: Mapping[str, Array]) -> Arrays:
        return as_pixels(self.truth.double(as_floats(inputs)), self.images)

    def rounded(self, inputs: Mapping[str, Array], draw: int = 0) -> Arrays:
        return as_pixels(self.truth.rounded(as_floats(inputs), draw), self.images)


def as_pixels(arrays: Mapping[str, Array], images: set[str]) -> Arrays:
    """The arrays, with those named in `images` as pixels."""
    return {key: to_pixels(value) if key in images else value for key, value in arrays.items()}


def as_floats(arrays: Mapping[str, Array]) -> Arrays:
    """The arrays, with pixels as floats."""
    return {
        key: from_pixels(value) if value.dtype == np.uint8 else value
        for key, value in arrays.items()
    }


def _task(part: Part, material: Material, decoder: Proven) -> Task:
    first = part.outputs[0]
    latent = decoder.interface.inputs[0]
    gives_latents = first.shape == latent.shape and not is_image(first)

    def decode(z: Array) -> Array:
        answer: Array = decoder.run({latent.name: z})[decoder.interface.outputs[0].name]
        return answer

    inputs = {spec.name: material.test[spec.name] for spec in part.inputs}
    images = material.test[material.parts["encoder"].inputs[0].name]
    return Task(inputs, images, decode if gives_latents else None)


def _told(quality: Quality) -> str:
    unit = " dB of PSNR" if quality.metric == "psnr" else " of the labels' agreement"
    return (
        f"it loses {quality.drop:.3g}{unit} on {quality.images} test images "
        f"({quality.fp32:.4g} -> {quality.value:.4g}), at most {quality.largest_drop:g} is allowed"
    )


def _budget(_: TensorSpec, seen: Seen) -> float:
    return max(_BUDGET * max(seen.absolute, seen.error), seen.resolution)


def _exact_pixels(spec: TensorSpec, seen: Seen) -> float:
    # One step of a pixel: a last bit may turn the rounding.
    return 1.0 if spec.dtype == "uint8" else measured(spec, seen)


def _lossy_pixels(spec: TensorSpec, seen: Seen) -> float:
    budget = _budget(spec, seen)
    return max(1.0, budget) if spec.dtype == "uint8" else budget
