"""Reads arrays in numpy's format (.npy) without evaluating their headers.

numpy parses the header as a Python literal. Here only the form that numpy and other programs write
is accepted: a dictionary of `descr`, `fortran_order` and `shape`. The size that it declares must
match the file to the byte before anything is allocated.
"""

from __future__ import annotations

import io
import math
import os
import re
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Literal

import numpy as np
import numpy.typing as npt

from aeonnx._util import files
from aeonnx._util.machine import available_memory
from aeonnx.errors import ImageError

__all__ = [
    "MAGIC",
    "ArrayFile",
    "Header",
    "check_length",
    "open_array",
    "read_header",
    "read_values",
    "start_of",
    "unreadable",
]

Array = npt.NDArray[Any]

MAGIC = b"\x93NUMPY"
_LONGEST = 1 << 16  # most bytes of a header; an array of numbers has about 128
_MOST = 2**63 - 1
_AXES = 32
_MUCH = 1 << 26  # bytes; larger arrays are compared with the free memory first
_KEY = r""" ?(?:'{0}'|"{0}") ?: ?(?P<{0}>{1}) ?"""
_FIELDS = (
    _KEY.format("descr", r"'[^'\\]*'|\"[^\"\\]*\"|[\[(]"),
    _KEY.format("fortran_order", "True|False"),
    _KEY.format("shape", r"\( ?(?:\d+L? ?(?:, ?\d+L? ?)*(?:, ?)?)?\)"),
)
_FIELD = re.compile("|".join(_FIELDS))
_KIND = re.compile(r"[<>|=]?([a-zA-Z])(\d{0,9})")
_SIZES = {"b": (1,), "i": (1, 2, 4, 8), "u": (1, 2, 4, 8), "f": (2, 4, 8), "c": (8, 16)}
_CHARACTER = {"S": 1, "U": 4}  # bytes per character
_LARGEST_TEXT = 1 << 16  # most characters of an element


@dataclass(frozen=True)
class Header:
    """Content of a header.

    Args:
        dtype: booleans, numbers or strings, in any byte order.
        fortran: whether the array is in Fortran (column-major) order.
        shape: of the array; sizes may be 0.
    """

    dtype: np.dtype[Any]
    fortran: bool
    shape: tuple[int, ...]

    @property
    def nbytes(self) -> int:
        """Size of the values in bytes."""
        return math.prod(self.shape) * self.dtype.itemsize


@dataclass(frozen=True)
class ArrayFile:
    """An array read from its file on demand; the file must not change meanwhile.

    Args:
        path: path of the file.
        header: its header.
        start: offset of the values.
    """

    path: Path
    header: Header
    start: int

    def mapped(self) -> Array:
        """The array as a read-only memory map."""
        header = self.header
        if not header.nbytes:
            return np.empty(header.shape, header.dtype)
        order: Literal["C", "F"] = "F" if header.fortran else "C"
        with _opened(self.path) as stream:
            return np.memmap(stream, header.dtype, "r", self.start, header.shape, order)

    def batches(self, size: int) -> Iterator[Array]:
        """Read batches of at most `size` rows; not mapped, since mapped pages count as memory."""
        header = self.header
        count, shape = header.shape[0], header.shape[1:]
        if header.fortran and len(header.shape) > 1:
            mapped = self.mapped()
            yield from (np.array(mapped[at : at + size]) for at in range(0, count, size))
            return
        with _opened(self.path) as stream:
            stream.seek(self.start)
            for at in range(0, count, size):
                part = Header(header.dtype, False, (min(size, count - at), *shape))
                yield read_values(stream, part, f"{self.path}")


def open_array(path: Path) -> ArrayFile:
    """Open a .npy file.

    Raises:
        ImageError: it is missing, not a regular file, not a supported array, or has another length
            than its header declares.
    """
    with _opened(path) as stream:
        header = read_header(stream, f"{path}")
        start, size = stream.tell(), os.fstat(stream.fileno()).st_size
    check_length(header, size - start, f"{path}")
    return ArrayFile(path, header, start)


def start_of(path: Path, count: int) -> bytes:
    """The first `count` bytes of a regular file.

    Raises:
        ImageError: it is missing or not a regular file.
    """
    with _opened(path) as stream:
        return stream.read(count)


def check_length(header: Header, found: int, where: str) -> None:
    """Check that the values have the length in bytes that the header declares.

    Raises:
        ImageError: they have another length.
    """
    if header.nbytes != found:
        raise unreadable(
            where,
            f"its header says {header.dtype} {list(header.shape)}, {header.nbytes:,} bytes, and "
            f"it has {found:,}",
        )


def read_header(stream: BinaryIO, where: str) -> Header:
    """Read the header of an array; the stream is then at the values.

    Args:
        stream: at its beginning.
        where: its name, for messages.

    Raises:
        ImageError: the header is missing or damaged, or its dtype is not supported.
    """
    start = _exactly(stream, 1, where, "it is empty")
    if start != MAGIC[:1]:
        raise unreadable(where, "it is not in numpy's format")
    start += _exactly(stream, len(MAGIC) + 1, where)
    if not start.startswith(MAGIC):
        raise unreadable(where, "it is not in numpy's format")
    version = (start[-2], start[-1])
    if version not in ((1, 0), (2, 0), (3, 0)):
        raise unreadable(where, f"it is of version {start[-2]}.{start[-1]} of numpy's format")
    length = int.from_bytes(_exactly(stream, 2 if version == (1, 0) else 4, where), "little")
    if length > _LONGEST:
        raise unreadable(where, f"its header has {length:,} bytes")
    return _parsed(_exactly(stream, length, where).decode("latin-1"), where)


def read_values(stream: BinaryIO, header: Header, where: str) -> Array:
    """Read the values of an array whose header was read from the stream.

    Raises:
        ImageError: the stream ends too early, or the values do not fit in memory.
    """
    if header.nbytes > _MUCH and header.nbytes > available_memory():
        raise unreadable(where, f"its {header.nbytes:,} bytes do not fit in memory")
    flat = np.empty(math.prod(header.shape), header.dtype)
    room, done = flat.view(np.uint8).data, 0
    with _errors(where):
        while done < len(room):
            count = stream.readinto(room[done:])  # type: ignore[attr-defined]
            if not count:
                raise unreadable(where, "it ends before its last value")
            done += count
    return flat.reshape(header.shape, order="F" if header.fortran else "C")


def unreadable(where: str, reason: str) -> ImageError:
    """The error for a file that is not a valid array."""
    return ImageError(f"{where} is not a readable array: {reason}")


def _parsed(text: str, where: str) -> Header:
    # Runs of white space become one blank, or the regular expression would backtrack for long.
    match = re.fullmatch(r" ?\{(.*)\} ?", re.sub(r"\s+", " ", text))
    found: dict[str, str] = {}
    rest = match[1] if match else ""
    while rest.strip():
        field = _FIELD.match(rest)
        if field is None or field.lastgroup is None or field.lastgroup in found:
            break
        found[field.lastgroup] = field[field.lastgroup]
        rest = rest[field.end() :]
        if rest and not rest.startswith(","):
            break
        rest = rest[1:]
    if "descr" in found and found["descr"] in ("[", "("):
        raise unreadable(where, "its elements are records of several fields, not numbers")
    if rest.strip() or len(found) != len(_FIELDS):
        raise unreadable(where, "its header is not of the form that numpy writes")
    sizes = [int(size) for size in re.findall(r"\d+", found["shape"][:1024])]
    dtype = _dtype(found["descr"][1:-1], where)
    if (
        len(found["shape"]) > 1024
        or len(sizes) > _AXES
        or math.prod(size for size in sizes if size) * dtype.itemsize > _MOST
    ):
        raise unreadable(where, "its header declares a shape that no array can have")
    return Header(dtype, found["fortran_order"] == "True", tuple(sizes))


def _dtype(text: str, where: str) -> np.dtype[Any]:
    match = _KIND.fullmatch(text)
    kind, size = (match[1], int(match[2] or 0)) if match else ("", 0)
    if kind == "O":
        raise unreadable(
            where,
            "it holds Python objects (pickles), which are never loaded. Save an array of numbers "
            "with numpy.save",
        )
    texts = kind in _CHARACTER and 0 < size <= _LARGEST_TEXT
    if not texts and size not in _SIZES.get(kind, ()):
        raise unreadable(
            where, f"its elements are of numpy's type {text[:20]!r}, which are no numbers"
        )
    return np.dtype(text)


def _exactly(
    stream: BinaryIO, count: int, where: str, reason: str = "it ends in its header"
) -> bytes:
    data = b""
    with _errors(where):
        while len(data) < count:
            more = stream.read(count - len(data))
            if not more:
                raise unreadable(where, reason)
            data += more
    return data


@contextmanager
def _opened(path: Path) -> Iterator[io.BufferedReader]:
    try:
        with files.open_regular(path) as stream:
            yield stream
    except ImageError:
        raise
    except FileNotFoundError:
        raise ImageError(f"{path} does not exist") from None
    except (OSError, ValueError) as error:  # a mapped file may have been truncated
        raise ImageError(
            f"cannot read {path}: {getattr(error, 'strerror', None) or error}"
        ) from error


@contextmanager
def _errors(where: str) -> Iterator[None]:
    """Turn errors of streams, mostly of archives, into an `ImageError` about `where`."""
    try:
        yield
    except (OSError, EOFError, ValueError, zlib.error, zipfile.BadZipFile) as error:
        if isinstance(error, ImageError):
            raise
        raise unreadable(where, f"{error}" or type(error).__name__) from error
