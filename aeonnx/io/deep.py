"""Decodes pictures of 16 bits per channel with all of their bits. numpy and pillow.

Pillow opens colours of 16 bits as their high bytes. Reading the file once more as if its byte order
were the other one gives the low bytes.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from aeonnx.io import png
from aeonnx.io.decode import Decoded, decode, kind_of, open_tiff, opened
from aeonnx.io.exif import turned

if TYPE_CHECKING:
    from PIL.ImageFile import ImageFile

__all__ = ["decode_deep"]

Array = npt.NDArray[Any]

_OTHER = {"L": "B", "B": "L", "N": "B" if sys.byteorder == "little" else "L"}
_WHOLE = 257  # 255 * 257 is 65535


def decode_deep(data: bytes) -> Decoded:
    """Decode a picture as `decode` does, but one of 16 bits per channel to uint16.

    Raises:
        Refused, ValueError, and whatever pillow raises: see `decode`.
    """
    found = decode(data)
    kind = kind_of(data)
    if kind == "PNG":
        return _png(data, found)
    return _tiff(data, found) if kind == "TIFF" else found


def _png(data: bytes, found: Decoded) -> Decoded:
    if data[png.DEPTH_AT] != 16:
        return found
    head = png.read_chunks(data)
    if head.colour_type == 4:
        # Grey with alpha of 16 bits has the bytes of RGBA of 8 bits.
        as_bytes = replace(head, depth=8, colour_type=6).bare()
        pixels = np.ascontiguousarray(np.asarray(opened("PNG", as_bytes))).view(">u2")
    else:
        pixels = _both_bytes(lambda: opened("PNG", head.bare()))
    return _with(found, turned(pixels.astype(np.uint16), head.orientation))


def _tiff(data: bytes, found: Decoded) -> Decoded:
    with open_tiff(data) as (image, orientation):
        grey, colour = image.mode.startswith("I;16"), image.mode in ("RGB", "RGBA")
        if not grey and not (colour and _is_deep(image)):
            return found
    return _with(found, turned(_both_bytes(lambda: _again(data)), orientation))


def _again(data: bytes) -> ImageFile:
    with open_tiff(data) as (image, _):
        return image


def _both_bytes(open_again: Any) -> Array:
    """uint16 [H, W] or [H, W, C] of a picture that is opened twice."""
    high = open_again()
    if high.mode.startswith("I;16"):
        return np.asarray(high).astype(np.uint16)
    low = open_again()
    low.tile = [tile._replace(args=_swapped(tile.args)) for tile in low.tile]
    found: Array = np.asarray(high).astype(np.uint16) << 8 | np.asarray(low)
    return found


def _is_deep(image: ImageFile) -> bool:
    return all(";16" in _raw_mode(tile.args) for tile in image.tile)


def _raw_mode(args: Any) -> str:
    return args if isinstance(args, str) else args[0]


def _swapped(args: Any) -> Any:
    """The arguments of a tile's decoder, with the other byte order in the raw mode."""
    mode = _raw_mode(args)
    other = mode[:-1] + _OTHER[mode[-1]]
    return other if isinstance(args, str) else (other, *args[1:])


def _with(found: Decoded, pixels: Array) -> Decoded:
    """A decoded picture with uint16 pixels [H, W] or [H, W, 2 to 4]."""
    alpha = None if found.alpha is None else found.alpha.astype(np.uint16) * _WHOLE
    if pixels.ndim == 3 and pixels.shape[2] in (2, 4):
        alpha = pixels[..., -1]
        pixels = pixels[..., 0] if pixels.shape[2] == 2 else pixels[..., :3]
    return replace(found, colour=pixels, alpha=alpha)
