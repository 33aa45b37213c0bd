"""Converts images of pillow by the rules for picture files; does not import pillow."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from aeonnx.errors import ImageError
from aeonnx.io.decode import Decoded, Refused, from_pillow
from aeonnx.io.exif import ORIENTATION
from aeonnx.io.pictures import ANY, Array, Treatment, with_channels

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["pixels_of"]


def pixels_of(image: Image, shape: Sequence[int], where: str) -> Array:
    """Convert an image of pillow to uint8 [C, H, W] of the given shape, whose sizes can be `ANY`.

    The pixels are those that `read_picture` gives for the file that the image was opened from:
    grey and colour are converted to each other, palettes are looked up, 16 bits keep their high
    byte, and an Exif orientation is applied.

    Args:
        image: an image of any mode that is read from files.
        shape: [C, H, W] of the result.
        where: what the image is for; messages begin with it.

    Raises:
        ImageError: it has another size, an unsupported mode, several frames, transparent pixels
            without a channel for them; or it cannot be decoded.
    """
    try:
        upright = _upright(image)
    except Refused as refused:
        raise ImageError(f"{where}, got an image that {refused}") from None
    except Exception as error:  # opened lazily: decoders raise all kinds of errors on damaged data
        raise ImageError(
            f"{where}, got an image that pillow cannot decode: {error or type(error).__name__}"
        ) from error
    height, width = upright.colour.shape[:2]
    sizes = zip(shape[1:], (height, width), strict=True)
    wanted = tuple(has if size == ANY else size for size, has in sizes)
    if (height, width) != wanted:
        size = f"({wanted[1]}, {wanted[0]})"
        raise ImageError(
            f"{where}, got an image of {width}x{height} pixels: resize it with .resize({size})"
        )
    return with_channels(upright, shape[0], Treatment(), f"{where}: the image")


def _upright(image: Image) -> Decoded:
    frames = getattr(image, "n_frames", 1)
    if frames > 1:
        raise Refused(f"holds {frames:,} pictures: pass one of them, as .copy() after .seek(...)")
    image.load()  # some versions of pillow turn a TIFF here, and then remove its orientation
    orientation = image.getexif().get(ORIENTATION, 1)
    found = _with_transparent_colour(image)
    return found.turned(orientation) if orientation in range(1, 9) else found


def _with_transparent_colour(image: Image) -> Decoded:
    """As `from_pillow`; also applies the one transparent colour that a PNG may declare."""
    clear: Any = image.info.get("transparency")
    if clear is None or image.mode not in ("1", "RGB", "I;16"):
        return from_pillow(image)
    if image.mode == "RGB" and max(clear) > 255:
        raise Refused("declares a transparent colour of 16 bits, and has 8: convert it to RGBA")
    found = from_pillow(image)
    same = np.asarray(image) == np.asarray(clear)
    same = same.all(2) if same.ndim == 3 else same
    return Decoded(found.colour, np.where(same, 0, 255).astype(np.uint8), found.channels)
