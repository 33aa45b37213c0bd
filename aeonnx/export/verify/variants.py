"""How graphs that are made from proven ones are judged: at export, and by `verify --against`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from aeonnx.bundle import TensorSpec
from aeonnx.export.options import SAMPLER
from aeonnx.export.passes.pixels import images_of, pixel_spec, unlike_pixels
from aeonnx.export.passes.sampler import sampler_specs
from aeonnx.export.verify.probes import Rows, whole
from aeonnx.export.verify.reference import Arrays, Reference
from aeonnx.export.verify.runs import ReferenceFn, compare_runs
from aeonnx.export.verify.tolerance import ErrorStats, measured
from aeonnx.io.pixels import UNIT, Bounds, from_pixels, to_pixels
from aeonnx.models import Part
from aeonnx.runtime import Report
from aeonnx.runtime.batching import Run, any_rows, whole_batches
from aeonnx.runtime.prior import Gaussian, transformed
from aeonnx.runtime.session import Array

__all__ = [
    "PixelReference",
    "SamplerReference",
    "as_floats",
    "as_pixels",
    "compare_lossy",
    "compare_pixels",
    "compare_sampler",
    "over_pixels_of",
    "sampler_reference",
    "sampler_rows",
]

_SEED = 0x0123456789ABCDEF
_INDICES = (*range(30), 2**32 - 1, 2**32, 2**63 - 1)


def compare_lossy(
    name: str,
    part: Part,
    variant: str,
    graph: Run,
    test: Mapping[str, Array],
    every: Rows,
    tolerances: Mapping[str, float],
) -> Report:
    """A graph in fewer bits against torch, on test images; on all other inputs it must be finite.

    Edges that no image comes near would make the differences so wide that they mean nothing.

    Args:
        name, variant: of the graph.
        part: the original.
        graph: what is judged, at the batches that it takes.
        test: inputs for test images, by name.
        every: the rows that the fp32 graph was compared on.
        tolerances: of |graph - torch|, by output.
    """
    report = compare_runs(
        name,
        part,
        graph,
        Reference(part),
        whole(part, Rows.of(part, test, "test")),
        variant=variant,
        limit=lambda spec, _: tolerances[spec.name],
    )
    failures = [
        f"{name} ({variant}): {key}: NaN or infinite values"
        for key, value in any_rows(part, graph)(every.values).items()
        if not np.isfinite(value).all()
    ]
    return Report(report.checks, (*report.failures, *failures))


def over_pixels_of(part: Part) -> Part:
    """The part with uint8 images at its edges."""
    return replace(
        part,
        inputs=tuple(pixel_spec(spec) for spec in part.inputs),
        outputs=tuple(pixel_spec(spec) for spec in part.outputs),
    )


def compare_pixels(
    name: str,
    part: Part,
    variant: str,
    graph: Run,
    floats: Run,
    rows: Rows,
    lossy: Mapping[str, float] | None,
) -> Report:
    """A graph with pixels against numpy's of the float graph, to the bit; and against torch.

    Args:
        name, variant: of the graph.
        part: the original, with float images.
        graph: what is judged, at the batches that it takes.
        floats: the graph with float images that it was made from, for any number of rows.
        rows: with pixels; see `as_pixels`.
        lossy: tolerances of the float graph, if it is in fewer bits; None if it is in fp32.
    """
    images, interface = images_of(part), over_pixels_of(part)
    expected = as_pixels(floats(as_floats(rows.values, images)), images)
    given = any_rows(interface, graph)(rows.values)
    unlike = [
        unlike_pixels(f"{name} ({variant}): {key}", given[key], expected[key], "the float graph")
        for key in images
        if key in expected
    ]

    def limit(spec: TensorSpec, stats: ErrorStats) -> float:
        if lossy is None:  # one step of a pixel: a last bit may turn the rounding
            return 1.0 if spec.dtype == "uint8" else measured(spec, stats)
        if spec.dtype != "uint8":
            return lossy[spec.name]
        low, high = images[spec.name]
        return min(lossy[spec.name] / (high - low) * 255 + 1.0, 255.0)  # both sides are rounded

    reference = PixelReference(Reference(part), images)
    report = compare_runs(name, interface, graph, reference, rows, variant=variant, limit=limit)
    return Report(report.checks, (*report.failures, *filter(None, unlike)))


@dataclass(frozen=True)
class PixelReference:
    """What a graph with pixels should give: the same arithmetic around another truth."""

    reference: ReferenceFn
    images: Mapping[str, Bounds]

    def single(self, inputs: Mapping[str, Array]) -> Arrays:
        """See `Reference.single`; and so on."""
        return as_pixels(self.reference.single(as_floats(inputs, self.images)), self.images)

    def double(self, inputs: Mapping[str, Array]) -> Arrays:
        return as_pixels(self.reference.double(as_floats(inputs, self.images)), self.images)

    def perturbed(self, inputs: Mapping[str, Array], draw: int = 0) -> Arrays:
        return as_pixels(
            self.reference.perturbed(as_floats(inputs, self.images), draw), self.images
        )


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


def sampler_reference(decoder: Part, prior: Gaussian) -> SamplerReference:
    """What a sampler made of a decoder and a prior should give."""
    z, reconstruction = decoder.inputs[0], decoder.outputs[0]
    bounds = reconstruction.range or UNIT  # without a range there is no plan for a sampler
    return SamplerReference(prior, Reference(decoder), z, reconstruction, bounds)


def sampler_rows(interface: Part) -> Rows:
    """A seed, and indices that small and large integers can go wrong at."""
    index = whole_batches(interface, np.array(_INDICES))
    return Rows.of(interface, {"seed": np.array([_SEED]), "index": index}, "index")


def compare_sampler(
    decoder: Part, graph: Run, decode: Run | None, draws: SamplerReference
) -> Report:
    """A sampler against numpy's draws and torch's decoder; and, to the bit, the decoder's graph.

    Args:
        decoder: the original.
        graph: what is judged, at the batches that it takes.
        decode: the decoder's graph, for any number of rows; None without one.
        draws: what it should give.
    """
    z, reconstruction = decoder.inputs[0], decoder.outputs[0]
    interface = Part(decoder.module, *sampler_specs(z, reconstruction))
    rows = sampler_rows(interface)
    report = compare_runs(SAMPLER, interface, graph, draws, rows, limit=_limit)
    if decode is None:
        return report
    outputs = any_rows(interface, graph)(rows.values)
    decoded = decode({z.name: outputs[z.name]})[reconstruction.name]
    whose = "the decoder for the same latents"
    unlike = unlike_pixels(SAMPLER, outputs["image"], to_pixels(decoded, draws.bounds), whose)
    return Report(report.checks, (*report.failures, *([unlike] if unlike else [])))


@dataclass(frozen=True)
class SamplerReference:
    """What a sampler should give; see `Reference`."""

    prior: Gaussian
    decoder: Reference
    z: TensorSpec
    reconstruction: TensorSpec
    bounds: Bounds

    def single(self, inputs: Mapping[str, Array]) -> Arrays:
        z = self._latents(inputs).astype(np.float32)
        image = self.decoder.single({self.z.name: z})[self.reconstruction.name]
        return {self.z.name: z, "image": to_pixels(image, self.bounds)}

    def double(self, inputs: Mapping[str, Array]) -> Arrays:
        z = self._latents(inputs)
        image = self.decoder.double({self.z.name: z.astype(np.float32)})[self.reconstruction.name]
        return {self.z.name: z, "image": to_pixels(image, self.bounds)}

    def perturbed(self, inputs: Mapping[str, Array], draw: int = 0) -> Arrays:  # noqa: ARG002  # exact
        return self.double(inputs)

    def _latents(self, inputs: Mapping[str, Array]) -> Array:
        size = int(self.z.shape[1])
        return transformed(self.prior, int(inputs["seed"][0]), inputs["index"], size)


def _limit(spec: TensorSpec, stats: ErrorStats) -> float:
    # The last bit of a logarithm or cosine is the machine's own; and may turn a pixel's rounding.
    return 1.0 if spec.dtype == "uint8" else 2 * stats.resolution
