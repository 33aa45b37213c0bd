"""Read what `--calibration` names: real inputs of a model, to measure reduced precision on."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from aeonnx.bundle import shape_at
from aeonnx.errors import ImageError, InputError
from aeonnx.exporting.sizes import at_usual
from aeonnx.exporting.verify.batches import in_chunks
from aeonnx.exporting.verify.calibration import first_input
from aeonnx.exporting.verify.effort import effort_of
from aeonnx.exporting.verify.inputs import inputs_of
from aeonnx.exporting.verify.reference import Reference
from aeonnx.io.pictures import ANY
from aeonnx.io.readers import read_images
from aeonnx.io.rows import Rows, read_rows
from aeonnx.io.table_rows import ColumnsOf, has_columns, open_table_rows
from aeonnx.models import Part
from aeonnx.runtime.labels import nearest
from aeonnx.runtime.session import Array
from aeonnx.runtime.validation import check_input

__all__ = ["predicted_labels", "predicts_labels", "read_calibration"]

_AT_ONCE = 1024


def read_calibration(path: Path, parts: Mapping[str, Part]) -> dict[str, Array]:
    """Real inputs of parts, at the usual sizes of their axes, by tensor name.

    Larger images, signals and volumes give their middle.

    Args:
        path: pictures, a folder of them, or an array of rows; for models of columns, tables and
            arrays as `open_table_rows` reads them; for all others a .npy or .npz array [n, ...] of
            what the first input takes.
        parts: of a model.

    Raises:
        ImageError: there are none, or they do not fit the first input.
    """
    usual = first_input({name: at_usual(part) for name, part in parts.items()})
    declared = first_input(parts)
    size = shape_at(usual.shape[1:], {})
    wanted = [ANY if isinstance(axis, str) else axis for axis in declared.shape[1:]]
    if usual.kind == "image" and usual.range:
        rows = read_images(path, [size[0], *wanted[1:]], usual.range, (size[1], size[2]))
    else:
        each = Rows(usual.name, tuple(wanted), usual.dtype, f"rows of {usual.name}")
        if has_columns(usual.names, wanted):
            columns = ColumnsOf(each, usual.names, usual.missing)
            rows = np.concatenate([*open_table_rows([path], columns).batches(_AT_ONCE)])
        else:
            rows = read_rows(path, each, size)
    try:
        return inputs_of(parts, rows, predicted_labels(parts, rows))
    except InputError as error:
        raise ImageError(f"{path}: {error}") from error


def predicts_labels(parts: Mapping[str, Part]) -> bool:
    """Whether a part reconstructs with labels of a known number, and nothing else."""
    part = parts.get("reconstructor")
    if part is None or len(part.inputs) != 2:
        return False
    return part.inputs[1].kind == "label" and part.inputs[1].range is not None


def predicted_labels(parts: Mapping[str, Part], images: Array) -> Tensor | None:
    """The label with which each image is reconstructed best, int64 [n], as the runtime does it.

    Thresholds are of scores with these labels, since who scores images rarely knows their own.

    Args:
        parts: of a model.
        images: see `inputs_of`.

    Returns:
        The labels; None if there are none to predict.

    Raises:
        InputError: the images do not fit the first input.
    """
    if not predicts_labels(parts):
        return None
    part = parts["reconstructor"]
    image, label = part.inputs
    x = check_input("calibration", image, images)
    run = in_chunks(part, Reference(part).single, effort_of(part).at_once)

    def reconstruct(number: int) -> Array:
        return run({image.name: x, label.name: np.full(len(x), number)})[part.outputs[0].name]

    assert label.range is not None  # noqa: S101  # `predicts_labels` says so
    return torch.from_numpy(nearest(x, label.range, reconstruct))
