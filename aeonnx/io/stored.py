"""Reads arrays from files in pieces, and from stdin at once."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from aeonnx._util.machine import available_memory
from aeonnx.errors import ImageError
from aeonnx.io import npy, npz
from aeonnx.io.pictures import LARGEST_FILE

__all__ = ["STDIN", "Numbers", "Stored", "first_bytes", "is_folder", "named", "slices", "stored"]

Array = npt.NDArray[Any]

STDIN = "-"
_START = 12  # bytes that identify the format of a file


def is_folder(path: Path | str) -> bool:
    """Whether a path is a folder, and not stdin."""
    return path != STDIN and os.path.isdir(path)  # Path.is_dir raises for invalid names


def slices(array: Array, size: int) -> Iterator[Array]:
    """Iterate over an array in slices of at most `size` rows."""
    return (array[first : first + size] for first in range(0, len(array), size))


class Numbers(Sequence[str]):
    """The strings "0", "1", ... as names of rows, without a list in memory."""

    def __init__(self, count: int) -> None:
        self._count = count

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: Any) -> Any:
        found = range(self._count)[index]
        return [str(each) for each in found] if isinstance(index, slice) else str(found)


@dataclass(frozen=True)
class Stored:
    """An array that is read in pieces: from a .npy `file`, or from `values` in memory."""

    where: str
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    file: npy.ArrayFile | None = None
    values: Array | None = None

    def rows(self, shape: tuple[int, ...], size: int) -> Iterator[Array]:
        """Batches of at most `size` rows, reshaped: `shape` only adds or removes axes of size 1."""
        if self.values is not None:
            yield from slices(self.values.reshape(shape), size)
        elif self.file is not None:
            first = self.shape if self.shape[0] == shape[0] else (1, *self.shape)
            header = replace(self.file.header, shape=first)
            for rows in replace(self.file, header=header).batches(size):
                yield rows.reshape(len(rows), *shape[1:])


def named(path: Path | str) -> str:
    return "stdin" if path == STDIN else f"{path}"


def first_bytes(path: Path | str) -> tuple[bytes, BinaryIO | None]:
    """The first bytes of a source and, for "-", a stream of all of stdin; None for files."""
    if path != STDIN:
        return npy.start_of(Path(path), _START), None
    most = max(LARGEST_FILE, available_memory() // 2)
    if sys.stdin is None:
        raise ImageError("stdin is closed: send a picture or an array to it, or name a file")
    data = sys.stdin.buffer.read(most + 1)
    if len(data) > most:
        raise ImageError(f"stdin has more than {most:,} bytes: name a file")
    return data[:_START], BytesIO(data)


def stored(
    path: Path | str,
    start: bytes,
    stream: BinaryIO | None,
    choose: Callable[[set[str]], Sequence[str]],
) -> list[Stored]:
    """The array of a .npy, or the arrays of a .npz whose names `choose` returns."""
    where = named(path)
    if start.startswith(npz.MAGIC) or (stream is None and Path(path).suffix.lower() == ".npz"):
        with npz.read_archive(stream or Path(path), where) as archive:
            found = {name: archive.read(name) for name in choose(archive.names)}
        return [
            Stored(f"{where}, array {name}", values.dtype, values.shape, values=values)
            for name, values in found.items()
        ]
    if stream is None:
        file = npy.open_array(Path(path))
        return [Stored(where, file.header.dtype, file.header.shape, file=file)]
    header = npy.read_header(stream, where)
    values = npy.read_values(stream, header, where)
    return [Stored(where, values.dtype, values.shape, values=values)]
