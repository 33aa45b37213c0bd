"""Bytes of a picture -> its pixels as stored upright, and its transparency. numpy and pillow."""

from __future__ import annotations

import threading
import warnings
from dataclasses import dataclass, replace
from importlib import import_module
from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from aeonnx.io import jpeg, png
from aeonnx.io.exif import find_orientation, turned

if TYPE_CHECKING:
    from PIL.ImageFile import ImageFile

__all__ = ["MOST_PIXELS", "Decoded", "Refused", "decode", "kind_of"]

Array = npt.NDArray[np.uint8]

MOST_PIXELS = 178_956_970
"""Of a picture; pillow takes what is larger for an attack."""

_PLUGINS = {
    "BMP": ("BmpImagePlugin", "BmpImageFile"),
    "GIF": ("GifImagePlugin", "GifImageFile"),
    "JPEG": ("JpegImagePlugin", "JpegImageFile"),
    "PNG": ("PngImagePlugin", "PngImageFile"),
    "TIFF": ("TiffImagePlugin", "TiffImageFile"),
    "WebP": ("WebPImagePlugin", "WebPImageFile"),
}
_SIGNATURES = {
    png.SIGNATURE: "PNG",
    b"\xff\xd8\xff": "JPEG",
    b"BM": "BMP",
    b"GIF87a": "GIF",
    b"GIF89a": "GIF",
    b"II*\0": "TIFF",
    b"MM\0*": "TIFF",
}
_DEPTH = "expected 8 or 16 bits per channel"
_CMYK = "is in CMYK, whose colours depend on its profile: convert it to RGB first"
_OPAQUE = 255
_quiet = threading.Lock()  # of what changes the process's filters of warnings


class Refused(Exception):  # noqa: N818  # not a fault of the file
    """A picture of a kind that is not read; the text goes after its name."""


@dataclass(frozen=True, eq=False)
class Decoded:
    """One picture, upright.

    Args:
        colour: uint8 [H, W] of grey or [H, W, 3].
        alpha: uint8 [H, W]; None where every pixel is opaque by its format.
        channels: of its own: 1 grey, 2 grey with alpha, 3 RGB (palettes too), 4 RGBA. A colour
            that the file declares transparent is no channel.
    """

    colour: Array
    alpha: Array | None
    channels: int

    def turned(self, orientation: int) -> Decoded:
        """The same as it is to be seen."""
        if orientation == 1:
            return self
        alpha = None if self.alpha is None else turned(self.alpha, orientation)
        return replace(self, colour=turned(self.colour, orientation), alpha=alpha)


def decode(data: bytes) -> Decoded:
    """Decode a picture, of which kind its content says.

    Raises:
        Refused: it is of a kind that is not read, or too large.
        ValueError, and whatever pillow raises: it is none, or damaged.
    """
    kind = kind_of(data)
    if kind is None:
        raise ValueError("it is empty" if not data else "its content is of no such kind")
    if kind in _DECODERS:
        return _DECODERS[kind](data)
    image = _open(kind, data)
    turn = find_orientation(image.info.get("exif", b"")) if kind == "WebP" else None
    return _plain(image).turned(turn.value if turn else 1)


def kind_of(start: bytes) -> str | None:
    """Of which format a picture is, by its first 12 bytes; None if they are of no picture."""
    if start.startswith(b"RIFF") and start[8:12] == b"WEBP":
        return "WebP"
    return next((kind for begin, kind in _SIGNATURES.items() if start.startswith(begin)), None)


def _open(kind: str, data: bytes) -> ImageFile:
    """Open with the one plugin: the way through `Image.open` warns through the whole process."""
    module, name = _PLUGINS[kind]
    image: ImageFile = getattr(import_module(f"PIL.{module}"), name)(BytesIO(data))
    _check_size(*image.size)
    frames = getattr(image, "n_frames", 1) if kind in ("GIF", "WebP", "TIFF") else 1
    if frames > 1:
        raise Refused(f"holds {frames} pictures: expected one")
    return image


def _check_size(width: int, height: int) -> None:
    if width * height > MOST_PIXELS:
        raise Refused(
            f"has {width}x{height} pixels: expected at most {MOST_PIXELS:,}, resize it first"
        )


def _plain(image: ImageFile) -> Decoded:
    """What pillow gives, by its mode."""
    mode = image.mode
    if mode == "CMYK":
        raise Refused(_CMYK)
    if mode in ("I", "F"):
        raise Refused(f"has 32 bits per channel: {_DEPTH}")
    image.load()
    if mode in ("P", "PA", "RGBX") or (mode == "L" and "transparency" in image.info):
        pixels = np.asarray(image.convert("RGBA"))
        alpha = None if mode == "RGBX" else pixels[..., 3]
        return Decoded(pixels[..., :3], alpha, {"PA": 4, "L": 1}.get(mode, 3))
    if mode in ("La", "RGBa"):
        mode = mode.upper()
        pixels = np.asarray(image.convert(mode))
    else:
        pixels = np.asarray(image)
    if mode == "1":
        return Decoded(pixels.astype(np.uint8) * np.uint8(255), None, 1)
    if mode.startswith("I;16"):
        return Decoded((pixels >> 8).astype(np.uint8), None, 1)
    if mode in ("L", "RGB"):
        return Decoded(pixels, None, len(mode))
    if mode == "LA":
        return Decoded(pixels[..., 0], pixels[..., 1], 2)
    if mode == "RGBA":
        return Decoded(pixels[..., :3], pixels[..., 3], 4)
    raise Refused(f"is in pillow's mode {mode}: expected grey, RGB or a palette")


def _decode_png(data: bytes) -> Decoded:
    head = png.read_chunks(data)
    _check_size(head.width, head.height)
    if head.frames > 1:
        raise Refused(f"holds {head.frames} pictures: expected one")
    png.check_pixels(head)
    bare = head.bare()
    if head.colour_type == 3:
        found = _by_palette(head, np.asarray(_open("PNG", bare)))
    elif head.colour_type == 4 and head.depth == 16:  # pillow makes RGBA of it
        pixels = np.asarray(_open("PNG", bare))
        found = Decoded(pixels[..., 0], pixels[..., -1], 2)
    else:
        found = _plain(_open("PNG", bare))
    if head.transparency is not None and head.colour_type in (0, 2):
        found = replace(found, alpha=_but_one(head, head.transparency, found.colour, bare))
    return found.turned(head.orientation)


def _by_palette(head: png.Png, index: npt.NDArray[Any]) -> Decoded:
    """The colours of the palette; black where it has none."""
    table = np.zeros((256, 4), np.uint8)
    table[:, 3] = _OPAQUE
    colours = np.frombuffer(head.palette, np.uint8).reshape(-1, 3)
    table[: len(colours), :3] = colours
    alphas = np.frombuffer(head.transparency or b"", np.uint8)
    table[: len(alphas), 3] = alphas
    index = index.astype(np.uint8)  # pillow gives truth values of one bit
    alpha = None if head.transparency is None else table[index, 3]
    return Decoded(table[index, :3], alpha, 3)


def _but_one(head: png.Png, colour: bytes, eight: Array, bare: bytes) -> Array:
    """Alpha where one colour is transparent, of all the bits that samples have."""
    samples = np.frombuffer(colour, ">u2") & (2**head.depth - 1)
    if head.depth < 16:
        clear = eight == samples * (255 // (2**head.depth - 1))
    elif head.colour_type == 0:
        clear = np.asarray(_open("PNG", bare)) == samples
    else:
        low = _open("PNG", bare)
        # As if the other byte came first.
        low.tile = [tile._replace(args="RGB;16L") for tile in low.tile]
        clear = (eight == samples >> 8) & (np.asarray(low) == samples & 255)
    if clear.ndim == 3:
        clear = clear.all(2)
    return np.where(clear, 0, _OPAQUE).astype(np.uint8)


def _decode_jpeg(data: bytes) -> Decoded:
    head = jpeg.read_markers(data)
    if head.components == 4:
        raise Refused(_CMYK)
    if head.depth != 8:
        raise Refused(f"has {head.depth} bits per channel: {_DEPTH}")
    _check_size(head.width, head.height)
    return _plain(_open("JPEG", head.bare())).turned(head.orientation)


def _decode_tiff(data: bytes) -> Decoded:
    turn = find_orientation(data)
    if turn is not None:
        # Versions of pillow differ in when they turn a TIFF: told that it is upright, none does.
        data = data[: turn.place] + turn.plain + data[turn.place + 2 :]
    with _quiet, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        image = _open("TIFF", data)
        bits = {*np.ravel(image.tag_v2.get(258, 1)).tolist()}  # type: ignore[attr-defined]
        if not bits <= {1, 2, 4, 8, 16}:
            raise Refused(f"has {max(bits)} bits per channel: {_DEPTH}")
        return _plain(image).turned(turn.value if turn else 1)


_DECODERS = {"PNG": _decode_png, "JPEG": _decode_jpeg, "TIFF": _decode_tiff}
