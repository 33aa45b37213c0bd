"""Accepted arrays of images and latents: the same rules for training and for every verb.

Images are uint8, or float16, float32 or float64 in [0, 1], which become float32; of shape
[N, C, H, W] or [N, H, W], or vectors [N, D]. Verbs also accept one image without the first axis.
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
    "check_finite",
    "check_range",
    "fits",
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
"""Name of the array of file names that the commands write beside the data."""


def names_of_images(names: Collection[str], where: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Names of an archive's arrays of images and of labels.

    Args:
        names: of all arrays.
        where: name of the archive, for messages.

    Returns:
        Images: one name, or those of training and test images. Labels: as many names, or none.

    Raises:
        ImageError: the names are ambiguous or incomplete.
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


def names_of_latents(
    names: Collection[str], where: str, name: str = "", others: Collection[str] = ()
) -> str:
    """Name of an archive's array of latents.

    Args:
        names: of all arrays.
        where: name of the archive, for messages.
        name: of the input that takes the latents, which goes before the usual names.
        others: names of the arrays of further inputs.

    Raises:
        ImageError: the names are ambiguous.
    """
    found = set(names) - {_NAMES, *others}
    if name in found:
        return name
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
    """[C, H, W] of the images in an array of a given shape.

    Args:
        shape: [N, H, W], [N, C, H, W], or vectors [N, D], which become images [1, 1, D].
        where: name of the array, for messages.

    Raises:
        ImageError: wrong number of axes, more than 4 channels, or no images.
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
    """[n, C, H, W] of an array of images, which may lack axes of size 1.

    Args:
        shape: shape of the array.
        wanted: [C, H, W] of an image; 0 stands for any size.
        where: name of the array, for messages.

    Raises:
        ImageError: it has images of another shape, or none.
    """
    for axes in _forms(wanted):
        if fits(shape, axes):
            return (1, *wanted[: len(wanted) - len(axes)], *shape)
        if fits(shape[1:], axes):
            if not shape[0]:
                raise ImageError(f"{where} holds no rows: give at least one")
            return (shape[0], *wanted[: len(wanted) - len(axes)], *shape[1:])
    names = [str(size or name) for size, name in zip(wanted, "CHW", strict=True)]
    forms = " or ".join(
        f"[n, {', '.join(names[len(wanted) - len(axes) :])}]" for axes in _forms(wanted)
    )
    hint = ""
    if tuple(shape[-3:]) == (*wanted[1:], wanted[0]):
        hint = _transposed(shape)
    elif len(shape) > 1 and int(np.prod(shape[1:])) == int(np.prod(wanted)):
        hint = f". The sizes match: save array.reshape(-1, {', '.join(map(str, wanted))})"
    raise ImageError(f"{where}: expected {forms}, got {list(shape)}{hint}")


def fits(shape: Sequence[int], axes: Sequence[int]) -> bool:
    """Whether an array has these sizes; a size of 0 stands for any above 0."""
    return len(shape) == len(axes) and all(
        size == wanted if wanted else size > 0 for size, wanted in zip(shape, axes, strict=True)
    )


def _forms(wanted: Shape) -> list[tuple[int, ...]]:
    """Accepted shapes of an image: leading axes of size 1 may be missing."""
    forms: list[tuple[int, ...]] = [wanted]
    while forms[-1][0] == 1 and len(forms[-1]) > 1:
        forms.append(forms[-1][1:])
    return forms


def _transposed(shape: Sequence[int]) -> str:
    axes, order = ("[N, H, W, C]", "0, 3, 1, 2") if len(shape) == 4 else ("[H, W, C]", "2, 0, 1")
    return f". It looks like {axes}: save array.transpose({order})"


def check_dtype(dtype: np.dtype[Any], where: str) -> None:
    """Check that a dtype is uint8 or a float.

    Raises:
        ImageError: it is not; the message says how to convert the array.
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
    """Rows as uint8, or as float32 in native byte order; C-contiguous."""
    with np.errstate(over="ignore"):  # values beyond float32's range become infinite
        return np.ascontiguousarray(rows, np.uint8 if rows.dtype == np.uint8 else np.float32)


def check_finite(rows: Array, where: str, first: int = 0) -> None:
    """Check that rows have no NaN and no infinite value.

    Args:
        rows: uint8 or floats.
        where: name of the array, for messages.
        first: number of the first row.

    Raises:
        ImageError: a row has one; the message names the row.
    """
    if rows.dtype == np.uint8 or (np.isfinite(rows.min()) and np.isfinite(rows.max())):
        return
    row, *place = np.argwhere(~np.isfinite(rows))[0]
    raise ImageError(
        f"{where}: expected finite numbers, got {rows[(row, *place)]:g} in row {first + row}: "
        "remove the row, or replace the value"
    )


def check_range(lowest: float, highest: float, where: str, bounds: Bounds = UNIT) -> None:
    """Check that values are in a range.

    Args:
        lowest, highest: minimum and maximum of the values; NaN if any value is NaN.
        where: name of the array, for messages.
        bounds: lowest and highest allowed value.

    Raises:
        ImageError: they are not; the message suggests how to scale them.
    """
    low, high = bounds
    expected = f"expected floats in [{low:g}, {high:g}]"
    if np.isnan(lowest) or np.isnan(highest):
        raise ImageError(f"{where}: {expected}, got NaN: replace missing values")
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
    """With enough digits that a value just above 1 is not shown as 1."""
    text = f"{value:g}"
    return text if float(text) == value else str(np.float32(value))
