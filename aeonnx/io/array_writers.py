"""Writes arrays batch by batch, in numpy's formats: a .npy, or a .npz of several arrays."""

from __future__ import annotations

import shutil
import tempfile
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from aeonnx.errors import UsageError

__all__ = ["NpyWriter", "NpzWriter", "array_bytes", "npz_writer", "one_shape", "zip_files"]

Array = npt.NDArray[Any]

_OLDEST = (1980, 1, 1, 0, 0, 0)  # constant, so that equal results give equal files


@dataclass
class NpyWriter:
    """A .npy file, whose header is written with the first rows."""

    stream: BinaryIO
    count: int
    begun: bool = False
    shape: tuple[int, ...] | None = None

    def write(self, rows: Array, **_: Array) -> None:
        self.shape = one_shape(self.shape, rows)
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
class NpzWriter:
    """Several arrays that are written at the same time."""

    first: NpyWriter
    others: Mapping[str, NpyWriter]

    def write(self, rows: Array, **others: Array) -> None:
        self.first.write(rows)
        for name, writer in self.others.items():
            writer.write(others[name])


@contextmanager
def npz_writer(
    stream: BinaryIO,
    count: int,
    key: str,
    names: Sequence[str] | None = None,
    others: Sequence[str] = (),
) -> Iterator[NpzWriter]:
    """Write a .npz in constant memory.

    Args:
        stream: of a new file.
        count: number of rows.
        key: name of the first array.
        names: of the rows, stored as the array `names`; None to leave them out.
        others: names of further arrays. An archive takes one array after the other, so these go
            through temporary files.
    """
    with zipfile.ZipFile(stream, "w") as archive, ExitStack() as stack:
        files = {name: stack.enter_context(tempfile.TemporaryFile()) for name in others}
        with _member(archive, key) as member:
            writers = {name: NpyWriter(file, count) for name, file in files.items()}
            yield NpzWriter(NpyWriter(member, count), writers)
        for name, file in files.items():
            file.seek(0)
            _copy(archive, name, file)
        if names is not None and "names" not in others:
            with _member(archive, "names") as member:
                NpyWriter(member, count).write(np.array(names[:]))


def zip_files(stream: BinaryIO, arrays: Mapping[str, Path]) -> None:
    """Write a .npz of .npy files, by the names of their arrays."""
    with zipfile.ZipFile(stream, "w") as archive:
        for name, path in arrays.items():
            with path.open("rb") as file:
                _copy(archive, name, file)


def array_bytes(key: str, rows: Array, **others: Array) -> bytes:
    """The content of a .npy or, with further arrays, of a .npz whose first array is `key`."""
    stream = BytesIO()
    if not others:
        NpyWriter(stream, len(rows)).write(rows)
    else:
        with npz_writer(stream, len(rows), key, others=[*others]) as writer:
            writer.write(rows, **others)
    return stream.getvalue()


def one_shape(before: tuple[int, ...] | None, rows: Array) -> tuple[int, ...]:
    """The shape of the rows of a file, which must be that of the rows before.

    Raises:
        UsageError: it is another.
    """
    shape: tuple[int, ...] = rows.shape[1:]
    if before not in (None, shape):
        raise UsageError(
            f"one file holds results of one size, not of {list(before or ())} and {list(shape)}: "
            "give a folder, such as -o results/, for a file of each"
        )
    return shape


@contextmanager
def _member(archive: zipfile.ZipFile, name: str) -> Iterator[BinaryIO]:
    with archive.open(zipfile.ZipInfo(f"{name}.npy", _OLDEST), "w", force_zip64=True) as stream:
        yield stream  # type: ignore[misc]


def _copy(archive: zipfile.ZipFile, name: str, file: BinaryIO) -> None:
    with _member(archive, name) as member:
        shutil.copyfileobj(file, member)
