"""Reads files safely: never blocks on a FIFO and never reads an endless device."""

from __future__ import annotations

import errno
import hashlib
import io
import os
import stat
from pathlib import Path

from aeonnx._util.files._errors import kind_of
from aeonnx.errors import IntegrityError

__all__ = ["open_regular", "read_bytes", "read_verified"]

_FLAGS = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY


def open_regular(path: Path) -> io.BufferedReader:
    """Open a regular file, or a link to one, without blocking.

    Raises:
        OSError: it is missing or not a regular file, or its name is invalid; `strerror` says which.
    """
    try:
        # Checked before, since opening a device can have effects, and after, in case it changed.
        _require_regular(path, os.stat(path).st_mode)
        descriptor = os.open(path, _FLAGS)
    except ValueError as error:  # a NUL, or a character that file names cannot have
        raise OSError(errno.EINVAL, "no file can have this name", os.fspath(path)) from error
    try:
        _require_regular(path, os.fstat(descriptor).st_mode)
    except BaseException:
        os.close(descriptor)
        raise
    return os.fdopen(descriptor, "rb")


def read_bytes(path: Path, most: int) -> bytes:
    """The content of a regular file.

    Args:
        path: path of the file.
        most: largest size in bytes.

    Raises:
        OSError: see `open_regular`; or the file is larger than `most`.
    """
    with open_regular(path) as stream:
        size = os.fstat(stream.fileno()).st_size
        if size <= most:
            data = stream.read(most + 1)  # the file may have grown
            size = len(data)
    if size > most:
        reason = f"it has {size:,} bytes, and at most {most:,} are read"
        raise OSError(errno.EFBIG, reason, os.fspath(path))
    return data


def read_verified(path: Path, digest: str, size: int) -> bytes:
    """The content of a file, which must have the SHA-256 `digest` and `size` bytes.

    It is read once, so later changes of the file cannot affect the checked content.

    Raises:
        IntegrityError: the file is missing, unreadable or has other content.
    """
    try:
        with open_regular(path) as stream:
            found = os.fstat(stream.fileno()).st_size
            data = stream.read(size) if found == size else b""
    except FileNotFoundError:
        raise IntegrityError(
            f"{path} is missing, though the manifest names it: export the bundle again"
        ) from None
    except OSError as error:
        raise IntegrityError(f"cannot read {path}: {error.strerror}") from error
    except MemoryError as error:
        raise IntegrityError(
            f"cannot read {path}: its {size} bytes do not fit in memory"
        ) from error
    got = hashlib.sha256(data).hexdigest()
    if found != size or got != digest:
        expected, came = (
            (f"{size} bytes", f"{found}") if found != size else (f"sha256 {digest}", got)
        )
        raise IntegrityError(
            f"{path} is not the file that the manifest names: expected {expected}, got {came}. "
            "Export the bundle again."
        )
    return data


def _require_regular(path: Path, mode: int) -> None:
    if not stat.S_ISREG(mode):
        reason = f"it is {kind_of(mode)}, not a regular file"
        raise OSError(errno.EINVAL, reason, os.fspath(path))
