"""Writes results to disk batch by batch, in constant memory. numpy; pillow when used.

Files get their final names when they are complete: an error half-way leaves no file.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, Protocol

import numpy as np
import numpy.typing as npt

from aeonnx._util import files
from aeonnx.errors import UsageError
from aeonnx.io import images
from aeonnx.io.array_writers import NpyWriter, array_bytes, npz_writer, one_shape
from aeonnx.io.formats import Target, distinct, target_of

__all__ = ["Writer", "names_of_results", "open_writer", "results_folder", "write", "write_bytes"]

Array = npt.NDArray[Any]


class Writer(Protocol):
    """Writes batches of rows in order."""

    def write(self, rows: Array, **others: Array) -> None:
        """Write the next rows, of the same dtype and row shape as those before.

        Args:
            rows: of the results.
            others: the same rows of each further array, by name.
        """


@contextmanager
def open_writer(
    target: Target,
    count: int,
    *,
    key: str = "images",
    names: Sequence[str] | None = None,
    outputs: Sequence[str] | None = None,
    others: Sequence[str] = (),
    columns: int | None = None,
    force: bool = False,
) -> Iterator[Writer]:
    """Open a writer of `count` rows; leaving the block moves the result to its final name.

    A grid picture is the exception to constant memory: its images are kept until the end.

    Args:
        target: path and form of the result.
        count: number of rows that will be written.
        key: name of the array in a .npz.
        names: names of the rows, stored in a .npz as a second array.
        outputs: relative paths of the rows' sources, after which the files in a folder are named;
            None to number them.
        others: names of further arrays, which a .npz and a folder of arrays hold too.
        columns: images per row of a grid; None for an about square grid.
        force: replace an existing file; add to an existing folder.

    Raises:
        OutputError: the target exists and `force` is not set, or it cannot be written.
        UsageError: the target is stdout and stdout is a terminal.
    """
    target.refuse_existing(force=force)
    if target.form == "folder" and target.path is not None:
        suffix = ".png" if target.pictures else ".npz" if others else ".npy"
        with results_folder(target.path) as folder, ThreadPoolExecutor() as pool:
            encode = images.png if target.pictures else partial(array_bytes, key)
            yield _Folder(folder, pool, names_of_results(outputs, count, suffix), encode)
    elif target.pictures:
        grid = _Grid()
        yield grid
        write_bytes(
            target, images.picture(np.concatenate(grid.rows), target.form, columns), force=force
        )
    else:
        with _stream(target) as stream:
            if target.form == "npy":
                yield NpyWriter(stream, count)
            else:
                with npz_writer(stream, count, key, names, others) as writer:
                    yield writer


def write_bytes(target: Target, data: bytes, *, force: bool = False) -> None:
    """Write bytes to a file atomically, or to stdout.

    Raises:
        OutputError: the file exists and `force` is not set, or it cannot be written.
        UsageError: the target is stdout and stdout is a terminal.
    """
    target.refuse_existing(force=force)
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


@dataclass
class _Grid:
    """A grid picture: all its images are kept until the end."""

    rows: list[Array] = field(default_factory=list)

    def write(self, rows: Array, **_: Array) -> None:
        one_shape(self.rows[0].shape[1:] if self.rows else None, rows)
        self.rows.append(rows)


@dataclass
class _Folder:
    """A folder with one file per row.

    Args:
        path: of the folder.
        pool: writes the files.
        name: returns the name of the file of a row.
        encode: returns the content of a file, from one row and those of further arrays.
    """

    path: Path
    pool: ThreadPoolExecutor
    name: Callable[[int], str]
    encode: Callable[..., bytes]
    done: int = 0

    def write(self, rows: Array, **others: Array) -> None:
        def write_one(place: int) -> None:
            one = slice(place, place + 1)
            data = self.encode(rows[one], **{key: value[one] for key, value in others.items()})
            files.write(self.path / self.name(self.done + place), data)

        list(self.pool.map(write_one, range(len(rows))))
        self.done += len(rows)


def names_of_results(
    outputs: Sequence[str] | None, count: int, suffix: str
) -> Callable[[int], str]:
    """The name of the file of each row: after its source, or its number with leading zeros."""
    if outputs is not None:
        return distinct(outputs, suffix).__getitem__
    digits = len(str(count - 1))
    return lambda row: f"{row:0{digits}}{suffix}"
