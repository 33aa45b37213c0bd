"""Reads archives of arrays (.npz), checking each member before it is unpacked."""

from __future__ import annotations

import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy.typing as npt

from aeonnx._util import files
from aeonnx.errors import ImageError
from aeonnx.io.npy import check_length, read_header, read_values, unreadable

__all__ = ["MAGIC", "Archive", "read_archive"]

Array = npt.NDArray[Any]

MAGIC = (b"PK\3\4", b"PK\5\6")
_ENCRYPTED = 1
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_SPARSE = {"data", "format", "shape"}


class Archive:
    """An open .npz.

    Args:
        archive: a zip file with members named `NAME.npy`.
        where: its name, for messages.
    """

    def __init__(self, archive: zipfile.ZipFile, where: str) -> None:
        self._archive, self._where = archive, where
        self._members: dict[str, zipfile.ZipInfo] = {}
        for member in archive.infolist():
            name = member.filename.removesuffix(".npy")
            if name in self._members:
                raise unreadable(where, f"it has two arrays named {name}")
            self._members[name] = member
        if set(self._members) >= _SPARSE:
            raise ImageError(
                f"{where} holds a sparse matrix: expected arrays, save matrix.toarray()"
            )

    @property
    def names(self) -> set[str]:
        """Names of the arrays."""
        return set(self._members)

    def where(self, name: str) -> str:
        """An array's name in messages."""
        return f"{self._where}, array {name}"

    def read(self, name: str) -> Array:
        """Read one array.

        Raises:
            ImageError: it is not an array of numbers, is damaged, or does not fit in memory.
        """
        member, where = self._members[name], self.where(name)
        if member.flag_bits & _ENCRYPTED:
            raise unreadable(where, "it is encrypted: save it without a password")
        if member.compress_type not in _METHODS:
            raise unreadable(where, "it is compressed in a way that numpy does not write")
        with _zip_errors(where), self._archive.open(member) as stream:
            header = read_header(stream, where)  # type: ignore[arg-type]
            check_length(header, member.file_size - stream.tell(), where)
            values = read_values(stream, header, where)  # type: ignore[arg-type]
            stream.read(1)  # reading to the end makes zipfile check the checksum
        return values


@contextmanager
def read_archive(source: Path | BinaryIO, where: str) -> Iterator[Archive]:
    """Open a .npz file or stream.

    Raises:
        ImageError: it is missing, not a regular file, or not an archive.
    """
    try:
        stream = files.open_regular(source) if isinstance(source, Path) else source
    except FileNotFoundError:
        raise ImageError(f"{where} does not exist") from None
    except OSError as error:
        raise ImageError(f"cannot read {where}: {error.strerror or error}") from error
    with stream, _zip_errors(where), zipfile.ZipFile(stream) as archive:
        yield Archive(archive, where)


@contextmanager
def _zip_errors(where: str) -> Iterator[None]:
    """Turn whatever zipfile raises for a damaged archive into an `ImageError`."""
    try:
        yield
    except ImageError:
        raise
    except (
        EOFError,
        LookupError,
        NotImplementedError,
        OSError,
        OverflowError,
        RuntimeError,
        ValueError,
        struct.error,
        zipfile.BadZipFile,
        zlib.error,
    ) as error:
        raise unreadable(where, f"{error}" or type(error).__name__) from error
