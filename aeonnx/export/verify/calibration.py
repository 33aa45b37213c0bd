"""Inputs of parts as they occur in use, for what is made and judged by them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from aeonnx.bundle import has_rows
from aeonnx.export.verify.probes import REAL, Rows, filled, whole
from aeonnx.export.verify.quality import Task
from aeonnx.models import Part
from aeonnx.runtime.batching import Run
from aeonnx.runtime.interface import batch_of, select_rows
from aeonnx.runtime.session import Array
from aeonnx.runtime.verbs import PARTS

__all__ = ["Calibration", "in_use", "task_of"]

_AT_ONCE = 64  # rows


def task_of(
    name: str, parts: Mapping[str, Part], test: Mapping[str, Array], classes: int, decode: Run
) -> Task:
    """What a part is for.

    Args:
        name: of the part.
        parts: of the model.
        test: inputs for test images, by tensor name.
        classes: how many the model tells apart; 0 if none.
        decode: the decoder, from all its inputs to all its outputs.
    """
    part, decoder = parts[name], parts["decoder"]
    inputs = in_use(part, test)
    image = parts["encoder"].inputs[0]
    first, latent = part.outputs[0], decoder.inputs[0]
    # Scores of as many classes as a latent has numbers look like latents: the verb tells.
    gives_latents = first.shape == latent.shape and name != PARTS["classify"]

    def decoded(z: Array) -> Array:
        beside = filled(decoder.inputs[1:], {**test, **inputs}, len(z))
        given = {spec.name: z if spec is latent else beside[spec.name] for spec in decoder.inputs}
        answer: Array = decode(given)[decoder.outputs[0].name]
        return answer

    return Task(
        inputs=inputs,
        images=test[image.name],
        bounds=image.range,
        classes=classes,
        latents=first.name if gives_latents else None,
        decode=decoded,
        decoded=decoder.outputs[0],
    )


def in_use(part: Part, known: Mapping[str, Array]) -> dict[str, Array]:
    """All inputs of a part as they occur in use: what is not known is drawn from its range."""
    found = filled(part.inputs, known, max(map(len, known.values())))
    return {
        spec.name: found[spec.name]
        if has_rows(part, spec)
        else found[spec.name][: int(spec.shape[0])]
        for spec in part.inputs
    }


@dataclass(frozen=True)
class Calibration:
    """Inputs that activations range over.

    Args:
        part: what takes them.
        inputs: by name.
    """

    part: Part
    inputs: Mapping[str, Array]

    def batches(self, size: int = _AT_ONCE) -> Iterator[dict[str, Array]]:
        """All rows, so many at once, or as many as the part is fixed to."""
        rows = whole(self.part, Rows.of(self.part, self.inputs, REAL))
        step = batch_of(self.part) or size
        for start in range(0, len(rows.kinds), step):
            yield select_rows(self.part, rows.values, slice(start, start + step))
