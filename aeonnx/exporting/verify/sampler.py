"""Judge a sampler, which is made from a verified decoder, at export and afterwards."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from aeonnx.bundle import BATCH, TensorSpec, shape_at
from aeonnx.exporting.options import SAMPLER
from aeonnx.exporting.passes.pixels import pixel_mismatch
from aeonnx.exporting.passes.sampler import sampler_specs
from aeonnx.exporting.sizes import at_sizes
from aeonnx.exporting.verify.effort import Comparison, comparisons
from aeonnx.exporting.verify.inputs import ComparedAt
from aeonnx.exporting.verify.probes import Rows, filled
from aeonnx.exporting.verify.reference import Arrays, Reference
from aeonnx.exporting.verify.runs import compare_runs
from aeonnx.exporting.verify.tolerance import ErrorStats
from aeonnx.io.pixels import Bounds, to_pixels
from aeonnx.models import Part
from aeonnx.runtime.batching import Run, any_rows, whole_batches
from aeonnx.runtime.prior import Distribution, transformed
from aeonnx.runtime.session import Array

__all__ = ["KIND", "SamplerReference", "compare_sampler", "sampler_part"]

KIND = "index"
"""The kind of the rows that a sampler is compared on."""

_SEED = 0x0123456789ABCDEF
_INDICES = (0, 2**63 - 1, 2**32, 2**32 - 1, *range(1, 30))
"""Small and large ones, that integer arithmetic could get wrong."""
_FEW = 8  # of them, at sizes other than the usual ones


def sampler_part(decoder: Part) -> Part:
    """The interface of the sampler that is made of a decoder."""
    inputs, outputs = sampler_specs(decoder.inputs, decoder.outputs[0])
    # Which random number a place gets depends on the size of the whole: it has no tiles.
    axes = {
        name: axis if name == BATCH else replace(axis, margin=None)
        for name, axis in decoder.axes.items()
    }
    return replace(decoder, inputs=inputs, outputs=outputs, axes=axes)


def compare_sampler(
    decoder: Part, graph: Run, decode: Run | None, prior: Distribution
) -> list[ComparedAt]:
    """Compare a sampler with numpy's draws and torch's decoder, and with the decoder's graph.

    Its images must equal, to the bit, those of the decoder's graph for the same latents.

    Args:
        decoder: the original part.
        graph: runs the sampler, at the batch sizes that it accepts.
        decode: runs the decoder's graph, for any number of rows; None without one.
        prior: what latents are drawn from.

    Returns:
        A report for each size of the axes, the usual ones first.
    """
    plan = comparisons(decoder)
    return [
        _compared(decoder, graph, decode, prior, item, _FEW if place else len(_INDICES))
        for place, item in enumerate(plan)
    ]


def _compared(
    decoder: Part,
    graph: Run,
    decode: Run | None,
    prior: Distribution,
    item: Comparison,
    most: int,
) -> ComparedAt:
    """The report at one size, from at most so many rows."""
    at = at_sizes(decoder, item.sizes)
    interface = at_sizes(sampler_part(decoder), item.sizes)
    draws = SamplerReference.of(at, prior)
    z, reconstruction = draws.z, draws.reconstruction
    rows = _rows(interface, min(most, item.effort.rows))
    report = compare_runs(
        SAMPLER, interface, graph, draws, rows, limit=_limit, sizes=item.sizes, effort=item.effort
    )
    unlike = None
    if decode is not None:
        outputs = any_rows(interface, graph)(rows.values)
        others = {spec.name: rows.values[spec.name] for spec in at.inputs[1:]}
        decoded = decode({z.name: outputs[z.name], **others})[reconstruction.name]
        whose = "the decoder for the same latents"
        unlike = pixel_mismatch(SAMPLER, outputs["image"], to_pixels(decoded, draws.bounds), whose)
    failures = (*report.failures, *([unlike] if unlike else []))
    return ComparedAt(report.checks, failures, kinds=report.kinds, rows=rows, sizes=item.sizes)


def _rows(interface: Part, most: int) -> Rows:
    """One seed, and indices."""
    index = whole_batches(interface, np.array(_INDICES[:most]))
    known = {"seed": np.array([_SEED]), "index": index}
    return Rows.of(interface, filled(interface.inputs, known, len(index)), KIND)


@dataclass(frozen=True)
class SamplerReference:
    """The reference of a sampler: numpy draws latents, torch decodes them; see `Reference`.

    Args:
        prior: what latents are drawn from.
        decoder: the decoder in torch.
        z: the latent.
        reconstruction: the decoder's image.
        bounds: range of the image.
    """

    prior: Distribution
    decoder: Reference
    z: TensorSpec
    reconstruction: TensorSpec
    bounds: Bounds

    @staticmethod
    def of(decoder: Part, prior: Distribution) -> SamplerReference:
        """That of the sampler that is made of a decoder, at one size."""
        z, image = decoder.inputs[0], decoder.outputs[0]
        assert image.range is not None  # noqa: S101  # the plan has no sampler without a range
        return SamplerReference(prior, Reference(decoder), z, image, image.range)

    def single(self, inputs: Mapping[str, Array]) -> Arrays:
        z = self._latents(inputs).astype(np.float32)
        image = self.decoder.single({**inputs, self.z.name: z})[self.reconstruction.name]
        return {self.z.name: z, "image": to_pixels(image, self.bounds)}

    def double(self, inputs: Mapping[str, Array]) -> Arrays:
        z = self._latents(inputs)
        given = {**inputs, self.z.name: z.astype(np.float32)}
        image = self.decoder.double(given)[self.reconstruction.name]
        return {self.z.name: z, "image": to_pixels(image, self.bounds)}

    def perturbed(self, inputs: Mapping[str, Array], draw: int = 0) -> Arrays:  # noqa: ARG002  # exact
        return self.double(inputs)

    def _latents(self, inputs: Mapping[str, Array]) -> Array:
        shape = shape_at(self.z.shape[1:], {})
        return transformed(self.prior, int(inputs["seed"][0]), inputs["index"], shape)


def _limit(spec: TensorSpec, stats: ErrorStats) -> float:
    # The last bit of a logarithm or cosine depends on the machine, and may change a pixel by 1.
    return 1.0 if spec.dtype == "uint8" else 2 * stats.resolution
