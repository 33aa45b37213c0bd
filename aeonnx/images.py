"""Images on disk <-> arrays, for the command line and the pictures. numpy; pillow when used."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from aeonnx import files
from aeonnx.errors import ImageError, UsageError
from aeonnx.pixels import to_pixels

if TYPE_CHECKING:
    from PIL.Image import Image as PillowImage

__all__ = [
    "SUFFIXES",
    "grid",
    "open_picture",
    "paths_in",
    "png",
    "read_array",
    "read_image",
    "require_suffix",
    "write_grid",
]

Array = npt.NDArray[Any]

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp")
_FORMATS = ("PNG", "JPEG", "BMP")
_MODES = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}
_GAP = 2  # pixels between the images of a grid


def paths_in(folder: Path) -> list[Path]:
    """The images in a folder, sorted by name.

    Raises:
        ImageError: there is none.
    """
    paths = sorted(file for file in folder.iterdir() if file.suffix.lower() in SUFFIXES)
    if not paths:
        raise ImageError(f"{folder} holds no image: expected files named *{', *'.join(SUFFIXES)}")
    return paths


def read_array(path: Path, *, mapped: bool = False) -> Array:
    """The array in a .npy file, or mapped from it; objects (pickles) are refused.

    Raises:
        ImageError: the file is missing or is not a .npy array.
    """
    try:
        value = np.load(path, mmap_mode="r" if mapped else None, allow_pickle=False)
    except FileNotFoundError:
        raise ImageError(f"{path} does not exist") from None
    except (OSError, ValueError, EOFError) as error:
        raise ImageError(f"{path} is not a .npy array: {error}") from error
    if not isinstance(value, np.ndarray):
        raise ImageError(f"{path} is an archive of arrays: expected a single one (.npy)")
    return value


@contextmanager
def open_picture(path: Path) -> Iterator[PillowImage]:
    """Open a PNG, JPEG or BMP with pillow; its pixels are decoded when the block asks for them.

    Raises:
        ImageError: the file is missing or is not a readable image, also when the block finds out.
    """
    from PIL import Image

    try:
        with warnings.catch_warnings():
            # Beyond pillow's limit a picture is taken for an attack, not only warned about.
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            # Transparent colours of a palette have a colour too.
            warnings.filterwarnings("ignore", "Palette images with Transparency")
            with Image.open(path, formats=_FORMATS) as image:
                yield image
    except FileNotFoundError:
        raise ImageError(f"{path} does not exist") from None
    except ImageError:
        raise
    except (
        OSError,
        SyntaxError,
        ValueError,
        Image.DecompressionBombWarning,
        Image.DecompressionBombError,
    ) as error:
        raise ImageError(f"{path} is not a readable PNG, JPEG or BMP image: {error}") from error


def read_image(path: Path, shape: Sequence[int]) -> Array:
    """An image file as uint8 [C, H, W].

    Args:
        path: PNG, JPEG or BMP.
        shape: [C, H, W]; colours are converted to C channels.

    Raises:
        ImageError: it is missing, is not an image, or has another size.
    """
    channels, height, width = shape
    with open_picture(path) as image:
        if image.size != (width, height):
            raise ImageError(
                f"{path}: expected {width}x{height} pixels, got "
                f"{image.size[0]}x{image.size[1]}: resize it first"
            )
        pixels = np.asarray(image.convert(_MODES[channels]))
    return pixels.reshape(height, width, channels).transpose(2, 0, 1)


def grid(images: Array, columns: int | None = None, scale: int = 1) -> Array:
    """One picture of many: rows of `columns` images on a mid-grey ground.

    Args:
        images: float32 in [0, 1] or uint8, [n, C, H, W] with C of 1 to 4.
        columns: images per row; None for a picture about as wide as high.
        scale: edge of the square that each pixel becomes.

    Returns:
        uint8 [H', W'] or [H', W', C]; a single image has no border.
    """
    if images.dtype != np.uint8:
        images = to_pixels(images)
    n, channels, height, width = images.shape
    columns = min(n, columns or int(np.ceil(np.sqrt(n))))
    rows = -(-n // columns)
    gap = 0 if n == 1 else _GAP
    shape = (rows * (height + gap) + gap, columns * (width + gap) + gap, channels)
    picture = np.full(shape, 128, np.uint8)
    for index, image in enumerate(images):
        top = gap + index // columns * (height + gap)
        left = gap + index % columns * (width + gap)
        picture[top : top + height, left : left + width] = image.transpose(1, 2, 0)
    picture = picture.repeat(scale, axis=0).repeat(scale, axis=1)
    return picture[:, :, 0] if channels == 1 else picture


def png(images: Array, columns: int | None = None, scale: int = 1) -> bytes:
    """Images as one PNG, see `grid`."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(grid(images, columns, scale)).save(buffer, format="PNG")
    return buffer.getvalue()


def write_grid(
    path: Path, images: Array, *, columns: int | None = None, scale: int = 1, force: bool = False
) -> None:
    """Write images as one PNG, see `grid`.

    Raises:
        OutputError: the file exists and `force` is not set, or cannot be written.
    """
    files.refuse_existing(path, force=force)
    files.write_atomic(path, png(images, columns, scale))


def require_suffix(path: Path, suffixes: Sequence[str], expected: str) -> None:
    """Refuse a name that ends otherwise; `expected` tells people of the endings.

    Raises:
        UsageError: it does.
    """
    if path.suffix.lower() not in suffixes:
        raise UsageError(f"{path}: expected a name that ends in {expected}")
