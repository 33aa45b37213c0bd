"""Reads picture files, and refuses every file that cannot be read exactly as intended."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from aeonnx._util import files
from aeonnx.errors import ImageError, UsageError
from aeonnx.io.decode import Decoded, OtherSize, Refused, decode

__all__ = [
    "ANY",
    "LARGEST_FILE",
    "RESIZES",
    "Colour",
    "Treatment",
    "checked",
    "colour_of",
    "composed",
    "image_of",
    "load_picture",
    "picture_of",
    "read_file",
    "read_picture",
    "with_channels",
]

Array = npt.NDArray[Any]
Colour = tuple[int, int, int]

ANY = 0
"""Stands for any size in the shape that a picture is to have."""
LARGEST_FILE = 2**30  # bytes
RESIZES = ("fit", "crop", "stretch")
_BLACK = (0, 0, 0)


@dataclass(frozen=True)
class Treatment:
    """How to convert a picture that does not fit the model.

    Args:
        resize: "fit" (keep all of it, pad with the background), "crop" (keep its centre),
            "stretch" (ignore its aspect ratio), or None to refuse other sizes.
        background: RGB colour behind transparent pixels; None to refuse transparent pixels if the
            model has no alpha channel.
        offered: whether the command has the options --resize and --background, which error
            messages then suggest.

    Raises:
        UsageError: `resize` has another value.
    """

    resize: str | None = None
    background: Colour | None = None
    offered: bool = False

    def __post_init__(self) -> None:
        if self.resize is not None and self.resize not in RESIZES:
            raise UsageError(f"resize: expected {', '.join(RESIZES)}, got {self.resize!r}")


def colour_of(text: str) -> Colour:
    """Parse a colour: a name or #rrggbb, as pillow accepts them.

    Raises:
        UsageError: pillow knows no such colour.
    """
    from PIL import ImageColor

    try:
        return ImageColor.getrgb(text)[:3]
    except ValueError:
        raise UsageError(
            f"--background: expected a colour such as white or #20a0ff, got {text!r}"
        ) from None


def load_picture(
    path: Path, size: tuple[int, int] | None = None, how: Treatment | None = None
) -> Decoded:
    """Decode a picture file.

    Args:
        path: path of the file.
        size: required upright width and height, checked before decoding; None for any.
        how: options to suggest in messages.

    Raises:
        ImageError: it is missing, not a regular file, too large, damaged, of an unsupported kind,
            or of another size.
    """
    return picture_of(read_file(path), f"{path}", size, how)


def read_file(path: Path) -> bytes:
    """The content of a picture file.

    Raises:
        ImageError: it is missing, not a regular file, or too large.
    """
    try:
        return files.read_bytes(path, LARGEST_FILE)
    except FileNotFoundError:
        raise ImageError(f"{path} does not exist") from None
    except OSError as error:
        raise ImageError(f"cannot read {path}: {error.strerror or error}") from error


def picture_of(
    data: bytes, where: str, size: tuple[int, int] | None = None, how: Treatment | None = None
) -> Decoded:
    """Decode the content of a picture file named `where` in messages, see `load_picture`."""
    try:
        return checked(lambda content: decode(content, size), data, where)
    except OtherSize as other:
        width, height = size or (0, 0)
        hint = ", or pass --resize fit, crop or stretch" if how and how.offered else ""
        raise ImageError(
            f"{where}: expected {width}x{height} pixels, got {other.args[0]}x{other.args[1]}: "
            f"resize it first{hint}"
        ) from None


def checked(decoder: Callable[[bytes], Decoded], data: bytes, where: str) -> Decoded:
    """Decode the content of a picture file named `where`.

    Raises:
        ImageError: it is damaged or of an unsupported kind.
        OtherSize: it has another size.
    """
    try:
        return decoder(data)
    except OtherSize:
        raise
    except Refused as refused:
        raise ImageError(f"{where} {refused}") from None
    # Decoders raise all kinds of errors on damaged data: the file is at fault.
    except Exception as error:
        raise ImageError(
            f"{where} is not a readable PNG, JPEG, BMP, TIFF, WebP or GIF image: "
            f"{error or type(error).__name__}"
        ) from error


def read_picture(path: Path, shape: Sequence[int], how: Treatment | None = None) -> Array:
    """Read a picture file as uint8 [C, H, W] of the given shape, whose sizes can be `ANY`.

    Raises:
        ImageError: see `load_picture`; or it has another size or transparent pixels, and `how`
            does not allow to convert them.
    """
    how = how or Treatment()
    return _shaped(load_picture(path, _size(shape, how), how), shape, how, f"{path}")


def image_of(data: bytes, shape: Sequence[int], how: Treatment, where: str) -> Array:
    """Convert the content of a picture file, see `read_picture`."""
    return _shaped(picture_of(data, where, _size(shape, how), how), shape, how, where)


def _size(shape: Sequence[int], how: Treatment) -> tuple[int, int] | None:
    return (shape[2], shape[1]) if how.resize is None and ANY not in shape else None


def _shaped(picture: Decoded, shape: Sequence[int], how: Treatment, where: str) -> Array:
    channels, height, width = shape
    pixels = with_channels(picture, channels, how, where)
    if ANY in shape or pixels.shape[1:] == (height, width):
        return pixels
    return _resized(pixels, height, width, how)


def with_channels(picture: Decoded, channels: int, how: Treatment, where: str) -> Array:
    """Convert a decoded picture to uint8 [C, H, W] with C = `channels` and its own size.

    Raises:
        ImageError: it has transparent pixels, C is 1 or 3, and there is no background; or C is not
            1 to 4.
    """
    if not 1 <= channels <= 4:
        raise ImageError(
            f"{where} is a picture, which has 1 to 4 channels, and the model takes {channels}: "
            "give it a .npy array"
        )
    colour, alpha = picture.colour, picture.alpha
    keeps_alpha = channels in (2, 4)
    if alpha is not None and not keeps_alpha and (alpha != 255).any():
        if how.background is None:
            hint = ", or pass --background white" if how.offered else ""
            raise ImageError(
                f"{where} has transparent pixels, and the model takes none: flatten it first{hint}"
            )
        colour = composed(colour, alpha, how.background)
    planes = [_grey(colour)[None]] if channels < 3 else [_rgb(colour).transpose(2, 0, 1)]
    if keeps_alpha:
        opaque = np.full(colour.shape[:2], 255, np.uint8)
        planes.append((opaque if alpha is None else alpha)[None])
    return np.ascontiguousarray(np.concatenate(planes))


def _rgb(colour: Array) -> Array:
    return colour if colour.ndim == 3 else np.repeat(colour[..., None], 3, axis=2)


def _grey(colour: Array) -> Array:
    """Luma of ITU-R BT.601 in integer arithmetic; exact for equal red, green and blue."""
    if colour.ndim == 2:
        return colour
    red, green, blue = (colour[..., place].astype(np.uint32) for place in range(3))
    return ((19595 * red + 38470 * green + 7471 * blue + 32768) >> 16).astype(np.uint8)


def composed(colour: Array, alpha: Array, background: Colour) -> Array:
    """Blend with the background: rounded to nearest; ties cannot occur, white being odd.

    Args:
        colour: uint8 or uint16 [H, W] or [H, W, 3].
        alpha: of the same dtype, [H, W].
        background: of 8 bits.

    Returns:
        [H, W, 3] of that dtype.
    """
    white = int(np.iinfo(colour.dtype).max)
    behind = np.array(background, np.uint32) * np.uint32(white // 255)
    share = alpha[..., None].astype(np.uint32)  # times 65535 it fits too
    sums = share * _rgb(colour) + (white - share) * behind
    return ((sums + white // 2) // white).astype(colour.dtype)


def _resized(pixels: Array, height: int, width: int, how: Treatment) -> Array:
    from PIL import Image

    channels, h, w = pixels.shape
    rows = np.ascontiguousarray(pixels.transpose(1, 2, 0))
    image = Image.fromarray(rows[..., 0] if channels == 1 else rows)
    box, size = (0.0, 0.0, float(w), float(h)), (width, height)
    if how.resize == "crop":
        scale = max(width / w, height / h)
        left, top = (w - width / scale) / 2, (h - height / scale) / 2
        box = (max(left, 0), max(top, 0), min(w - left, w), min(h - top, h))
    elif how.resize == "fit":
        scale = min(width / w, height / h)
        size = max(1, round(w * scale)), max(1, round(h * scale))
    small = np.asarray(image.resize(size, Image.Resampling.BICUBIC, box=box))
    small = small.reshape(size[1], size[0], channels).transpose(2, 0, 1)
    if small.shape[1:] == (height, width):
        return np.ascontiguousarray(small)
    ground = with_channels(_plane(how.background or _BLACK), channels, how, "")
    whole = np.broadcast_to(ground, (channels, height, width)).copy()
    top, left = (height - size[1]) // 2, (width - size[0]) // 2
    whole[:, top : top + size[1], left : left + size[0]] = small
    return whole


def _plane(colour: Colour) -> Decoded:
    return Decoded(np.array([[colour]], np.uint8), None, 3)
