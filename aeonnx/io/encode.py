"""Encodes one picture with its depth, transparency and colour profile. numpy; pillow when used."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import numpy as np
import numpy.typing as npt

from aeonnx.errors import UsageError
from aeonnx.io import png
from aeonnx.io.images import FORMATS

__all__ = ["DEEP", "encode_picture"]

Array = npt.NDArray[Any]
Dpi = tuple[float, float]

_COLOUR_TYPES = {1: 0, 2: 4, 3: 2, 4: 6}  # of PNG, by channels
_SHORT, _LONG, _RATIO, _BYTES = 3, 4, 5, 7  # types of TIFF's entries
_INCH = 0.0254  # metres


def encode_picture(
    pixels: Array, form: str, profile: bytes | None = None, dpi: Dpi | None = None
) -> bytes:
    """Encode a picture.

    Args:
        pixels: uint8 or uint16 [H, W, C]; C is 1 grey, 2 grey with alpha, 3 RGB, 4 RGBA.
        form: "png" or "tif", which keep everything; "webp" (lossless, 8 bits); or "jpg" (quality
            95, 8 bits, no alpha).
        profile: ICC profile of the colours; None for none.
        dpi: pixels per inch, across and down, which WebP does not keep; None if unknown.

    Raises:
        UsageError: the form is "jpg" and pixels are transparent.
    """
    if form == "jpg" and pixels.shape[2] in (2, 4):
        if (pixels[..., -1] != np.iinfo(pixels.dtype).max).any():
            raise UsageError("a JPEG keeps no transparency: expected .png, .webp or .tif")
        pixels = pixels[..., :-1]
    if form == "tif" and pixels.shape[2] == 2:  # many programs read no grey TIFF with alpha
        pixels = pixels[..., [0, 0, 0, 1]]
    if pixels.dtype == np.uint16:
        if form in DEEP:
            return DEEP[form](pixels, profile, dpi)
        pixels = (pixels >> 8).astype(np.uint8)
    from PIL import Image

    kind, options = FORMATS[form]
    buffer = io.BytesIO()
    image = Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)
    if dpi and form != "webp":
        options = {**options, "dpi": dpi}
    image.save(buffer, kind, icc_profile=profile, **options)
    return buffer.getvalue()


def _deep_png(pixels: Array, profile: bytes | None, dpi: Dpi | None) -> bytes:
    """A PNG of 16 bits per channel, which pillow writes of grey only."""
    height, width, channels = pixels.shape
    rows = pixels.astype(">u2").reshape(height, -1).view(np.uint8)
    # Filter 2: the difference to the row above, which compresses better.
    filtered = np.full((height, rows.shape[1] + 1), 2, np.uint8)
    filtered[:, 1:] = np.diff(rows, axis=0, prepend=np.zeros_like(rows[:1]))
    head = struct.pack(">IIBBBBB", width, height, 16, _COLOUR_TYPES[channels], 0, 0, 0)
    chunks = [png.SIGNATURE, png.chunk(b"IHDR", head)]
    if profile:
        chunks.append(png.chunk(b"iCCP", b"ICC\0\0" + zlib.compress(profile)))
    if dpi:
        metres = (round(each / _INCH) for each in dpi)
        chunks.append(png.chunk(b"pHYs", struct.pack(">IIB", *metres, 1)))
    chunks += [png.chunk(b"IDAT", zlib.compress(filtered.tobytes())), png.chunk(b"IEND", b"")]
    return b"".join(chunks)


def _deep_tiff(pixels: Array, profile: bytes | None, dpi: Dpi | None) -> bytes:
    """A TIFF of 16 bits per channel, in one compressed strip."""
    height, width, channels = pixels.shape
    strip = zlib.compress(pixels.astype("<u2").tobytes())
    bits = struct.pack(f"<{channels}H", *[16] * channels)
    values: dict[int, tuple[int, int, bytes | int]] = {
        256: (_LONG, 1, width),
        257: (_LONG, 1, height),
        258: (_SHORT, channels, bits),
        259: (_SHORT, 1, 8),  # deflate
        262: (_SHORT, 1, 2 if channels > 2 else 1),  # RGB, or grey with 0 as black
        273: (_LONG, 1, 8),  # the strip follows the head
        277: (_SHORT, 1, channels),
        278: (_LONG, 1, height),
        279: (_LONG, 1, len(strip)),
    }
    if dpi:
        for tag, each in zip((282, 283), dpi, strict=True):
            values[tag] = (_RATIO, 1, struct.pack("<II", round(each * 1000), 1000))
        values[296] = (_SHORT, 1, 2)  # per inch
    if channels in (2, 4):
        values[338] = (_SHORT, 1, 2)  # the last channel is alpha, and colours are not times it
    if profile:
        values[34675] = (_BYTES, len(profile), profile)
    place = 8 + len(strip) + len(strip) % 2
    later, directory = b"", struct.pack("<H", len(values))
    first = place + 2 + 12 * len(values) + 4
    for tag, (kind, count, value) in values.items():
        if isinstance(value, int):
            content = struct.pack("<I", value)
        elif len(value) <= 4:
            content = value.ljust(4, b"\0")
        else:
            content = struct.pack("<I", first + len(later))
            later += value + b"\0" * (len(value) % 2)
        directory += struct.pack("<HHI", tag, kind, count) + content
    return b"".join(
        (b"II*\0", struct.pack("<I", place), strip, b"\0" * (len(strip) % 2), directory,
         b"\0\0\0\0", later)
    )  # fmt: skip


DEEP = {"png": _deep_png, "tif": _deep_tiff}
"""Forms that keep 16 bits, and what encodes them."""
