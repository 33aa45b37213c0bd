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
    "check_output",
    "grid",
    "open_picture",
    "png",
    "read_array",
    "read_images",
    "read_named_images",
    "require_suffix",
    "write",
    "write_grid",
]

Array = npt.NDArray[Any]

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp")
_FORMATS = ("PNG", "JPEG", "BMP")
_MODES = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}
_GAP = 2  # pixels between the images of a grid


def read_images(path: Path, shape: Sequence[int]) -> Array:
    """Images for a part that takes `shape`.

    Args:
        path: an image file, a folder of them (sorted by name), or a .npy array.
        shape: [C, H, W].

    Returns:
        uint8 [n, C, H, W] from images; from .npy, the array as it is.

    Raises:
        ImageError: a file is missing, is not an image, or has another size.
    """
    return read_named_images(path, shape)[1]


def read_named_images(path: Path, shape: Sequence[int]) -> tuple[tuple[str, ...], Array]:
    """Images and their names: of files, or numbers of rows from 0. Otherwise as `read_images`."""
    if path.suffix.lower() == ".npy":
        array = read_array(path)
        return tuple(map(str, range(len(array) if array.ndim else 0))), array
    if not path.is_dir():
        return (path.name,), _read_image(path, shape)[None]
    paths = sorted(file for file in path.iterdir() if file.suffix.lower() in SUFFIXES)
    if not paths:
        raise ImageError(f"{path} holds no image: expected files named *{', *'.join(SUFFIXES)}")
    names = tuple(file.name for file in paths)
    return names, np.stack([_read_image(file, shape) for file in paths])


def read_array(path: Path) -> Array:
    """The array in a .npy file; objects (pickles) are refused.

    Raises:
        ImageError: the file is missing or is not a .npy array.
    """
    try:
        value = np.load(path, allow_pickle=False)
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


def _read_image(path: Path, shape: Sequence[int]) -> Array:
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


def _write_array(path: Path, value: Array, *, force: bool = False) -> None:
    """Write an array as .npy.

    Raises:
        OutputError: the file exists and `force` is not set, or cannot be written.
    """
    files.refuse_existing(path, force=force)
    buffer = io.BytesIO()
    np.save(buffer, value, allow_pickle=False)
    files.write_atomic(path, buffer.getvalue())


def write(path: Path, value: Array, *, force: bool = False) -> None:
    """Write images as a PNG grid or any array as .npy, by the suffix of `path`.

    Raises:
        UsageError: another suffix, or a PNG of what are not images.
        OutputError: the file exists and `force` is not set, or cannot be written.
    """
    check_output(path, images=value.ndim == 4)
    if path.suffix.lower() == ".png":
        write_grid(path, value, force=force)
    else:
        _write_array(path, value, force=force)


def check_output(path: Path, *, images: bool) -> None:
    """Refuse a name that `write` cannot write to, before the work is done.

    Raises:
        UsageError: another suffix than .png or .npy, or .png for what are not images.
    """
    require_suffix(path, (".png", ".npy"), ".png (a picture) or .npy (an array)")
    if path.suffix.lower() == ".png" and not images:
        raise UsageError(f"{path}: latents are not images: expected a name that ends in .npy")


def require_suffix(path: Path, suffixes: Sequence[str], expected: str) -> None:
    """Refuse a name that ends otherwise; `expected` tells people of the endings.

    Raises:
        UsageError: it does.
    """
    if path.suffix.lower() not in suffixes:
        raise UsageError(f"{path}: expected a name that ends in {expected}")
