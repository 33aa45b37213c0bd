"""Which images a sheet of images before and after shows."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from aeonnx._util import files
from aeonnx.bundle import TensorSpec
from aeonnx.errors import UsageError
from aeonnx.io.images import require_suffix
from aeonnx.io.pixels import UNIT, to_pixels
from aeonnx.io.sheet import MOST_SHOWN, Sheet
from aeonnx.runtime.bundle import Bundle
from aeonnx.runtime.file_rows import sizes
from aeonnx.runtime.pixel_range import pixel_range
from aeonnx.runtime.session import Array
from aeonnx.runtime.verbs import made_by, taken_by

__all__ = ["check_sheet", "require_other", "require_pictures", "show_rows"]


def check_sheet(option: str, spec: TensorSpec, path: Path, *, force: bool) -> None:
    """Check that a sheet can be made, before anything runs.

    Args:
        option: that asks for it.
        spec: of what it shows.
        path: of the sheet.
        force: replace an existing file.

    Raises:
        UsageError: the name does not end in .png, or it would show no pictures.
        OutputError: the file exists and `force` is not set.
    """
    require_suffix(path, (".png",), ".png")
    require_pictures(option, spec)
    files.refuse_existing(path, force=force)


def require_other(option: str, path: Path, target: Path | str) -> None:
    """Check that two files have different names.

    Raises:
        UsageError: they do not.
    """
    if os.path.abspath(path) == os.path.abspath(target):
        raise UsageError(f"{option} {path}: expected another name than that of -o")


def require_pictures(option: str, spec: TensorSpec) -> None:
    """Check that a tensor can be shown as pictures.

    Raises:
        UsageError: it cannot.
    """
    if spec.kind != "image" or not 1 <= sizes(spec)[0] <= 4:
        raise UsageError(
            f"{option} shows images of 1 to 4 channels, and {spec.name} is of the kind "
            f"{spec.kind}, {list(spec.shape)}: leave {option} out"
        )


def show_rows(
    sheet: Sheet, bundle: Bundle, verb: str, names: Sequence[str], before: Array, after: Array
) -> None:
    """Add a batch of images to a sheet, if there is room.

    Args:
        sheet: gets the images in order, from the first one on.
        bundle: the bundle.
        verb: that was run.
        names: of all images.
        before: the next images, uint8 or floats in range [n, C, H, W].
        after: what the verb made of them, likewise.
    """
    room = MOST_SHOWN - len(sheet.rows)
    if room <= 0:
        return
    part, made = made_by(bundle.manifest, verb)
    bounds = bundle.inputs(taken_by(bundle.manifest, verb))[0].range or UNIT
    for one, other in zip(before[:room], after[:room], strict=True):
        shown = one if one.dtype == np.uint8 else to_pixels(one, bounds)
        result = (
            other
            if other.dtype == np.uint8
            else to_pixels(other, pixel_range(bundle.manifest, part, made))
        )
        name = names[len(sheet.rows)]
        sheet.add(name, shown.transpose(1, 2, 0), result.transpose(1, 2, 0))
