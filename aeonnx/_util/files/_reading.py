"""Reading what may be anything: a FIFO that nobody writes to, a device without an end."""

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
    """Open a regular file, or a link to one, without waiting for anybody.

    Raises:
        OSError: it is missing, is anything else, or its name cannot be a file's; `strerror` says
            which.
    """
    try:
        # A look before, since to open a device can do something; and one after, at what was opened.
        _require_regular(path, os.stat(path).st_mode)
        descriptor = os.open(path, _FLAGS)
    except ValueError as error:  # a NUL, or a character that names cannot have
        raise OSError(errno.EINVAL, "no file can have this name", os.fspath(path)) from error
    try:
        _require_regular(path, os.fstat(descriptor).st_mode)
    except BaseException:
        os.close(descriptor)
        raise
    return os.fdopen(descriptor, "rb")


def read_bytes(path: Path, most: int) -> bytes:
    """What is in a regular file.

    Args:
        path: of the file.
        most: bytes that it may have.

    Raises:
        OSError: as `open_regular`, or the file is larger; `strerror` says so.
    """
    with open_regular(path) as stream:
        size = os.fstat(stream.fileno()).st_size
        if size <= most:
            data = stream.read(most + 1)  # it may grow meanwhile
            size = len(data)
    if size > most:
        reason = f"it has {size:,} bytes, and at most {most:,} are read"
        raise OSError(errno.EFBIG, reason, os.fspath(path))
    return data


def read_verified(path: Path, digest: str, size: int) -> bytes:
    """What is in the file at `path`, which must have the SHA-256 `digest` and `size` bytes.

    It is read once, so that what was checked is what is used, whatever happens to the file.

    Raises:
        IntegrityError: the file is missing or is not the one that the manifest names.
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
