"""Measure what a part that has no margins loses in blended tiles, for the manifest."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from aeonnx.bundle import BATCH, Blending, TensorSpec, nearest, scaled, shape_at
from aeonnx.errors import RunError
from aeonnx.exporting.parts import ExportContext, ExportedGraph
from aeonnx.exporting.sizes import usual_sizes
from aeonnx.exporting.verify.probes import RANDOM, REAL
from aeonnx.models import Part
from aeonnx.runtime.blending import run_blended
from aeonnx.runtime.session import Array
from aeonnx.runtime.tiles import can_tile, sized_axes
from aeonnx.runtime.tiling import default_tile

__all__ = ["with_blending"]

_LOG = logging.getLogger(__name__)
_SPATIAL = ("image", "signal", "volume")
_MOST = 200.0  # dB
_FAINT = 0.2  # contrast at one end of an input without real data


def with_blending(made: ExportedGraph, context: ExportContext) -> ExportedGraph:
    """The graph with what it loses in tiles of the default length.

    It is unchanged if it has margins, no dynamic axes, none of images, signals or volumes, or did
    not pass its checks. The input is two tiles long on each axis, less an overlap: the loss comes
    from what a tile does not see of the rest, and more would cost more than the rest of the gate.
    It has different rows side by side or, without real data, noise whose contrast grows along the
    axes.
    """
    part = context.parts[made.part]
    specs = (*part.inputs, *part.outputs)
    if can_tile(part) or not made.report.passed or all(s.kind not in _SPATIAL for s in specs):
        return made
    usual = usual_sizes(part)
    chosen = default_tile(part, usual) if usual else None
    if chosen is None:
        return made
    tile, overlap = chosen
    sizes = {name: nearest(axis, 2 * tile - overlap) for name, axis in sized_axes(part).items()}
    if all(size <= tile for size in sizes.values()):
        return made  # no input is longer than a tile
    inputs = _inputs(part, made, usual, sizes)
    try:
        whole = made.run(inputs)
        tiled = run_blended(part, made.run, inputs, {**sizes, BATCH: 1}, tile, overlap)
    except (RunError, ValueError) as error:  # at this size it fails, or gives another shape
        _LOG.warning("%s: the loss in blended tiles was not measured: %s", made.part, error)
        return made
    spec = part.outputs[0]
    metric, value = _compared(spec, whole[spec.name], tiled[spec.name])
    return replace(made, blending=Blending(tile, overlap, metric, value))


def _inputs(
    part: Part, made: ExportedGraph, usual: Mapping[str, int], sizes: Mapping[str, int]
) -> dict[str, Array]:
    """One row of inputs at these sizes."""
    kind = REAL if REAL in made.rows.kinds else RANDOM
    places = [place for place, own in enumerate(made.rows.kinds) if own == kind]
    rows = made.rows.chosen(part, places).values
    found = {}
    for spec in part.inputs:
        value = rows[spec.name]
        axes = [
            place
            for place, size in enumerate(spec.shape)
            if (each := scaled(size)) is not None and each.axis in usual
        ]
        if not axes:
            found[spec.name] = value[:1]
            continue
        shape = (1, *shape_at(spec.shape[1:], sizes))
        found[spec.name] = _side_by_side(value, shape)
        if kind == RANDOM and spec.dtype.startswith("float"):
            found[spec.name] = _growing(spec, found[spec.name], axes)
    return found


def _side_by_side(rows: Array, shape: tuple[int, ...]) -> Array:
    """Different rows next to each other, one after the other until the shape is full."""
    step = rows.shape[1:]
    counts = [-(-size // each) for size, each in zip(shape[1:], step, strict=True)]
    made = np.empty((1, *(n * each for n, each in zip(counts, step, strict=True))), rows.dtype)
    for number, block in enumerate(np.ndindex(*counts)):
        at = [slice(b * each, (b + 1) * each) for b, each in zip(block, step, strict=True)]
        made[(slice(None), *at)] = rows[number % len(rows)]
    whole = tuple(slice(size) for size in shape)
    return np.ascontiguousarray(made[whole])


def _growing(spec: TensorSpec, value: Array, axes: list[int]) -> Array:
    """A value in its range, whose contrast grows along the axes."""
    middle = sum(spec.range) / 2 if spec.range else 0.0
    contrast = np.ones(value.ndim * (1,))
    for axis in axes:
        line = np.linspace(_FAINT, 1.0, value.shape[axis])
        contrast = contrast * line.reshape([-1 if a == axis else 1 for a in range(value.ndim)])
    return (middle + (value - middle) * contrast).astype(value.dtype)


def _compared(spec: TensorSpec, whole: Array, tiled: Array) -> tuple[str, float]:
    """The metric for an output, and its value."""
    if not spec.dtype.startswith("float"):
        return "agreement", float(np.mean(whole == tiled))
    error = float(np.mean(np.square(whole.astype(np.float64) - tiled)))
    if spec.range:
        metric, peak = "psnr", float(spec.range[1] - spec.range[0]) ** 2
    else:
        metric, peak = "snr", float(whole.astype(np.float64).var())
    if error == 0.0:
        return metric, _MOST
    return metric, min(_MOST, 10 * float(np.log10(max(peak, 1e-300) / error)))
