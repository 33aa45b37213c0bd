"""The inputs that parts are compared on, and the comparison of two parts in a row."""

from __future__ import annotations

from collections.abc import Mapping

from torch.export import ExportedProgram

from aeonnx.checkpoint import Checkpoint
from aeonnx.export.verify.activations import Activations, activation_rows
from aeonnx.export.verify.compare import compare_composed, composed
from aeonnx.export.verify.probes import ACTIVATION, RANDOM, Rows, filled, joined, probes, whole
from aeonnx.export.verify.reference import Reference
from aeonnx.models import Part
from aeonnx.runtime import Bundle, Report, Session
from aeonnx.runtime.interface import batch_of
from aeonnx.runtime.session import Array
from aeonnx.runtime.validation import check_input

__all__ = ["inputs_of", "prove_composed", "real_inputs", "rows_of"]


def real_inputs(trained: Checkpoint, parts: Mapping[str, Part]) -> dict[str, Array]:
    """Inputs as they occur in use, by tensor name: test images, and their latents."""
    return {} if trained.examples is None else inputs_of(parts, trained.examples.test.numpy())


def inputs_of(parts: Mapping[str, Part], images: Array) -> dict[str, Array]:
    """The inputs of parts for images, by tensor name: the images, and their latents.

    What an encoder takes beside images, such as labels, is drawn at random from its range.

    Args:
        parts: of a model, "encoder" and "decoder" among them.
        images: [n, C, H, W], uint8 or float32 in [0, 1].
    """
    encoder = parts["encoder"]
    x = check_input("encoder", encoder.inputs[0], images)
    inputs = filled(encoder.inputs, {encoder.inputs[0].name: x}, len(x))
    latent = Reference(encoder).single(inputs)[encoder.outputs[0].name]
    return filled(
        parts["decoder"].inputs, {**inputs, parts["decoder"].inputs[0].name: latent}, len(x)
    )


def rows_of(
    part: Part, program: ExportedProgram, real: Mapping[str, Array]
) -> tuple[Rows, Activations]:
    """Rows for a part: real, random and edge ones, and those that activate units which stay at 0.

    Args:
        part: the original.
        program: of the part, as torch captures it.
        real: inputs as they occur in use, by tensor name.

    Returns:
        The rows, and what of the part's units they activate.
    """
    found = probes(part.inputs, real)
    random = found.first_of(part, (RANDOM,), len(found.kinds))
    activations = activation_rows(part, program, random.values)
    return whole(part, joined(part, found, activations.rows, ACTIVATION)), activations


def prove_composed(
    parts: Mapping[str, Part],
    sessions: Mapping[str, Session],
    before: Bundle | None,
    real: Mapping[str, Array],
) -> Report:
    """Encoder and decoder in a row, if both are at hand; one may be in the bundle already."""
    pair = {}
    for name in ("encoder", "decoder"):
        if name in sessions:
            pair[name] = sessions[name]
        elif before and _fits(before, name, parts[name]):
            pair[name] = before.session(name)
    if len(pair) < 2 or not sessions.keys() & pair.keys():
        return Report((), ())
    encoder, decoder = parts["encoder"], parts["decoder"]
    # The rows that activate units were for each half alone.
    part = composed(encoder, decoder)
    return compare_composed(encoder, decoder, pair, whole(part, probes(part.inputs, real)))


def _fits(before: Bundle, name: str, part: Part) -> bool:
    """Halves that are fixed to unlike batches cannot run in a row."""
    there = name in before.manifest.parts
    return there and batch_of(before.variant(name)) == batch_of(part)
