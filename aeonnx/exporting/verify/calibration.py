"""Realistic inputs of parts, to calibrate reduced-precision variants and measure their loss."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from aeonnx.bundle import TensorSpec, has_rows
from aeonnx.exporting.sources.kinds import DATA_PARTS
from aeonnx.exporting.verify.probes import REAL, Rows, filled, whole
from aeonnx.exporting.verify.quality import Task
from aeonnx.models import Part
from aeonnx.runtime.batching import Run
from aeonnx.runtime.interface import batch_of, select_rows
from aeonnx.runtime.session import Array
from aeonnx.runtime.verbs import PARTS

__all__ = ["Calibration", "complete_inputs", "first_input", "task_of"]

_AT_ONCE = 64  # rows


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
        test: inputs for test images, by tensor name.
        classes: number of classes of the model; 0 if it has no classifier.
        decode: runs the decoder, from all its inputs to all its outputs; None without one.
    """
    part = parts[name]
    inputs = complete_inputs(part, test)
    image = first_input(parts)
    task = Task(inputs=inputs, images=test[image.name], bounds=image.range, classes=classes)
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
    """

    part: Part
    inputs: Mapping[str, Array]

    def batches(self, size: int = _AT_ONCE) -> Iterator[dict[str, Array]]:
        """All rows in batches of `size`, or of the part's fixed batch size."""
        rows = whole(self.part, Rows.of(self.part, self.inputs, REAL))
        step = batch_of(self.part) or size
        for start in range(0, len(rows.kinds), step):
            yield select_rows(self.part, rows.values, slice(start, start + step))
