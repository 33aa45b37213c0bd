"""Graphs made from proven ones: in fewer bits, and with pixels at the edges."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
import onnx

from aeonnx.errors import QualityError
from aeonnx.export.golden import write_golden
from aeonnx.export.pixels import images_of, pixel_spec, require_same_pixels, with_pixels
from aeonnx.export.precision import in_precision
from aeonnx.export.proven import Material, Proven, open_graph, percentiles_of
from aeonnx.export.verify.probes import REAL, Rows, filled, whole
from aeonnx.export.verify.quality import Task, measure, speedup
from aeonnx.export.verify.reference import Arrays, Reference
from aeonnx.export.verify.runs import Truth, compare_runs
from aeonnx.export.verify.tolerance import Limit, Seen, measured
from aeonnx.manifest import TensorSpec, has_rows
from aeonnx.models import Part
from aeonnx.pixels import Bounds, from_pixels, to_pixels
from aeonnx.runtime import Report
from aeonnx.runtime.batching import any_rows
from aeonnx.runtime.interface import batch_of, taken
from aeonnx.runtime.session import Array
from aeonnx.runtime.verbs import PARTS

__all__ = ["PixelTruth", "in_fewer_bits", "over_pixels"]

_STORED = 16  # rows of golden vectors
_CALIBRATED_AT_ONCE = 64  # rows
_WORTH = 1.1  # times as fast as fp32, for a variant that is not smaller
_WAY_OUT = "Nothing was written: choose parts with --part, or leave the precision out"


def in_fewer_bits(base: Proven, precision: str, material: Material, decoder: Proven) -> Proven:
    """A part in fp16 or int8, in the smallest form that passes its gate.

    Args:
        base: the part in fp32 with float images.
        precision: "fp16" or "int8".
        material: what it is made of.
        decoder: in fp32, to see what latents become.

    Raises:
        QualityError: every form crashes, loses more than the gate allows, or is not smaller than
            fp32.
        GraphError: the target lacks one of its operators.
    """
    what, part = f"{base.part} in {precision}", material.parts[base.part]
    task = _task(base.part, material, decoder)
    calibration = _Calibration(part, _in_use(part, material.train))
    fp32 = onnx.load_model_from_string(base.graph.data)
    forms = in_precision(fp32, precision, calibration.batches)
    if not forms:
        raise QualityError(
            f"{what}: it has no layer with weights, of which fewer bits would make it smaller. "
            f"{_WAY_OUT}"
        )
    lost = []
    for form in forms:
        try:
            found = _judged(base, form, precision, material, task, next(calibration.batches()))
        except QualityError as error:
            lost.append(f"{error}")
            continue
        _require_worth(what, base, found, task)
        return found
    raise QualityError(f"{what}: {'; with its last layer in fp32, '.join(lost)}. {_WAY_OUT}")


def _judged(
    base: Proven,
    form: onnx.ModelProto,
    precision: str,
    material: Material,
    task: Task,
    batch: Mapping[str, Array],
) -> Proven:
    """One form, compared with fp32 and with torch.

    Raises:
        QualityError: it crashes or loses too much; says how.
    """
    part = material.parts[base.part]
    graph, session = open_graph(form, base.part, precision, material, tried_on=batch)
    run = any_rows(part, session.run)
    losses = {loss.output: loss for loss in measure(part, precision, task, base.run, run)}
    _require_kept([line for loss in losses.values() for line in loss.failures])
    # Edges that no image comes near would make the differences so wide that they mean nothing.
    images = Rows.of(part, task.inputs, "test")
    rows = whole(part, images)
    stored = whole(part, images.first_of(part, ("test",), _STORED))
    truth = Reference(part)
    report = compare_runs(
        base.part,
        part,
        session.run,
        truth,
        rows,
        variant=precision,
        limit=lambda spec, _: losses[spec.name].tolerance,
    )
    # At batches of any size, and not of all test images alone.
    _require_kept([line for c in report.checks for line in losses[c.output].too_large(c.needed)])
    failures = [*report.failures]
    for key, value in run(base.rows.values).items():  # on edges too
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
        quality={name: loss.found for name, loss in losses.items()},
        percentiles=percentiles_of(part, run, material.train),
    )


def _require_kept(failures: list[str]) -> None:
    if failures:
        raise QualityError(", and ".join(failures))


def _require_worth(what: str, base: Proven, found: Proven, task: Task) -> None:
    """Refuse what is neither smaller nor faster."""
    before, after = len(base.graph.data), len(found.graph.data)
    if after < before:
        return
    faster = speedup(task, base.run, found.run)
    if faster < _WORTH:
        raise QualityError(
            f"{what} is not worth it: {after:,} bytes, where fp32 has {before:,}, and "
            f"{faster:.2f} times as fast. {_WAY_OUT}"
        )


def over_pixels(base: Proven, material: Material) -> Proven:
    """The same graph with uint8 images at its edges.

    Raises:
        ParityError: its pixels are not, bit for bit, those that numpy makes of the float graph's.
        GraphError: the target lacks one of its operators.
    """
    part = material.parts[base.part]
    images = images_of(part)
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
    expected = as_pixels(base.run(as_floats(rows.values, images)), images)
    given = any_rows(interface, session.run)(rows.values)
    for key in images.keys() & expected.keys():
        what = f"{base.part} ({name}): {key}"
        require_same_pixels(what, given[key], expected[key], "the float graph")
    truth = PixelTruth(Reference(part), images)
    exact = base.variant == "fp32"
    limit = _exact_pixels if exact else _lossy_pixels(base, images)
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
    images: Mapping[str, Bounds]

    def single(self, inputs: Mapping[str, Array]) -> Arrays:
        """See `Reference.single`; and so on."""
        return as_pixels(self.truth.single(as_floats(inputs, self.images)), self.images)

    def double(self, inputs: Mapping[str, Array]) -> Arrays:
        return as_pixels(self.truth.double(as_floats(inputs, self.images)), self.images)

    def rounded(self, inputs: Mapping[str, Array], draw: int = 0) -> Arrays:
        return as_pixels(self.truth.rounded(as_floats(inputs, self.images), draw), self.images)


def as_pixels(arrays: Mapping[str, Array], images: Mapping[str, Bounds]) -> Arrays:
    """The arrays, with those named in `images` as pixels of these ranges."""
    return {
        key: to_pixels(value, images[key]) if key in images else value
        for key, value in arrays.items()
    }


def as_floats(arrays: Mapping[str, Array], images: Mapping[str, Bounds]) -> Arrays:
    """The arrays, with the pixels among them, named in `images`, as floats in these ranges."""
    return {
        key: from_pixels(value, images[key]) if key in images else value
        for key, value in arrays.items()
    }


def _task(name: str, material: Material, decoder: Proven) -> Task:
    part, taken = material.parts[name], decoder.interface.inputs
    inputs = _in_use(part, material.test)
    image = material.parts["encoder"].inputs[0]
    first, latent = part.outputs[0], taken[0]
    # Scores of as many classes as a latent has numbers look like latents: the verb tells.
    gives_latents = first.shape == latent.shape and name != PARTS["classify"]

    def decode(z: Array) -> Array:
        beside = filled(taken[1:], {**material.test, **inputs}, len(z))
        given = {spec.name: z if spec is latent else beside[spec.name] for spec in taken}
        answer: Array = decoder.run(given)[decoder.interface.outputs[0].name]
        return answer

    return Task(
        inputs=inputs,
        images=material.test[image.name],
        bounds=image.range,
        classes=len(material.trained.config.classes),
        latents=first.name if gives_latents else None,
        decode=decode,
        decoded=decoder.interface.outputs[0],
    )


def _in_use(part: Part, known: Mapping[str, Array]) -> dict[str, Array]:
    """All inputs of a part as they occur in use: what is not known is drawn from its range."""
    found = filled(part.inputs, known, max(map(len, known.values())))
    return {
        spec.name: found[spec.name]
        if has_rows(part, spec)
        else found[spec.name][: int(spec.shape[0])]
        for spec in part.inputs
    }


@dataclass(frozen=True)
class _Calibration:
    """Inputs that activations range over.

    Args:
        part: what takes them.
        inputs: by name.
    """

    part: Part
    inputs: Mapping[str, Array]

    def batches(self, size: int = _CALIBRATED_AT_ONCE) -> Iterator[dict[str, Array]]:
        """All rows, so many at once, or as many as the part is fixed to."""
        rows = whole(self.part, Rows.of(self.part, self.inputs, REAL))
        step = batch_of(self.part) or size
        for start in range(0, len(rows.kinds), step):
            yield taken(self.part, rows.values, slice(start, start + step))


def _exact_pixels(spec: TensorSpec, seen: Seen) -> float:
    # One step of a pixel: a last bit may turn the rounding.
    return 1.0 if spec.dtype == "uint8" else measured(spec, seen)


def _lossy_pixels(base: Proven, images: Mapping[str, Bounds]) -> Limit:
    """The tolerances of the float graph, in pixels where those are given."""
    tolerances = {check.output: check.tolerance for check in base.report.checks}

    def limit(spec: TensorSpec, _: Seen) -> float:
        tolerance = tolerances[spec.name]
        if spec.dtype != "uint8":
            return tolerance
        low, high = images[spec.name]
        return min(tolerance / (high - low) * 255 + 1.0, 255.0)  # both sides are rounded

    return limit
