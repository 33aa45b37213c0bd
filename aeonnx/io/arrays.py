"""Which arrays are images, and of which shape: one rule for training and for every verb.

What trains also runs: uint8, or floats of 16, 32 or 64 bits in [0, 1], which become float32; as
[N, C, H, W], [N, H, W] or vectors [N, D]. A part also takes one image without its first axis.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from aeonnx.errors import ImageError
from aeonnx.io.pixels import UNIT, Bounds

__all__ = [
    "LABELS",
    "check_dtype",
    "check_range",
    "image_shape",
    "names_of_images",
    "names_of_latents",
    "rows_shape",
    "to_values",
]

Array = npt.NDArray[Any]
Shape = tuple[int, int, int]

LABELS = ("y", "labels")
_IMAGES = ("x", "images", "data")
_GIVEN = ("x_train", "x_test")
_GIVEN_LABELS = ("y_train", "y_test")
_LATENTS = ("z", "latents", "features")
_NAMES = "names"
"""Of files: an array that the commands write beside others."""


def names_of_images(names: Collection[str], where: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Which arrays of an archive are the images and which the labels: one of each, two, or none.

    Raises:
        ImageError: the names do not say.
    """
    found = set(names) - {_NAMES}
    if found & {*_GIVEN}:
        given = _GIVEN_LABELS if found & {*_GIVEN_LABELS} else ()
        if not found >= {*_GIVEN, *given}:
            raise ImageError(
                f"{where}: expected arrays x_train and x_test, with y_train and y_test or neither, "
                f"got {_listed(found)}"
            )
        return _GIVEN, given
    images = found & {*_IMAGES} or found - {*LABELS}
    labels = found & {*LABELS}
    if len(images) != 1 or len(labels) > 1:
        raise ImageError(
            f"{where}: expected one array of images (named x, images or data if there are several) "
            f"and at most one of labels (y or labels), got {_listed(found)}"
        )
    return (*images,), (*labels,)


def names_of_latents(names: Collection[str], where: str) -> str:
    """Which array of an archive holds latents.

    Raises:
        ImageError: the names do not say.
    """
    found = set(names) - {_NAMES}
    latents = found & {*_LATENTS} or found - {*LABELS}
    if len(latents) != 1:
        raise ImageError(
            f"{where}: expected one array of latents (named z, latents or features if there are "
            f"several), got {_listed(found)}"
        )
    return latents.pop()


_NAMED = 12  # arrays of an archive that an error names


def _listed(names: Collection[str]) -> str:
    more = f" and {len(names) - _NAMED:,} more" if len(names) > _NAMED else ""
    return (", ".join(sorted(names)[:_NAMED]) or "none") + more


def image_shape(shape: Sequence[int], where: str) -> Shape:
    """[C, H, W] of the images in an array, which its shape says.

    Args:
        shape: [N, H, W], [N, C, H, W], or vectors [N, D], which become images [1, 1, D].
        where: what to call the array in an error.

    Raises:
        ImageError: another number of axes, more than 4 channels, or no images.
    """
    got = f"got {list(shape)}"
    if len(shape) not in (2, 3, 4):
        raise ImageError(f"{where}: expected [N, H, W], [N, C, H, W] or vectors [N, D], {got}")
    if 0 in shape:
        raise ImageError(f"{where} holds no images: expected at least 2, {got}")
    if len(shape) == 2:
        return 1, 1, shape[1]
    channels = shape[1] if len(shape) == 4 else 1
    if channels > 4:
        hint = _transposed(shape) if shape[-1] <= 4 else ""
        raise ImageError(f"{where}: expected [N, C, H, W] with 1 to 4 channels, {got}{hint}")
    return channels, shape[-2], shape[-1]


def rows_shape(shape: Sequence[int], wanted: Shape, where: str) -> tuple[int, ...]:
    """[n, C, H, W] of an array that holds such images, with or without axes of size 1.

    Args:
        shape: of the array.
        wanted: [C, H, W] of an image.
        where: what to call the array in an error.

    Raises:
        ImageError: it holds others, or none.
    """
    for axes in _forms(wanted):
        if tuple(shape) == axes:
            return (1, *wanted)
        if len(shape) == len(axes) + 1 and tuple(shape[1:]) == axes:
            if not shape[0]:
                raise ImageError(f"{where} holds no rows: give at least one")
            return (shape[0], *wanted)
    forms = " or ".join(f"[n, {', '.join(map(str, axes))}]" for axes in _forms(wanted))
    hint = ""
    if tuple(shape[-3:]) == (*wanted[1:], wanted[0]):
        hint = _transposed(shape)
    elif len(shape) > 1 and int(np.prod(shape[1:])) == int(np.prod(wanted)):
        hint = f". For rows of so many values save array.reshape(-1, {', '.join(map(str, wanted))})"
    raise ImageError(f"{where}: expected {forms}, got {list(shape)}{hint}")


def _forms(wanted: Shape) -> list[tuple[int, ...]]:
    """The shapes that an image may have: without channels if it has one, without rows too."""
    forms: list[tuple[int, ...]] = [wanted]
    while forms[-1][0] == 1 and len(forms[-1]) > 1:
        forms.append(forms[-1][1:])
    return forms


def _transposed(shape: Sequence[int]) -> str:
    axes, order = ("[N, H, W, C]", "0, 3, 1, 2") if len(shape) == 4 else ("[H, W, C]", "2, 0, 1")
    return f". It looks like {axes}: save array.transpose({order})"


def check_dtype(dtype: np.dtype[Any], where: str) -> None:
    """Refuse what is neither pixels nor floats, and say how to convert it.

    Raises:
        ImageError: it is another dtype.
    """
    if dtype == np.uint8 or dtype.kind == "f":
        return
    hints = {
        "b": "save array * numpy.uint8(255)",
        "c": "save its real part, or its absolute value",
        "S": "those are texts",
        "U": "those are texts",
    }
    hint = hints.get(dtype.kind, "save array.astype('uint8') if its values are 0 to 255")
    if dtype.kind in "iu" and dtype.itemsize == 2:
        hint = "save (array >> 8).astype('uint8') if its values fill 16 bits, as in pictures"
    raise ImageError(f"{where}: expected uint8, or floats in [0, 1], got {dtype}: {hint}")


def to_values(rows: Array) -> Array:
    """Rows as parts and training take them: uint8, or float32 in the machine's byte order."""
    with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite
        return np.ascontiguousarray(rows, np.uint8 if rows.dtype == np.uint8 else np.float32)


def check_range(lowest: float, highest: float, where: str, bounds: Bounds = UNIT) -> None:
    """Refuse values outside a range, and say what they look like.

    Args:
        lowest, highest: of the values; NaN if one is.
        where: what to call the array in an error.
        bounds: lowest and highest value that are allowed.

    Raises:
        ImageError: there are such values.
    """
    low, high = bounds
    expected = f"expected floats in [{low:g}, {high:g}]"
    if np.isnan(lowest) or np.isnan(highest):
        raise ImageError(f"{where}: {expected}, got NaN: replace what is not known")
    if lowest >= low and highest <= high:
        return
    if bounds != UNIT:
        hint = f"scale them to [{low:g}, {high:g}] first, or save pixels as uint8"
    elif lowest >= -0.01 and highest <= 1.01:
        hint = "clip them to [0, 1] first"
    elif lowest >= 0 and 2 <= highest <= 255:
        hint = "divide by 255 first"
    elif lowest >= -1 and highest <= 1:
        hint = "if they are scaled to [-1, 1], save (array + 1) / 2"
    else:
        hint = "scale them to [0, 1] first"
    raise ImageError(f"{where}: {expected}, got {_shown(lowest)} to {_shown(highest)}: {hint}")


def _shown(value: float) -> str:
    """So many digits that what is over 1 does not read as 1."""
    text = f"{value:g}"
    return text if float(text) == value else str(np.float32(value))
