"""Evidence for parts: the inputs they are compared on, and the comparisons that need several."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import torch

from aeonnx.checkpoint import Checkpoint
from aeonnx.export.verify.activations import activation_rows
from aeonnx.export.verify.compare import compare_composed
from aeonnx.export.verify.probes import Probes, probes
from aeonnx.export.verify.reference import Reference
from aeonnx.manifest import BATCH
from aeonnx.models import Part
from aeonnx.runtime import Bundle, Report, Session
from aeonnx.runtime.batching import whole_batches
from aeonnx.runtime.checks import check_input
from aeonnx.runtime.interface import batch_of
from aeonnx.runtime.session import Array

__all__ = ["inputs_of", "probes_of", "prove_composed", "real_inputs", "rows_of"]


def real_inputs(trained: Checkpoint, parts: Mapping[str, Part]) -> dict[str, Array]:
    """Inputs as they occur in use, by tensor name: test images, and their latents."""
    return {} if trained.examples is None else inputs_of(parts, trained.examples.test.numpy())


def inputs_of(parts: Mapping[str, Part], images: Array) -> dict[str, Array]:
    """The inputs of parts for images, by tensor name: the images, and their latents.

    Args:
        parts: of a model, "encoder" and "decoder" among them.
        images: [n, C, H, W], uint8 or float32 in [0, 1].
    """
    encoder = parts["encoder"]
    x = check_input("encoder", encoder.inputs[0], images)
    latent = Reference(encoder).single({encoder.inputs[0].name: x})[encoder.outputs[0].name]
    return {encoder.inputs[0].name: x, parts["decoder"].inputs[0].name: latent}


def probes_of(part: Part, real: Mapping[str, Array]) -> dict[str, Probes]:
    """Probes by input name, with those that activate units where a part has one input."""
    found = {spec.name: probes(spec, real.get(spec.name)) for spec in part.inputs}
    if len(found) == 1:
        name, value = next(iter(found.items()))
        active = activation_rows(part, _program(part), {name: value.random}).rows[name]
        return {name: replace(value, rows=np.concatenate([value.rows, active]))}
    return found


def _program(part: Part) -> torch.export.ExportedProgram:
    """The part as torch captures it."""
    module = copy.deepcopy(part.module).cpu().float().eval()
    shapes = tuple(
        {axis: torch.export.Dim(BATCH) for axis, size in enumerate(spec.shape) if size == BATCH}
        for spec in part.inputs
    )
    example = tuple(
        torch.zeros([2 if size == BATCH else int(size) for size in spec.shape])
        for spec in part.inputs
    )
    return torch.export.export(module, example, dynamic_shapes=shapes)


def rows_of(part: Part, inputs: Mapping[str, Probes]) -> dict[str, Array]:
    """All rows of probes, by input name; whole batches for a part that is fixed to a size."""
    return {name: whole_batches(part, value.rows) for name, value in inputs.items()}


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
    rows = {
        spec.name: whole_batches(encoder, probes(spec, real.get(spec.name)).rows)
        for spec in encoder.inputs
    }
    return compare_composed(encoder, decoder, pair, rows)


def _fits(before: Bundle, name: str, part: Part) -> bool:
    """Halves that are fixed to unlike batches cannot run in a row."""
    there = name in before.manifest.parts
    return there and batch_of(before.variant(name)) == batch_of(part)
