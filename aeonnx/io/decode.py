"""Decodes pictures to upright pixels and transparency. numpy and pillow."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib import import_module
from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from aeonnx.io import jpeg, png
from aeonnx.io.exif import find_orientation, turned
from aeonnx.io.frames import MOST_FRAMES, gif_frames, tiff_frames

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageFile import ImageFile

__all__ = [
    "MOST_PIXELS",
    "Decoded",
    "OtherSize",
    "Refused",
    "decode",
    "dpi_of",
    "from_pillow",
    "info_of",
    "kind_of",
    "open_tiff",
    "opened",
    "profile_of",
]

Array = npt.NDArray[Any]
Size = tuple[int, int] | None

MOST_PIXELS = 178_956_970
"""Most pixels of a picture; pillow treats larger ones as decompression bombs."""

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
_MOST_DPI = 100_000  # of a scanner or a microscope; more is damage
_DEPTHS, _FLOATS = (258, 339), 3  # tags of a TIFF: bits per sample and sample format; one value
_CMYK = "is in CMYK, whose colours depend on its profile: convert it to RGB first"
_OPAQUE = 255
_quiet = threading.Lock()  # held while the process's warning filters are changed


class OtherSize(Exception):  # noqa: N818  # not a fault of the file
    """A picture of another size; the arguments are its upright width and height."""


class Refused(Exception):  # noqa: N818  # not a fault of the file
    """An unsupported kind of picture; the message continues after the file's name."""


@dataclass(frozen=True, eq=False)
class Decoded:
    """One picture, upright.

    Args:
        colour: uint8 [H, W] of grey or [H, W, 3]; uint16 from `deep.decode_deep`.
        alpha: of the same dtype, [H, W]; None if the format has no transparency.
        channels: of the file: 1 grey, 2 grey with alpha, 3 RGB (also from a palette), 4 RGBA. A
            colour that the file declares transparent does not count as a channel.
    """

    colour: Array
    alpha: Array | None
    channels: int

    def turned(self, orientation: int) -> Decoded:
        """The picture turned upright, from an Exif orientation of 1 to 8."""
        if orientation == 1:
            return self
        alpha = None if self.alpha is None else turned(self.alpha, orientation)
        return replace(self, colour=turned(self.colour, orientation), alpha=alpha)


def decode(data: bytes, size: tuple[int, int] | None = None) -> Decoded:
    """Decode a picture; its content decides the format, not its name.

    Args:
        data: content of the file.
        size: required upright width and height; None for any.

    Raises:
        Refused: an unsupported kind of picture, or too large.
        OtherSize: it has another size; raised before decoding.
        ValueError, and whatever pillow raises: it is not a picture, or damaged.
    """
    kind = kind_of(data)
    if kind is None:
        raise ValueError("it is empty" if not data else "its content has none of these formats")
    return _DECODERS[kind](data, size)


def kind_of(start: bytes) -> str | None:
    """Format of a picture from its first 12 bytes; None if it is not a supported picture."""
    if start.startswith(b"RIFF") and start[8:12] == b"WEBP":
        return "WebP"
    return next((kind for begin, kind in _SIGNATURES.items() if start.startswith(begin)), None)


def opened(kind: str, data: bytes) -> ImageFile:
    """Open a picture with one plugin only: `Image.open` may issue warnings in the whole process."""
    module, name = _PLUGINS[kind]
    image: ImageFile = getattr(import_module(f"PIL.{module}"), name)(BytesIO(data))
    return image


def _check_size(width: int, height: int, orientation: int, size: Size) -> None:
    """Check the size before anything is decoded."""
    if width * height > MOST_PIXELS:
        raise Refused(
            f"has {width}x{height} pixels: expected at most {MOST_PIXELS:,}, resize it first"
        )
    if orientation > 4:
        width, height = height, width
    if size is not None and size != (width, height):
        raise OtherSize(width, height)


def _check_frames(frames: int) -> None:
    if frames > 1:
        more = "more than " if frames >= MOST_FRAMES else ""
        raise Refused(f"holds {more}{frames:,} pictures: expected one")


def info_of(data: bytes) -> Mapping[Any, Any]:
    """What pillow knows of a picture that `decode` accepts, beside its pixels."""
    kind = kind_of(data)
    try:
        if kind == "TIFF":
            with open_tiff(data) as (image, _):
                return image.info
        return opened(str(kind), data).info
    except Exception:  # pillow raises all kinds of errors; the pixels were decoded without it
        return {}


def profile_of(info: Mapping[Any, Any]) -> bytes | None:
    """The ICC profile in what `info_of` found; None without a readable one."""
    found = info.get("icc_profile")
    return found if isinstance(found, bytes) and found else None


def dpi_of(info: Mapping[Any, Any]) -> tuple[float, float] | None:
    """The pixels per inch, across and down, in what `info_of` found; None if unknown."""
    try:
        across, down = map(float, info["dpi"])
    except (KeyError, TypeError, ValueError, ZeroDivisionError):
        return None
    return (across, down) if 1 <= across <= _MOST_DPI and 1 <= down <= _MOST_DPI else None


def from_pillow(image: Image) -> Decoded:
    """Convert an image of pillow from its mode.

    Raises:
        Refused: unsupported mode.
    """
    mode = image.mode
    if mode == "CMYK":
        raise Refused(_CMYK)
    if mode in ("I", "F"):
        raise Refused(_of_depth(32, floats=mode == "F"))
    image.load()
    if mode in ("P", "PA", "RGBX") or (mode == "L" and "transparency" in image.info):
        pixels = np.asarray(image.convert("RGBA"))
        alpha = pixels[..., 3] if image.has_transparency_data else None
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


def _of_depth(bits: int, *, floats: bool) -> str:
    return f"has {bits}{'-bit floats' if floats else ' bits per channel'}: {_DEPTH}"


def _decode_png(data: bytes, size: Size) -> Decoded:
    head = png.read_chunks(data)
    _check_size(head.width, head.height, head.orientation, size)
    _check_frames(head.frames)
    png.check_pixels(head)
    bare = head.bare()
    if head.colour_type == 3:
        found = _by_palette(head, np.asarray(opened("PNG", bare)))
    elif head.colour_type == 4 and head.depth == 16:  # pillow returns RGBA
        pixels = np.asarray(opened("PNG", bare))
        found = Decoded(pixels[..., 0], pixels[..., -1], 2)
    else:
        found = from_pillow(opened("PNG", bare))
    if head.transparency is not None and head.colour_type in (0, 2):
        found = replace(
            found, alpha=_alpha_of_one_colour(head, head.transparency, found.colour, bare)
        )
    return found.turned(head.orientation)


def _by_palette(head: png.Png, index: npt.NDArray[Any]) -> Decoded:
    """Look up palette colours; black for indices beyond the palette."""
    table = np.zeros((256, 4), np.uint8)
    table[:, 3] = _OPAQUE
    colours = np.frombuffer(head.palette, np.uint8).reshape(-1, 3)
    table[: len(colours), :3] = colours
    alphas = np.frombuffer(head.transparency or b"", np.uint8)
    table[: len(alphas), 3] = alphas
    index = index.astype(np.uint8)  # pillow returns booleans for 1 bit
    alpha = None if head.transparency is None else table[index, 3]
    return Decoded(table[index, :3], alpha, 3)


def _alpha_of_one_colour(head: png.Png, colour: bytes, eight: Array, bare: bytes) -> Array:
    """Alpha of a PNG with one transparent colour, compared at the full bit depth."""
    samples = np.frombuffer(colour, ">u2") & (2**head.depth - 1)
    if head.depth < 16:
        clear = eight == samples * (255 // (2**head.depth - 1))
    elif head.colour_type == 0:
        clear = np.asarray(opened("PNG", bare)) == samples
    else:
        low = opened("PNG", bare)
        # Reads the low byte of each sample, as if the byte order were reversed.
        low.tile = [tile._replace(args="RGB;16L") for tile in low.tile]
        clear = (eight == samples >> 8) & (np.asarray(low) == samples & 255)
    if clear.ndim == 3:
        clear = clear.all(2)
    return np.where(clear, 0, _OPAQUE).astype(np.uint8)


def _decode_bmp(data: bytes, size: Size) -> Decoded:
    image = opened("BMP", data)
    _check_size(*image.size, 1, size)
    return from_pillow(image)


def _decode_gif(data: bytes, size: Size) -> Decoded:
    _check_frames(gif_frames(data))
    image = opened("GIF", data)
    _check_size(*image.size, 1, size)
    return from_pillow(image)


def _decode_webp(data: bytes, size: Size) -> Decoded:
    image = opened("WebP", data)
    turn = find_orientation(image.info.get("exif", b""))
    orientation = turn.value if turn else 1
    _check_size(*image.size, orientation, size)
    _check_frames(getattr(image, "n_frames", 1))
    return from_pillow(image).turned(orientation)


def _decode_jpeg(data: bytes, size: Size) -> Decoded:
    head = jpeg.read_markers(data)
    if head.components == 4:
        raise Refused(_CMYK)
    if head.depth != 8:
        raise Refused(_of_depth(head.depth, floats=False))
    _check_size(head.width, head.height, head.orientation, size)
    return from_pillow(opened("JPEG", head.bare())).turned(head.orientation)


def _decode_tiff(data: bytes, size: Size) -> Decoded:
    _check_frames(tiff_frames(data))
    _check_depth(data)
    with open_tiff(data) as (image, orientation):
        _check_size(*image.size, orientation, size)
        return from_pillow(image).turned(orientation)


def _check_depth(data: bytes) -> None:
    """Check the depth of a TIFF's channels, some of which pillow refuses without naming them."""
    start = BytesIO(data)
    with _quiet, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tags = import_module("PIL.TiffImagePlugin").ImageFileDirectory_v2(data[:8])
        start.seek(tags.next)
        tags.load(start)
        bits, formats = ({*np.ravel(tags.get(tag, 1)).tolist()} for tag in _DEPTHS)
    floats = _FLOATS in formats
    if floats or not bits <= {1, 2, 4, 8, 16}:
        raise Refused(_of_depth(max(bits), floats=floats))


@contextmanager
def open_tiff(data: bytes) -> Iterator[tuple[ImageFile, int]]:
    """Open a TIFF, as it is stored, and its orientation; pillow's warnings are silenced."""
    turn = find_orientation(data)
    if turn is not None:
        # Versions of pillow differ in when they turn a TIFF: none turns one marked as upright.
        data = data[: turn.place] + turn.plain + data[turn.place + 2 :]
    orientation = turn.value if turn else 1
    with _quiet, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield opened("TIFF", data), orientation


_DECODERS = {
    "BMP": _decode_bmp,
    "GIF": _decode_gif,
    "JPEG": _decode_jpeg,
    "PNG": _decode_png,
    "TIFF": _decode_tiff,
    "WebP": _decode_webp,
}
