"""Converts what users pass for an array: one rule for the inputs of all verbs.

Arrays of other libraries are recognised by the protocols `__array__` and `__dlpack__`, and images
of pillow by their class, so that neither torch nor pillow is imported for them.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any, Protocol, TypeGuard

import numpy as np

from aeonnx.bundle import TensorSpec
from aeonnx.errors import InputError
from aeonnx.io.pixels import UNIT, has_pixels
from aeonnx.runtime.session import Array

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import TypeAlias

    import numpy.typing as npt
    from PIL.Image import Image

    class SupportsDLPack(Protocol):
        """An array of another library."""

        def __dlpack__(self, *, stream: Any = None) -> Any: ...

    ArrayLike: TypeAlias = npt.ArrayLike | SupportsDLPack | Image | Sequence[Image]
else:
    ArrayLike = Any

__all__ = ["ArrayLike", "as_array", "is_array", "is_number", "select", "takes_pixels"]

_IMAGE_AXES = 4


def as_array(where: str, spec: TensorSpec, value: Any) -> Array:
    """Convert an array-like value to a numpy array, without a copy where possible.

    - numpy arrays are returned as they are;
    - arrays of other libraries, such as tensors of torch, keep their dtype; a tensor that requires
      grad is detached;
    - of a data frame of pandas or polars, the columns of the model are taken, by their names;
    - an image of pillow becomes uint8 [1, C, H, W], by the rules for picture files;
    - a list or tuple of images of one size becomes uint8 [n, C, H, W], one of arrays gets a new
      first axis, and one of numbers becomes int64 or float64, or float32 where the input is float32
      and takes no pixels.

    Args:
        where: the input and what it expects; messages begin with it.
        spec: the input.
        value: the value.

    Raises:
        InputError: it is nothing of that kind, or cannot be converted: a masked or sparse array, an
            array on another device, a ragged list; the message says what to do.
    """
    if isinstance(value, np.ma.MaskedArray):
        raise InputError(
            f"{where}, got a masked array, whose masked values a graph would see: replace them "
            "with .filled(0)"
        )
    if isinstance(value, np.ndarray):
        return value
    if _is_pillow(value):
        return _pixels_of([value], where, spec)
    if spec.names and hasattr(type(value), "columns"):
        return _of_frame(where, spec, value)
    if is_array(value):
        return _of_another_library(where, value)
    if isinstance(value, list | tuple):
        return _of_list(where, spec, value)
    kind = _kind(value)
    if isinstance(value, str | os.PathLike):
        raise InputError(
            f"{where}, got a {kind}: read the file first, with PIL.Image.open(...) or "
            "numpy.load(...)"
        )
    hint = (
        "make it dense with .toarray()"
        if hasattr(value, "toarray")
        else "make it one with numpy.asarray(...)"
    )
    raise InputError(f"{where}, got a {kind}: {hint}")


def is_number(value: object) -> bool:
    """Whether a value is a single number of Python or numpy, which can stand for all rows."""
    return isinstance(value, int | float | np.number | np.bool_)


def select(value: Any, rows: slice) -> Any:
    """Some rows of an array or a list; anything else, such as one number for all rows, as it is."""
    has_rows = isinstance(value, list | tuple) or (is_array(value) and getattr(value, "ndim", True))
    return value[rows] if has_rows else value


def is_array(value: object) -> bool:
    """Whether a value is an array of numpy or another library, by its type's protocols."""
    kind = type(value)
    return hasattr(kind, "__array__") or hasattr(kind, "__dlpack__")


def takes_pixels(spec: TensorSpec) -> bool:
    """Whether uint8 pixels are accepted: for images with a range, and for anything in [0, 1]."""
    is_image = len(spec.shape) == _IMAGE_AXES and has_pixels(spec.range)
    return spec.dtype == "float32" and (is_image or spec.range == UNIT)


def _is_pillow(value: object) -> TypeGuard[Image]:
    """Whether a value is an image of pillow: none exists before pillow was imported."""
    module = sys.modules.get("PIL.Image")
    return module is not None and isinstance(value, module.Image)


def _pixels_of(images: Sequence[Image], where: str, spec: TensorSpec) -> Array:
    """Images of pillow as uint8 [n, C, H, W]."""
    # Readers of pictures are not needed for arrays, and milliseconds count at the start.
    from aeonnx.io.pillow import pixels_of

    shape = _image_shape(where, spec)
    found = [pixels_of(image, shape, where) for image in images]
    sizes = dict.fromkeys(f"{each.shape[2]}x{each.shape[1]}" for each in found)
    if len(sizes) > 1:
        raise InputError(
            f"{where}, got images of {' and '.join(sizes)} pixels: pass images of one size "
            "together, and others one by one"
        )
    return np.stack(found)


def _of_another_library(where: str, value: Any) -> Array:
    try:
        if getattr(value, "requires_grad", False):
            value = value.detach()
        found = np.asarray(value) if hasattr(value, "__array__") else np.from_dlpack(value)
    except Exception as error:  # each library has its own: on a GPU, sparse, bfloat16, deleted
        says = " ".join(str(error).split()) or type(error).__name__
        device = getattr(value, "device", None)
        place = "" if device is None or str(device) == "cpu" else f" on {device}"
        raise InputError(
            f"{where}, got a {_kind(value)}{place} that cannot be read as a numpy array ({says}): "
            "copy it to one first"
        ) from error
    return found


def _of_frame(where: str, spec: TensorSpec, value: Any) -> Array:
    """The columns of a data frame that a model takes, float32 [n, D]."""
    from aeonnx.io.tables import name_and_unit

    known = {name_and_unit(str(column))[0]: column for column in value.columns}
    missing = [name for name in spec.names if name not in known]
    if missing:
        raise InputError(
            f"{where}, got a data frame without the column {missing[0]}: its columns are "
            f"{', '.join(known)}"
        )
    chosen = value[[known[name] for name in spec.names]]
    try:
        return np.asarray(chosen, np.float32)
    except (TypeError, ValueError) as error:
        raise InputError(
            f"{where}, got a data frame with columns that are not numbers: {error}"
        ) from error


def _of_list(where: str, spec: TensorSpec, value: list[Any] | tuple[Any, ...]) -> Array:
    if any(_is_pillow(item) for item in value):
        others = {_kind(item) for item in value if not _is_pillow(item)}
        if others:
            raise InputError(
                f"{where}, got a {_kind(value)} of images and {', '.join(sorted(others))}: pass "
                "images alone"
            )
        return _pixels_of(value, where, spec)
    if any(is_array(item) or isinstance(item, np.ma.MaskedArray) for item in value):
        value = [as_array(where, spec, item) for item in value]
    plain = not any(isinstance(item, np.ndarray) for item in value)
    try:
        found = np.array(value)
    except ValueError as error:
        raise InputError(
            f"{where}, got a {_kind(value)} whose rows have different shapes: make them equal"
        ) from error
    if plain and found.dtype == np.int64 and spec.dtype == "float32" and not takes_pixels(spec):
        return found.astype(np.float32)  # Python's whole numbers are not of a dtype
    return found


def _image_shape(where: str, spec: TensorSpec) -> tuple[int, ...]:
    """[C, H, W] of an input, `ANY` for a size that varies."""
    from aeonnx.io.pictures import ANY

    if len(spec.shape) != _IMAGE_AXES:
        raise InputError(f"{where}, got an image of pillow: this input is not an image")
    return tuple(ANY if isinstance(size, str) else size for size in spec.shape[1:])


def _kind(value: object) -> str:
    """ "list", "torch.Tensor": the type as its users write it."""
    kind = type(value)
    module = kind.__module__.partition(".")[0]
    return kind.__name__ if module == "builtins" else f"{module}.{kind.__name__}"
