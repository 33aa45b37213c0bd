"""Judge a sampler, which is made from a verified decoder, at export and afterwards."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

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
from aeonnx.runtime.interface import sizes_of
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


def compare_sampler(graph: Run, decode: Run | None, draws: SamplerReference) -> list[ComparedAt]:
    """Compare a sampler with numpy's draws and torch's decoder, and with the decoder's graph.

    Its images must equal, to the bit, those of the decoder's graph for the same latents.

    Args:
        graph: runs the sampler, at the batch sizes that it accepts.
        decode: runs the decoder's graph, for any number of rows; None without one.
        draws: the sampler's reference.

    Returns:
        A report for each size of the axes, the usual ones first.
    """
    plan = comparisons(draws.decoder)
    return [
        _compared(graph, decode, draws, item, _FEW if place else len(_INDICES))
        for place, item in enumerate(plan)
    ]


def _compared(
    graph: Run, decode: Run | None, draws: SamplerReference, item: Comparison, most: int
) -> ComparedAt:
    """The report at one size, from at most so many rows."""
    interface = at_sizes(draws.interface, item.sizes)
    rows = _rows(interface, min(most, item.effort.rows))
    report = compare_runs(
        SAMPLER, interface, graph, draws, rows, limit=_limit, sizes=item.sizes, effort=item.effort
    )
    unlike = None
    if decode is not None:
        outputs = any_rows(interface, graph)(rows.values)
        z, *others = draws.decoder.inputs
        given = {spec.name: rows.values[spec.name] for spec in others}
        decoded = decode({z.name: outputs[z.name], **given})[draws.decoder.outputs[0].name]
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
        decoder: the original part, whose output has a range.
        prior: what latents are drawn from.
    """

    decoder: Part
    prior: Distribution

    @cached_property
    def interface(self) -> Part:
        """The interface of the sampler."""
        return sampler_part(self.decoder)

    @property
    def bounds(self) -> Bounds:
        """Range of the images."""
        bounds = self.decoder.outputs[0].range
        assert bounds is not None  # noqa: S101  # the plan has no sampler without a range
        return bounds

    def single(self, inputs: Mapping[str, Array]) -> Arrays:
        return self._decoded(self._decoder.single, inputs)

    def double(self, inputs: Mapping[str, Array]) -> Arrays:
        z = self.decoder.inputs[0].name
        return {**self._decoded(self._decoder.double, inputs), z: self._latents(inputs)}

    def perturbed(self, inputs: Mapping[str, Array], draw: int = 0) -> Arrays:  # noqa: ARG002  # exact
        return self.double(inputs)

    @cached_property
    def _decoder(self) -> Reference:
        return Reference(self.decoder)

    def _decoded(self, decode: Run, inputs: Mapping[str, Array]) -> Arrays:
        name = self.decoder.inputs[0].name
        z = self._latents(inputs).astype(np.float32)
        image = decode({**inputs, name: z})[self.decoder.outputs[0].name]
        return {name: z, "image": to_pixels(image, self.bounds)}

    def _latents(self, inputs: Mapping[str, Array]) -> Array:
        known = {spec.name: inputs[spec.name] for spec in self.interface.inputs}
        shape = shape_at(self.decoder.inputs[0].shape[1:], sizes_of(self.interface, known))
        return transformed(self.prior, int(inputs["seed"][0]), inputs["index"], shape)


def _limit(spec: TensorSpec, stats: ErrorStats) -> float:
    # The last bit of a logarithm or cosine depends on the machine, and may change a pixel by 1.
    return 1.0 if spec.dtype == "uint8" else 2 * stats.resolution
