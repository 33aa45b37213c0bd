"""Inputs of parts as they occur in use, for what is made and judged by them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from aeonnx.export.proven import Material, Proven
from aeonnx.export.verify.probes import REAL, Rows, filled, whole
from aeonnx.export.verify.quality import Task
from aeonnx.manifest import has_rows
from aeonnx.models import Part
from aeonnx.runtime.interface import batch_of, taken
from aeonnx.runtime.session import Array
from aeonnx.runtime.verbs import PARTS

__all__ = ["Calibration", "in_use", "task_of"]

_AT_ONCE = 64  # rows


def task_of(name: str, material: Material, decoder: Proven) -> Task:
    """What a part is for, by its tensors.

    Args:
        name: of the part.
        material: what it is made of.
        decoder: in fp32, to see what latents become.
    """
    part, taken = material.parts[name], decoder.interface.inputs
    inputs = in_use(part, material.test)
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
            yield taken(self.part, rows.values, slice(start, start + step))
