"""The inputs that parts are compared on, and the comparison of encoder and decoder composed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from torch import Tensor
from torch.export import ExportedProgram

from aeonnx.checkpoint import Checkpoint
from aeonnx.exporting.capture.program import captured_up_to
from aeonnx.exporting.sizes import at_sizes, at_usual
from aeonnx.exporting.sources.kinds import DATA_PARTS
from aeonnx.exporting.verify.activations import MOST_ROWS, Activations, activation_rows
from aeonnx.exporting.verify.batches import in_chunks
from aeonnx.exporting.verify.calibration import DENOISER, first_input, own_inputs
from aeonnx.exporting.verify.compare import compare, compare_composed, composed
from aeonnx.exporting.verify.effort import (
    FULL,
    Comparison,
    Effort,
    comparisons,
    effort_of,
    thorough_of,
)
from aeonnx.exporting.verify.probes import (
    ACTIVATION,
    RANDOM,
    REAL,
    Rows,
    filled,
    joined,
    probes,
    whole,
)
from aeonnx.exporting.verify.reference import Reference
from aeonnx.exporting.verify.runs import Compared
from aeonnx.io.pixels import UNIT, from_pixels
from aeonnx.models import Part
from aeonnx.runtime import Bundle, Report, Session
from aeonnx.runtime.interface import batch_of
from aeonnx.runtime.session import Array
from aeonnx.runtime.validation import check_input

__all__ = [
    "ComparedAt",
    "compare_sizes",
    "few_rows",
    "inputs_of",
    "real_inputs",
    "rows_of",
    "train_inputs",
    "verify_composed",
]

_FEW = 8  # rows at sizes where not all kinds are compared
_ANOTHER_BRANCH = (
    "{name}: its code asks whether the batch is larger than {rows}, and then computes something "
    "else: a graph has one way for all batches. Write it without the question, or fix the batch "
    "with --static-batch"
)
_NONE = Activations({}, 0, 0)


def real_inputs(trained: Checkpoint, parts: Mapping[str, Part]) -> dict[str, Array]:
    """Test images of the checkpoint and their latents, by tensor name; empty without images."""
    found = trained.examples
    if found is None:
        return {}
    return inputs_of(parts, found.test, found.test_labels, found.noisy_test)


def train_inputs(trained: Checkpoint, parts: Mapping[str, Part]) -> dict[str, Array]:
    """As `real_inputs`, for training images."""
    found = trained.examples
    if found is None:
        return {}
    return inputs_of(parts, found.train, found.train_labels, found.noisy_train)


def inputs_of(
    parts: Mapping[str, Part],
    images: Tensor | Array,
    labels: Tensor | None = None,
    noisy: Tensor | None = None,
) -> dict[str, Array]:
    """The inputs of parts for images, by tensor name: the images, and their latents.

    Other inputs are drawn at random from their range. What the denoiser alone is given has its name
    in front, such as denoiser.x: see `own_inputs`.

    Args:
        parts: parts of a model.
        images: [n, C, H, W], uint8 or float32 in [0, 1].
        labels: int64 [n], for inputs of the kind label; None to draw these too.
        noisy: versions of the images with noise, for the denoiser; None to give it the images.
    """
    image = first_input(parts)
    clean = np.asarray(images)
    if noisy is not None and image.range is None and clean.dtype == np.uint8:
        clean = from_pixels(clean, UNIT)  # those of a denoiser of any floats
    x = check_input("calibration", image, clean)
    inputs: dict[str, Array] = {image.name: x}
    if labels is not None:
        specs = (spec for part in parts.values() for spec in part.inputs)
        inputs |= {spec.name: labels.numpy() for spec in specs if spec.kind == "label"}
    if noisy is not None and DENOISER in parts:
        spec = parts[DENOISER].inputs[0]
        inputs[f"{DENOISER}.{spec.name}"] = check_input("calibration", spec, noisy.numpy())
    for name in DATA_PARTS:
        if name in parts:
            inputs = filled(at_usual(parts[name]).inputs, inputs, len(x))
    encoder, decoder = parts.get("encoder"), parts.get("decoder")
    if encoder is None or decoder is None:
        return inputs
    usual = at_usual(encoder)
    encode = in_chunks(usual, Reference(encoder).single, effort_of(usual).at_once)
    given = {spec.name: inputs[spec.name] for spec in encoder.inputs}
    latent = encode(given)[encoder.outputs[0].name]
    return filled(at_usual(decoder).inputs, {**inputs, decoder.inputs[0].name: latent}, len(x))


def rows_of(
    part: Part, program: ExportedProgram, real: Mapping[str, Array], effort: Effort = FULL
) -> tuple[Rows, Activations]:
    """The rows that a part is compared on: real, random, edge and activation rows.

    Args:
        part: the original part.
        program: the part as torch captures it.
        real: test images and latents, by tensor name; see `real_inputs`.
        effort: bounds the number of rows.

    Returns:
        The rows, and the result of the search for rows that activate units.
    """
    found = probes(part.inputs, real).at_most(part, effort.rows)
    random = found.first_of(part, (RANDOM,), len(found.kinds))
    most = min(MOST_ROWS, effort.rows)
    activations = activation_rows(part, program, random.values, most)
    return whole(part, joined(part, found, activations.rows, ACTIVATION)), activations


def few_rows(part: Part, real: Mapping[str, Array], most: int = _FEW) -> Rows:
    """Real, random and edge rows, without a search for rows that activate units.

    Args:
        part: with fixed sizes.
        real: test images and latents, by tensor name; empty without any of these sizes.
        most: number of rows; below 8, there are no edge rows, whose floor needs several draws.
    """
    rows = probes(part.inputs, real)
    if most < _FEW:
        rows = rows.first_of(part, (REAL, RANDOM), most)
    return whole(part, rows.at_most(part, most))


def compare_sizes(
    name: str,
    part: Part,
    session: Session,
    program: ExportedProgram,
    real: Mapping[str, Array],
    plan: Sequence[Comparison],
) -> tuple[list[ComparedAt], Activations]:
    """Compare a graph with torch at each of some sizes.

    Args:
        name: of the part.
        part: the original part.
        session: the graph's session.
        program: the part as torch captures it.
        real: test images and latents of the usual sizes, see `real_inputs`.
        plan: from `comparisons`.

    Returns:
        A report for each size, and the result of the search for rows that activate units.
    """
    reference, found, activations = Reference(part), [], _NONE

    def compared(item: Comparison, rows: Rows) -> ComparedAt:
        report = compare(
            name, part, session, rows, sizes=item.sizes, reference=reference, effort=item.effort
        )
        return ComparedAt(
            report.checks, report.failures, kinds=report.kinds, rows=rows, sizes=item.sizes
        )

    for place, item in enumerate(plan):
        at = at_sizes(part, item.sizes)
        known = {} if place else own_inputs(name, part, real)
        if item.thorough:
            rows, activations = rows_of(at, program, known, item.effort)
        else:
            most = item.effort.rows if place == 0 else min(item.effort.rows, _FEW)
            rows = few_rows(at, known, most)
        found.append(compared(item, rows))
    largest = captured_up_to(program)
    if largest is not None:
        cheapest = max(plan, key=lambda item: item.effort.rows)
        at = at_sizes(part, cheapest.sizes)
        rows = few_rows(at, {}, min(cheapest.effort.rows, _FEW)).repeated(at, largest + 1)
        above = compared(cheapest.at_batch(largest + 1), rows)
        if above.failures:
            why = _ANOTHER_BRANCH.format(name=name, rows=largest)
            above = replace(above, failures=(*above.failures, why))
        found.append(above)
    return found, activations


@dataclass(frozen=True)
class ComparedAt(Compared):
    """A report at some sizes of the axes, and the rows."""

    rows: Rows = field(default_factory=lambda: Rows({}, ()))
    sizes: Mapping[str, int] = field(default_factory=dict)


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
    for name in {"encoder", "decoder"} & parts.keys():
        if name in sessions:
            pair[name] = sessions[name]
        elif before and _fits(before, name, parts[name]):
            pair[name] = before.session(name)
    if len(pair) < 2 or not sessions.keys() & pair.keys():
        return Report((), ())
    encoder, decoder = parts["encoder"], parts["decoder"]
    # No activation rows: they were searched for each part alone.
    both = composed(encoder, decoder)
    plan = comparisons(both)
    item = thorough_of(plan)
    part = at_sizes(both, item.sizes)
    known = real if item is plan[0] else {}
    rows = few_rows(part, known, item.effort.rows)
    return compare_composed(encoder, decoder, pair, rows, item.sizes, item.effort)


def _fits(before: Bundle, name: str, part: Part) -> bool:
    """Whether the bundle has the graph, fixed to the same batch size as the part.

    Parts with different fixed batch sizes cannot be composed.
    """
    return name in before.manifest.parts and batch_of(before.variant(name)) == batch_of(part)
