"""Read what `--calibration` names: real inputs of a model, to measure reduced precision on."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from aeonnx.bundle import shape_at
from aeonnx.errors import ImageError, InputError
from aeonnx.exporting.sizes import at_usual
from aeonnx.exporting.verify.calibration import first_input
from aeonnx.exporting.verify.inputs import inputs_of
from aeonnx.io.pictures import ANY
from aeonnx.io.readers import read_images
from aeonnx.io.rows import Rows, read_rows
from aeonnx.models import Part
from aeonnx.runtime.session import Array

__all__ = ["read_calibration"]


def read_calibration(path: Path, parts: Mapping[str, Part]) -> dict[str, Array]:
    """Real inputs of parts, at the usual sizes of their axes, by tensor name.

    Larger images, signals and volumes give their middle.

    Args:
        path: pictures, a folder of them, or an array of rows; for models of anything but images
            with a range, a .npy or .npz array [n, ...] of what the first input takes.
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
        what = f"rows of {usual.name}"
        rows = read_rows(path, Rows(usual.name, tuple(wanted), usual.dtype, what), size)
    try:
        return inputs_of(parts, rows)
    except InputError as error:
        raise ImageError(f"{path}: {error}") from error
