"""One writer of a folder at a time."""

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
_SHOWN = 200  # bytes of what the holder says of itself
_OURS = "process "
NO_LOCKS = (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS)
"""What the system says of a file system without locks, such as some that lie on a network."""


@contextmanager
def locked(folder: Path, doing: str, *, seconds: float = 0.0) -> Iterator[None]:
    """Hold the lock of a folder, which is made if need be; a dead holder's is no obstacle.

    Args:
        folder: to be written to.
        doing: what others are told, such as "aeonnx train".
        seconds: to wait for another holder.

    Raises:
        OutputError: another process holds it, which the message names; or the folder cannot be
            written to.
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
            # The holder before takes the file away: the lock of what has no name is nobody's.
            if os.path.samestat(os.fstat(descriptor), os.lstat(path)):
                if _writable(descriptor):
                    return descriptor
                path.unlink()  # another user's, who has ended
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
    except PermissionError:  # another user's, or the folder's fault
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
    """Refuse to write over a file of the user that has the lock's name, or two names."""
    text, links = os.pread(descriptor, _SHOWN + 1, 0), os.fstat(descriptor).st_nlink
    if links > 1 or len(text) > _SHOWN or (text and not text.startswith(_OURS.encode())):
        reason = f"its {path.name} is not one that this program wrote: move it away"
        raise OSError(errno.EINVAL, reason, os.fspath(path))
