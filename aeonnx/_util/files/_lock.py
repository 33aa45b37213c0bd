"""Locks a folder for one writer at a time."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from aeonnx._util.files._errors import kind_of, output_errors
from aeonnx._util.text import printable
from aeonnx.errors import OutputError

__all__ = ["LOCK", "NO_LOCKS", "locked"]

LOCK = ".aeonnx.lock"
_FLAGS = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_PAUSE = 0.05  # seconds between two tries
_SHOWN = 200  # most bytes of the holder's description
_OURS = "process "
NO_LOCKS = (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS)
"""Errors of file systems without locks, such as some network file systems."""


@contextmanager
def locked(folder: Path, doing: str, *, seconds: float = 0.0) -> Iterator[None]:
    """Hold the lock of a folder, creating the folder if needed; ignores locks of dead processes.

    Args:
        folder: the folder to be written to.
        doing: what this process does, such as "aeonnx train", shown to others that wait.
        seconds: how long to wait for another holder.

    Raises:
        OutputError: another process, named in the message, holds the lock; or the folder cannot
            be written to.
    """
    path = folder / LOCK
    with output_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = _take(path, time.monotonic() + seconds)
        try:
            _require_ours(path, descriptor)
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"{_OURS}{os.getpid()}, {doing}".encode(), 0)
        except BaseException:
            os.close(descriptor)
            raise
    try:
        yield
    finally:
        with suppress(OSError):
            path.unlink()
        os.close(descriptor)


def _take(path: Path, until: float) -> int:
    while True:
        descriptor = _open(path)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # The previous holder may have unlinked this file: then another file is the lock.
            if os.path.samestat(os.fstat(descriptor), os.lstat(path)):
                if _writable(descriptor):
                    return descriptor
                path.unlink()  # left by another user's finished process
        except FileNotFoundError:
            pass
        except BlockingIOError:
            if time.monotonic() >= until:
                holder = os.pread(descriptor, _SHOWN, 0).decode(errors="replace")
                os.close(descriptor)
                raise OutputError(
                    f"{path.parent} is being written by another process "
                    f"({printable(holder) or 'it does not say which'}): wait until it has ended, "
                    "or name another folder with -o"
                ) from None
            time.sleep(_PAUSE)
        except OSError as error:
            if error.errno in NO_LOCKS:
                return descriptor
            os.close(descriptor)
            raise
        os.close(descriptor)


def _open(path: Path) -> int:
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | _FLAGS, 0o666)
    except PermissionError:  # another user's file, or no access to the folder
        descriptor = os.open(path, os.O_RDONLY | _FLAGS)
    mode = os.fstat(descriptor).st_mode
    if not stat.S_ISREG(mode):
        os.close(descriptor)
        reason = f"its {path.name} is {kind_of(mode)}, not a regular file: remove it"
        raise OSError(errno.EINVAL, reason, os.fspath(path))
    return descriptor


def _writable(descriptor: int) -> bool:
    return fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDWR


def _require_ours(path: Path, descriptor: int) -> None:
    """Refuse to overwrite a user's file with the lock's name, or one with several hard links."""
    text, links = os.pread(descriptor, _SHOWN + 1, 0), os.fstat(descriptor).st_nlink
    if links > 1 or len(text) > _SHOWN or (text and not text.startswith(_OURS.encode())):
        reason = f"its {path.name} is not one that this program wrote: move it away"
        raise OSError(errno.EINVAL, reason, os.fspath(path))
