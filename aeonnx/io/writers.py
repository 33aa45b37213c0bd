"""Writes results to disk batch by batch, in constant memory. numpy; pillow when used.

Files get their final names when they are complete: an error half-way leaves no file.
"""

from __future__ import annotations

import io
import os
import sys
import zipfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Protocol

import numpy as np
import numpy.typing as npt

from aeonnx._util import files
from aeonnx.errors import UsageError
from aeonnx.io import images
from aeonnx.io.formats import Target, distinct, target_of

__all__ = ["Writer", "open_writer", "results_folder", "write", "write_bytes"]

Array = npt.NDArray[Any]

_OLDEST = (1980, 1, 1, 0, 0, 0)  # constant, so that equal results give equal files


class Writer(Protocol):
    """Writes batches of rows in order."""

    def write(self, rows: Array) -> None:
        """Write the next rows, of the same dtype and row shape as those before."""


@contextmanager
def open_writer(
    target: Target,
    count: int,
    *,
    key: str = "images",
    names: Sequence[str] | None = None,
    outputs: Sequence[str] | None = None,
    force: bool = False,
) -> Iterator[Writer]:
    """Open a writer of `count` rows; leaving the block moves the result to its final name.

    A grid picture is the exception to constant memory: its images are kept until the end.

    Args:
        target: path and form of the result.
        count: number of rows that will be written.
        key: name of the array in a .npz.
        names: names of the rows, stored in a .npz as a second array.
        outputs: relative paths of the rows' sources, after which pictures in a folder are named;
            None to number them.
        force: replace an existing file; add to an existing folder.

    Raises:
        OutputError: the target exists and `force` is not set, or it cannot be written.
        UsageError: the target is stdout and stdout is a terminal.
    """
    if target.path is not None:
        files.refuse_existing(target.path, force=force)
    if target.form == "folder" and target.path is not None:
        with results_folder(target.path) as folder, ThreadPoolExecutor() as pool:
            names = distinct(outputs, ".png") if outputs else None
            yield _Pictures(folder, pool, names, count)
    elif target.pictures:
        grid = _Grid()
        yield grid
        write_bytes(target, images.picture(np.concatenate(grid.rows), target.form), force=force)
    else:
        with _stream(target) as stream:
            if target.form == "npy":
                yield _Npy(stream, count)
            else:
                with zipfile.ZipFile(stream, "w") as archive:
                    with _member(archive, key) as member:
                        yield _Npy(member, count)
                    if names is not None:
                        with _member(archive, "names") as member:
                            _Npy(member, count).write(np.array(names[:]))


def write_bytes(target: Target, data: bytes, *, force: bool = False) -> None:
    """Write bytes to a file atomically, or to stdout.

    Raises:
        OutputError: the file exists and `force` is not set, or it cannot be written.
        UsageError: the target is stdout and stdout is a terminal.
    """
    if target.path is not None:
        files.refuse_existing(target.path, force=force)
    with _stream(target) as stream:
        stream.write(data)


def write(path: Path, value: Array, *, force: bool = False) -> None:
    """Write one array, see `open_writer`.

    Raises:
        UsageError, OutputError: see `target_of`, `Target.require` and `open_writer`.
    """
    is_images = value.ndim == 4
    target = target_of(path, images=is_images)
    if is_images:
        target.require(len(value), value.shape[1:])
    with open_writer(
        target, len(value), key="images" if is_images else "array", force=force
    ) as writer:
        writer.write(value)


@contextmanager
def _stream(target: Target) -> Iterator[BinaryIO]:
    if target.path is not None:
        with files.new_file(target.path) as stream:
            yield stream
        return
    if sys.stdout.isatty():
        raise UsageError("-o -: stdout is a terminal: redirect it to a file or a program")
    whole = io.BufferedWriter(_Stdout(sys.stdout.buffer))
    yield whole
    whole.flush()


class _Stdout(io.RawIOBase):
    """Stdout, whose write errors are `OutputError`s."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        with files.output_errors(Path("stdout")):
            self._stream.write(data)
            self._stream.flush()
        return len(data)


@contextmanager
def results_folder(path: Path) -> Iterator[Path]:
    """A hidden folder that becomes `path` or, if that exists, whose files are moved into it."""
    if not os.path.exists(path):
        with files.new_folder(path) as staged:
            yield staged
        return
    with files.staging(path) as staged:
        yield staged
        files.add(staged, path)


@contextmanager
def _member(archive: zipfile.ZipFile, name: str) -> Iterator[BinaryIO]:
    with archive.open(zipfile.ZipInfo(f"{name}.npy", _OLDEST), "w", force_zip64=True) as stream:
        yield stream  # type: ignore[misc]


@dataclass
class _Npy:
    """A .npy file, whose header is written with the first rows."""

    stream: BinaryIO
    count: int
    begun: bool = False
    shape: tuple[int, ...] | None = None

    def write(self, rows: Array) -> None:
        self.shape = _one_shape(self.shape, rows)
        if not self.begun:  # not np.save, which needs a seekable file
            self.begun = True
            head = {
                "descr": np.lib.format.dtype_to_descr(rows.dtype),
                "fortran_order": False,
                "shape": (self.count, *rows.shape[1:]),
            }
            np.lib.format.write_array_header_1_0(self.stream, head)
        flat = np.ascontiguousarray(rows)
        self.stream.write(flat.tobytes() if flat.dtype.kind == "U" else flat.data)


@dataclass
class _Grid:
    """A grid picture: all its images are kept until the end."""

    rows: list[Array] = field(default_factory=list)

    def write(self, rows: Array) -> None:
        _one_shape(self.rows[0].shape[1:] if self.rows else None, rows)
        self.rows.append(rows)


def _one_shape(before: tuple[int, ...] | None, rows: Array) -> tuple[int, ...]:
    """The shape of the rows of a file, which must be that of the rows before.

    Raises:
        UsageError: it is another.
    """
    shape: tuple[int, ...] = rows.shape[1:]
    if before not in (None, shape):
        raise UsageError(
            f"one file holds images of one size, not of {list(before or ())} and {list(shape)}: "
            "give a folder, such as -o results/"
        )
    return shape


class _Pictures:
    """A folder with one PNG per image, named by `names` or by zero-padded numbers."""

    def __init__(
        self, folder: Path, pool: ThreadPoolExecutor, names: Sequence[str] | None, count: int
    ) -> None:
        self._folder, self._pool, self._names, self._done = folder, pool, names, 0
        self._digits = len(str(count - 1))

    def write(self, rows: Array) -> None:
        places = range(self._done, self._done + len(rows))
        names = [self._names[i] if self._names else f"{i:0{self._digits}}.png" for i in places]
        self._done += len(rows)
        list(self._pool.map(self._write_one, names, rows))

    def _write_one(self, name: str, image: Array) -> None:
        files.write(self._folder / name, images.png(image[None]))
