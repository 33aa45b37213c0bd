"""Pictures of requests as rows of a model, and what it makes of them as pictures."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from aeonnx.bundle import TensorSpec
from aeonnx.errors import ImageError, RequestError
from aeonnx.io.decode import kind_of, opened
from aeonnx.io.encode import encode_picture
from aeonnx.io.images import png
from aeonnx.io.photos import open_photo
from aeonnx.io.pictures import Treatment, image_of
from aeonnx.runtime import Bundle
from aeonnx.runtime.file_rows import of_any_size, sizes
from aeonnx.runtime.pixel_range import pixel_range
from aeonnx.runtime.verbs import made_by, taken_by

__all__ = ["count_pixels", "prepared", "row_of"]

_NAME = "the picture"

Encode = Callable[[Any], bytes]


def count_pixels(data: bytes, most: int) -> int:
    """The pixels of a picture, from its head alone.

    Raises:
        RequestError: it is none, or has too many.
    """
    kind = kind_of(data)
    if kind is None:
        raise RequestError(
            415,
            "expected a PNG, JPEG, BMP, TIFF, WebP or GIF as the body: curl --data-binary @FILE",
        )
    try:
        width, height = opened(kind, data).size
    except Exception as error:  # decoders raise all kinds of errors on damaged data
        raise _damaged(data) from error
    if width * height > most:
        raise RequestError(413, f"the picture has {width}x{height} pixels: expected at most {most}")
    return width * height


def prepared(bundle: Bundle, verb: str, data: bytes) -> tuple[Any, Encode]:
    """Rows of a picture, and a function that encodes what the verb makes of them.

    Raises:
        ImageError: the picture does not fit the model.
        RequestError: it is damaged.
    """
    taken = bundle.inputs(taken_by(bundle.manifest, verb))[0]
    if not of_any_size(bundle, verb):
        return row_of(taken, data), png
    if taken.range is None:
        raise ImageError(
            f"{_NAME} has pixels, and the model does not say which range its images have: send "
            "floats, normalised as it expects, to the route infer"
        )
    part, made = made_by(bundle.manifest, verb)
    photo = _readable(data, lambda: open_photo(data, _NAME, Treatment()))
    bounds = pixel_range(bundle.manifest, part, made)

    def encode(rows: Any) -> bytes:
        after = photo.with_result(rows, bounds)
        return encode_picture(after.pixels, "png", after.profile, after.dpi)

    return photo.rows(sizes(made)[0], taken.range), encode


def row_of(spec: TensorSpec, data: bytes) -> Any:
    """A picture as the only row of a model of one size.

    Raises:
        ImageError: the picture does not fit the model.
        RequestError: it is damaged.
    """
    return _readable(data, lambda: image_of(data, sizes(spec), Treatment(), _NAME))[None]


def _readable(data: bytes, read: Callable[[], Any]) -> Any:
    """What `read()` returns, without the texts of decoders in errors."""
    try:
        return read()
    except ImageError as error:
        if error.__cause__ is None:  # it does not fit, which the error explains
            raise
        raise _damaged(data) from error


def _damaged(data: bytes) -> RequestError:
    text = f"the picture is not a readable {kind_of(data)} image: it is damaged or cut off"
    return RequestError(400, text)
