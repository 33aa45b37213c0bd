"""Realistic inputs of parts, to calibrate reduced-precision variants and measure their loss."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from math import prod

import numpy as np
from onnx import ModelProto

from aeonnx.bundle import BATCH, TensorSpec, has_rows
from aeonnx.exporting.shapes import infer_at
from aeonnx.exporting.sizes import at_sizes, usual_sizes
from aeonnx.exporting.sources.kinds import DATA_PARTS
from aeonnx.exporting.verify.probes import REAL, Rows, filled, whole
from aeonnx.exporting.verify.quality import Task
from aeonnx.models import Part
from aeonnx.runtime.batching import Run
from aeonnx.runtime.interface import batch_of, select_rows
from aeonnx.runtime.session import Array
from aeonnx.runtime.verbs import PARTS

__all__ = [
    "DENOISER",
    "Calibration",
    "complete_inputs",
    "first_input",
    "own_inputs",
    "parts_at",
    "rows_at_once",
    "task_of",
]

DENOISER = PARTS["denoise"]
_AT_ONCE = 64  # rows
_MEMORY = 512 * 2**20  # bytes of tensors at once
_ALIVE = 8  # tensors of the largest size that are in memory at the same time


def task_of(
    name: str,
    parts: Mapping[str, Part],
    test: Mapping[str, Array],
    classes: int,
    decode: Run | None,
) -> Task:
    """The task on which a part's loss is measured.

    Args:
        name: of the part.
        parts: of the model, at one size of each axis.
        test: inputs for test images, see `inputs_of`; cut to the size of the parts.
        classes: number of classes of the model; 0 if it has no classifier.
        decode: runs the decoder, from all its inputs to all its outputs; None without one.
    """
    part = parts[name]
    test = _of_size(parts, test)
    own = own_inputs(name, part, test)
    inputs = complete_inputs(part, own)
    image = first_input(parts)
    noisy = any(f"{name}.{spec.name}" in test for spec in part.inputs)
    task = Task(
        inputs=inputs,
        images=test[image.name],
        bounds=image.range or (part.outputs[0].range if noisy else None),
        classes=classes,
        noisy=noisy,
    )
    decoder, first = parts.get("decoder"), part.outputs[0]
    if decoder is None or decode is None:
        return task
    latent = decoder.inputs[0]
    # Class scores can have the shape of a latent: the name of the part tells them apart.
    if first.shape != latent.shape or name == PARTS["classify"]:
        return task

    def decoded(z: Array) -> Array:
        beside = filled(decoder.inputs[1:], {**test, **inputs}, len(z))
        given = {spec.name: z if spec is latent else beside[spec.name] for spec in decoder.inputs}
        answer: Array = decode(given)[decoder.outputs[0].name]
        return answer

    return replace(task, latents=first.name, decode=decoded, decoded=decoder.outputs[0])


def own_inputs(name: str, part: Part, known: Mapping[str, Array]) -> dict[str, Array]:
    """The inputs that a part gets of known ones, by tensor name.

    Args:
        name: of the part.
        part: declares the inputs.
        known: by tensor name, or name of the part and of the tensor, such as denoiser.x, for what
            this part alone is given.
    """
    own = {spec.name: known.get(f"{name}.{spec.name}") for spec in part.inputs}
    return {**known, **{key: value for key, value in own.items() if value is not None}}


def parts_at(parts: Mapping[str, Part], sizes: Mapping[str, int]) -> dict[str, Part]:
    """Parts at these sizes of the axes that they have, and at the usual sizes of their others."""
    found = {}
    for name, part in parts.items():
        own = {axis: n for axis, n in sizes.items() if axis in part.axes}
        fits = all(part.axes[axis].allows(n) for axis, n in own.items())
        found[name] = at_sizes(part, {**usual_sizes(part), **(own if fits else {})})
    return found


def _of_size(parts: Mapping[str, Part], known: Mapping[str, Array]) -> dict[str, Array]:
    """Known inputs [rows, ...] cut to the sizes of the parts; repeated where they are smaller."""
    found = dict(known)
    specs = [
        (key, spec)
        for name, part in parts.items()
        for spec in part.inputs
        for key in (spec.name, f"{name}.{spec.name}")
        if key in known
    ]
    for key, spec in specs:
        value = known[key]
        for axis, size in enumerate(spec.shape[1:], start=1):
            if value.shape[axis] != size:
                value = value.take(np.arange(int(size)) % value.shape[axis], axis)
        found[key] = value
    return found


def rows_at_once(graph: ModelProto, part: Part) -> int:
    """How many rows run at once in about 512 MB: one row or more.

    Args:
        graph: of the part, in fp32.
        part: the original part, whose usual sizes count.
    """
    shapes = [shape for _, shape in infer_at(graph, {**usual_sizes(part), BATCH: 1}).values()]
    largest = max(4 * prod(size or 1 for size in shape) for shape in shapes if shape)
    return max(_MEMORY // (_ALIVE * largest), 1)


def first_input(parts: Mapping[str, Part]) -> TensorSpec:
    """The data that a model is for: the first input of its encoder, or else of another part."""
    names = [name for name in DATA_PARTS if name in parts] or [*parts]
    return parts[names[0]].inputs[0]


def complete_inputs(part: Part, known: Mapping[str, Array]) -> dict[str, Array]:
    """All inputs of a part: known ones as given, others drawn at random from their range.

    Args:
        part: declares the inputs.
        known: inputs [rows, ...] by tensor name.
    """
    found = filled(part.inputs, known, max(map(len, known.values())))
    return {
        spec.name: found[spec.name]
        if has_rows(part, spec)
        else found[spec.name][: int(spec.shape[0])]
        for spec in part.inputs
    }


@dataclass(frozen=True)
class Calibration:
    """Calibration inputs of a part.

    Args:
        part: the part to calibrate.
        inputs: [rows, ...] by tensor name.
        most: largest number of rows at once, for memory's sake.
    """

    part: Part
    inputs: Mapping[str, Array]
    most: int = _AT_ONCE

    def batches(self, size: int = _AT_ONCE) -> Iterator[dict[str, Array]]:
        """All rows in batches of `size`, fewer for memory's sake, or the part's fixed batch."""
        rows = whole(self.part, Rows.of(self.part, self.inputs, REAL))
        step = batch_of(self.part) or min(size, self.most)
        for start in range(0, len(rows.kinds), step):
            yield select_rows(self.part, rows.values, slice(start, start + step))
