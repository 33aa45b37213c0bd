"""Arrays of numbers in numpy's format (.npy), whose headers are read and never evaluated.

numpy itself parses the header as Python. Here it has the one form that numpy and other programs
write: a dictionary of `descr`, `fortran_order` and `shape`. What it says must be what the file
holds, to the byte, before anything is allocated.
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
from aeonnx.errors import ImageError
from aeonnx.io.memory import available

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
_LONGEST = 1 << 16  # bytes of a header; that of an array of numbers has 128
_MOST = 2**63 - 1
_AXES = 32
_MUCH = 1 << 26  # bytes, more than which are compared with what memory has left
_KEY = r""" ?(?:'{0}'|"{0}") ?: ?(?P<{0}>{1}) ?"""
_FIELDS = (
    _KEY.format("descr", r"'[^'\\]*'|\"[^\"\\]*\"|[\[(]"),
    _KEY.format("fortran_order", "True|False"),
    _KEY.format("shape", r"\( ?(?:\d+L? ?(?:, ?\d+L? ?)*(?:, ?)?)?\)"),
)
_FIELD = re.compile("|".join(_FIELDS))
_KIND = re.compile(r"[<>|=]?([a-zA-Z])(\d{0,9})")
_SIZES = {"b": (1,), "i": (1, 2, 4, 8), "u": (1, 2, 4, 8), "f": (2, 4, 8), "c": (8, 16)}
_CHARACTER = {"S": 1, "U": 4}  # bytes of one
_LARGEST_TEXT = 1 << 16  # characters of an element


@dataclass(frozen=True)
class Header:
    """What a header says.

    Args:
        dtype: booleans, numbers or texts, in any byte order.
        fortran: whether the first axis runs fastest.
        shape: of the array, sizes from 0.
    """

    dtype: np.dtype[Any]
    fortran: bool
    shape: tuple[int, ...]

    @property
    def nbytes(self) -> int:
        """Of the values."""
        return math.prod(self.shape) * self.dtype.itemsize


@dataclass(frozen=True)
class ArrayFile:
    """An array that stays in its file; the file must not change meanwhile.

    Args:
        path: of the file.
        header: what it says.
        start: where the values begin.
    """

    path: Path
    header: Header
    start: int

    def mapped(self) -> Array:
        """The array, mapped into memory: rows are read when they are used."""
        header = self.header
        if not header.nbytes:
            return np.empty(header.shape, header.dtype)
        order: Literal["C", "F"] = "F" if header.fortran else "C"
        with _opened(self.path) as stream:
            return np.memmap(stream, header.dtype, "r", self.start, header.shape, order)

    def batches(self, size: int) -> Iterator[Array]:
        """At most `size` rows at a time, read and not mapped: mapped pages count as memory."""
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
    """Open a .npy file of numbers.

    Raises:
        ImageError: it is missing, no regular file, no such array, or has another length than its
            header says.
    """
    with _opened(path) as stream:
        header = read_header(stream, f"{path}")
        start, size = stream.tell(), os.fstat(stream.fileno()).st_size
    check_length(header, size - start, f"{path}")
    return ArrayFile(path, header, start)


def start_of(path: Path, count: int) -> bytes:
    """The first bytes of a regular file.

    Raises:
        ImageError: it is missing or is none.
    """
    with _opened(path) as stream:
        return stream.read(count)


def check_length(header: Header, found: int, where: str) -> None:
    """Refuse values of another length than the header says.

    Raises:
        ImageError: they are.
    """
    if header.nbytes != found:
        raise unreadable(
            where,
            f"its header says {header.dtype} {list(header.shape)}, {header.nbytes:,} bytes, and "
            f"it has {found:,}",
        )


def read_header(stream: BinaryIO, where: str) -> Header:
    """The header at the beginning of a stream, which is then at the values.

    Args:
        stream: at its beginning.
        where: what to call it in an error.

    Raises:
        ImageError: there is no header of an array of numbers.
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
    """The array whose header was read from the stream.

    Raises:
        ImageError: the stream ends before, or memory has no room for it.
    """
    if header.nbytes > _MUCH and header.nbytes > available():
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
    """The error of a file that is no array as it should be."""
    return ImageError(f"{where} is not a readable array: {reason}")


def _parsed(text: str, where: str) -> Header:
    # One blank for many: otherwise the many are tried in every way.
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
        raise unreadable(where, "its header says a shape that no array can have")
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
    except (OSError, ValueError) as error:  # what is mapped may have become shorter
        raise ImageError(
            f"cannot read {path}: {getattr(error, 'strerror', None) or error}"
        ) from error


@contextmanager
def _errors(where: str) -> Iterator[None]:
    """Make what streams raise an error about `where`: those of an archive, most of all."""
    try:
        yield
    except (OSError, EOFError, ValueError, zlib.error, zipfile.BadZipFile) as error:
        if isinstance(error, ImageError):
            raise
        raise unreadable(where, f"{error}" or type(error).__name__) from error
