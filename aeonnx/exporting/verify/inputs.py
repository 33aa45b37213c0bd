"""The inputs that parts are compared on, and the comparison of encoder and decoder composed."""

from __future__ import annotations

from collections.abc import Mapping

from torch.export import ExportedProgram

from aeonnx.checkpoint import Checkpoint
from aeonnx.exporting.verify.activations import Activations, activation_rows
from aeonnx.exporting.verify.compare import compare_composed, composed
from aeonnx.exporting.verify.probes import ACTIVATION, RANDOM, Rows, filled, joined, probes, whole
from aeonnx.exporting.verify.reference import Reference
from aeonnx.models import Part
from aeonnx.runtime import Bundle, Report, Session
from aeonnx.runtime.interface import batch_of
from aeonnx.runtime.session import Array
from aeonnx.runtime.validation import check_input

__all__ = ["inputs_of", "real_inputs", "rows_of", "verify_composed"]


def real_inputs(trained: Checkpoint, parts: Mapping[str, Part]) -> dict[str, Array]:
    """Test images of the checkpoint and their latents, by tensor name; empty without images."""
    return {} if trained.examples is None else inputs_of(parts, trained.examples.test.numpy())


def inputs_of(parts: Mapping[str, Part], images: Array) -> dict[str, Array]:
    """The inputs of parts for images, by tensor name: the images, and their latents.

    Other inputs, such as labels, are drawn at random from their range.

    Args:
        parts: parts of a model, including "encoder" and "decoder".
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
    """The rows that a part is compared on: real, random, edge and activation rows.

    Args:
        part: the original part.
        program: the part as torch captures it.
        real: test images and latents, by tensor name; see `real_inputs`.

    Returns:
        The rows, and the result of the search for rows that activate units.
    """
    found = probes(part.inputs, real)
    random = found.first_of(part, (RANDOM,), len(found.kinds))
    activations = activation_rows(part, program, random.values)
    return whole(part, joined(part, found, activations.rows, ACTIVATION)), activations


def verify_composed(
    parts: Mapping[str, Part],
    sessions: Mapping[str, Session],
    before: Bundle | None,
    real: Mapping[str, Array],
) -> Report:
    """Compare encoder and decoder composed, where both have graphs and one of them is new.

    Args:
        parts: parts of the model.
        sessions: new graphs, by part.
        before: the bundle before this export, which may have the other graph; None without one.
        real: test images and latents, by tensor name; see `real_inputs`.

    Returns:
        The report; empty where there is nothing to compare.
    """
    pair = {}
    for name in ("encoder", "decoder"):
        if name in sessions:
            pair[name] = sessions[name]
        elif before and _fits(before, name, parts[name]):
            pair[name] = before.session(name)
    if len(pair) < 2 or not sessions.keys() & pair.keys():
        return Report((), ())
    encoder, decoder = parts["encoder"], parts["decoder"]
    # No activation rows: they were searched for each part alone.
    part = composed(encoder, decoder)
    return compare_composed(encoder, decoder, pair, whole(part, probes(part.inputs, real)))


def _fits(before: Bundle, name: str, part: Part) -> bool:
    """Whether the bundle has the graph, fixed to the same batch size as the part.

    Parts with different fixed batch sizes cannot be composed.
    """
    return name in before.manifest.parts and batch_of(before.variant(name)) == batch_of(part)
