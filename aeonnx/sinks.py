"""Results on their way to disk batch by batch, in constant memory. numpy; pillow when used.

Nothing is there under its final name before everything is: an error half-way leaves no file.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Protocol

import numpy as np
import numpy.typing as npt

from aeonnx import files, images
from aeonnx.errors import UsageError

__all__ = ["LARGEST_GRID", "Sink", "open_sink", "require_sink", "write"]

Array = npt.NDArray[Any]

LARGEST_GRID = 10_000
"""Images that one picture may show."""

_EXPECTED = ".png (a picture), .npy (an array), or no suffix (a folder of pictures)"


class Sink(Protocol):
    """Takes batches of rows, in order."""

    def write(self, rows: Array) -> None:
        """Take the next rows, of the dtype and shape of those before."""


def require_sink(path: Path, count: int | None = None, *, images: bool) -> None:
    """Refuse a name that `open_sink` cannot write to, before the work is done.

    Args:
        path: .png, .npy, or a folder.
        count: of the rows, if that is known.
        images: whether they are that; latents are not.

    Raises:
        UsageError: another suffix, or one that these rows do not fit.
    """
    suffix = path.suffix.lower()
    if suffix not in (".png", ".npy", ""):
        raise UsageError(f"{path}: expected a name that ends in {_EXPECTED}")
    if suffix != ".npy" and not images:
        raise UsageError(f"{path}: latents are not images: expected a name that ends in .npy")
    if suffix == ".png" and count is not None and count > LARGEST_GRID:
        raise UsageError(
            f"{path}: one picture shows at most {LARGEST_GRID:,} images, not {count:,}: "
            "expected a name that ends in .npy, or without a suffix for a folder of pictures"
        )


@contextmanager
def open_sink(
    path: Path, count: int, *, names: Sequence[str] | None = None, force: bool = False
) -> Iterator[Sink]:
    """Where `count` rows go; leaving the block puts them in place.

    Args:
        path: .png for a grid of images, .npy for an array, no suffix for a folder of pictures.
        count: how many rows will be written.
        names: of the pictures in a folder, without suffix; None for their numbers.
        force: replace a file that exists; add to a folder that does.

    Raises:
        UsageError: another suffix.
        OutputError: `path` exists and `force` is not set, or it cannot be written.
    """
    files.refuse_existing(path, force=force)
    if path.suffix.lower() == ".npy":
        with files.new_file(path) as stream:
            yield _Npy(stream, count)
    elif path.suffix.lower() == ".png":
        grid = _Grid()
        yield grid
        images.write_grid(path, np.concatenate(grid.rows), force=force)
    else:
        with _folder(path) as folder, ThreadPoolExecutor() as pool:
            yield _Pictures(folder, pool, names or _numbers(count))


@contextmanager
def _folder(path: Path) -> Iterator[Path]:
    """A hidden folder that becomes `path`, or whose files go into it."""
    if not path.exists():
        with files.new_folder(path) as staged:
            yield staged
        return
    with files.staging(path) as staged:
        yield staged
        files.commit(staged, path, None)


def _numbers(count: int) -> list[str]:
    digits = len(str(count - 1))
    return [f"{index:0{digits}}" for index in range(count)]


def write(path: Path, value: Array, *, force: bool = False) -> None:
    """Write rows that are there at once, see `open_sink`.

    Raises:
        UsageError, OutputError: see `require_sink` and `open_sink`.
    """
    require_sink(path, len(value), images=value.ndim == 4)
    with open_sink(path, len(value), force=force) as sink:
        sink.write(value)


@dataclass
class _Npy:
    """A .npy file, whose head is written with the first rows."""

    stream: BinaryIO
    count: int
    begun: bool = False

    def write(self, rows: Array) -> None:
        if not self.begun:  # a pipe has no place to ask for
            self.begun = True
            head = {
                "descr": np.lib.format.dtype_to_descr(rows.dtype),
                "fortran_order": False,
                "shape": (self.count, *rows.shape[1:]),
            }
            np.lib.format.write_array_header_1_0(self.stream, head)
        self.stream.write(np.ascontiguousarray(rows).data)


@dataclass
class _Grid:
    """One picture: all its images are kept until the end."""

    rows: list[Array] = field(default_factory=list)

    def write(self, rows: Array) -> None:
        self.rows.append(rows)


class _Pictures:
    """A folder with a PNG per image."""

    def __init__(self, folder: Path, pool: ThreadPoolExecutor, names: Sequence[str]) -> None:
        self._folder, self._pool, self._names, self._done = folder, pool, names, 0

    def write(self, rows: Array) -> None:
        names = self._names[self._done : self._done + len(rows)]
        self._done += len(rows)
        list(self._pool.map(self._write_one, names, rows))

    def _write_one(self, name: str, image: Array) -> None:
        files.write(self._folder / f"{name}.png", images.png(image[None]))
