"""Judge variants, which are made from verified graphs, at export and afterwards."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np

from aeonnx.bundle import TensorSpec
from aeonnx.exporting.passes.pixels import images_of, pixel_mismatch, pixel_spec
from aeonnx.exporting.verify.batches import in_chunks
from aeonnx.exporting.verify.effort import BATCHES, effort_of
from aeonnx.exporting.verify.probes import Rows, whole
from aeonnx.exporting.verify.reference import Arrays, Reference
from aeonnx.exporting.verify.runs import Compared, ReferenceFn, compare_runs
from aeonnx.exporting.verify.tolerance import ErrorStats, measured
from aeonnx.io.pixels import Bounds, from_pixels, to_pixels
from aeonnx.models import Part
from aeonnx.runtime.batching import Run, any_rows
from aeonnx.runtime.session import Array

__all__ = [
    "PixelReference",
    "as_floats",
    "as_pixels",
    "compare_lossy",
    "compare_pixels",
    "over_pixels_of",
]

_AT_ONCE = max(BATCHES)  # rows: as many as the comparison runs


def compare_lossy(
    name: str,
    part: Part,
    variant: str,
    graph: Run,
    test: Mapping[str, Array],
    every: Rows,
    tolerances: Mapping[str, float],
    sizes: Mapping[str, int] = MappingProxyType({}),
) -> Compared:
    """Compare a reduced-precision graph with torch on test images.

    On all other inputs its outputs need only be finite: differences at edge values far from any
    image are too large to be meaningful.

    Args:
        name, variant: part and variant of the graph.
        part: the original part.
        graph: runs the graph that is judged, at the batch sizes that it accepts.
        test: inputs for test images, by name; the first of them, where rows take long.
        every: the rows that the fp32 graph was compared on.
        tolerances: largest allowed |graph - torch|, by output.
        sizes: of the axes that are dynamic in the graph, for the report.
    """
    effort = effort_of(part)
    report = compare_runs(
        name,
        part,
        graph,
        Reference(part),
        whole(part, Rows.of(part, test, "test").at_most(part, effort.rows)),
        variant=variant,
        limit=lambda spec, _: tolerances[spec.name],
        sizes=sizes,
        effort=effort,
        lossy=True,
    )
    failures = [
        f"{name} ({variant}): {key}: NaN or infinite values"
        for key, value in in_chunks(part, any_rows(part, graph), _AT_ONCE)(every.values).items()
        if not np.isfinite(value).all()
    ]
    return replace(report, failures=(*report.failures, *failures))


def over_pixels_of(part: Part) -> Part:
    """The part with uint8 images as inputs and outputs."""
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
    sizes: Mapping[str, int] = MappingProxyType({}),
) -> Compared:
    """Compare a graph with uint8 pixels with the float graph, to the bit, and with torch.

    numpy converts the pixels of the float graph's inputs and outputs.

    Args:
        name, variant: part and variant of the graph.
        part: the original part, with float images.
        graph: runs the graph that is judged, at the batch sizes that it accepts.
        floats: runs the graph with float images that it was made from, for any number of rows.
        rows: the inputs, with images as pixels; see `as_pixels`. Fewer are compared with torch,
            where rows take long.
        lossy: tolerances of the float graph, if its precision is reduced; None if it is fp32.
        sizes: of the axes that are dynamic in the graph, for the report.
    """
    images, interface = images_of(part), over_pixels_of(part)
    expected = as_pixels(floats(as_floats(rows.values, images)), images)
    given = any_rows(interface, graph)(rows.values)
    unlike = [
        pixel_mismatch(f"{name} ({variant}): {key}", given[key], expected[key], "the float graph")
        for key in images
        if key in expected
    ]

    def limit(spec: TensorSpec, stats: ErrorStats) -> float:
        if lossy is None:  # 1 level of a pixel: a last bit may change its rounding
            return 1.0 if spec.dtype == "uint8" else measured(spec, stats)
        if spec.dtype != "uint8":
            return lossy[spec.name]
        low, high = images[spec.name]
        return min(lossy[spec.name] / (high - low) * 255 + 1.0, 255.0)  # both sides are rounded

    reference = PixelReference(Reference(part), images)
    effort = effort_of(part)
    few = whole(interface, rows.at_most(interface, effort.rows))
    report = compare_runs(
        name,
        interface,
        graph,
        reference,
        few,
        variant=variant,
        limit=limit,
        sizes=sizes,
        effort=effort,
        lossy=lossy is not None,
    )
    return replace(report, failures=(*report.failures, *filter(None, unlike)))


@dataclass(frozen=True)
class PixelReference:
    """The reference of a graph with pixels: converts pixels around another reference.

    Args:
        reference: the reference of the graph with float images.
        images: ranges of the images, by tensor name.
    """

    reference: ReferenceFn
    images: Mapping[str, Bounds]

    def single(self, inputs: Mapping[str, Array]) -> Arrays:
        """Outputs of float32 torch, as pixels; see `Reference` for this and the others."""
        return as_pixels(self.reference.single(as_floats(inputs, self.images)), self.images)

    def double(self, inputs: Mapping[str, Array]) -> Arrays:
        return as_pixels(self.reference.double(as_floats(inputs, self.images)), self.images)

    def perturbed(self, inputs: Mapping[str, Array], draw: int = 0) -> Arrays:
        return as_pixels(
            self.reference.perturbed(as_floats(inputs, self.images), draw), self.images
        )


def as_pixels(arrays: Mapping[str, Array], images: Mapping[str, Bounds]) -> Arrays:
    """The arrays, with floats named in `images` converted from these ranges to uint8 pixels."""
    return {
        key: to_pixels(value, images[key]) if key in images else value
        for key, value in arrays.items()
    }


def as_floats(arrays: Mapping[str, Array], images: Mapping[str, Bounds]) -> Arrays:
    """The arrays, with uint8 pixels named in `images` converted to floats in these ranges."""
    return {
        key: from_pixels(value, images[key]) if key in images else value
        for key, value in arrays.items()
    }
