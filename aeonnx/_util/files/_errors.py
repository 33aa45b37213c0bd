"""Errors of the operating system in words."""

from __future__ import annotations

import errno
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from aeonnx.errors import OutputError

__all__ = ["PART", "kind_of", "output_errors"]

PART = re.compile(r"\.(?P<name>.*)\.[0-9a-f]{8}\.aeonnx", re.DOTALL)
"""Names of hidden files and folders that become results, see `staging`."""


@contextmanager
def output_errors(path: Path) -> Iterator[None]:
    """Make an `OSError` in the block an `OutputError` about `path`, in words.

    Of a path inside a hidden folder, the place that it is for is named.
    """
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            reason = "the disk is full: free some space and run the command again"
        elif error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            reason = "the folder cannot be written to: choose another with -o"
        else:
            reason = error.strerror or str(error)
        shown = Path(*(part for part in path.parts if not PART.fullmatch(part)))
        raise OutputError(f"cannot write {shown}: {reason}. Nothing was changed.") from error


def kind_of(mode: int) -> str:
    """What a file is by its mode, such as "a FIFO"."""
    for known, name in (
        (stat.S_ISDIR, "a folder"),
        (stat.S_ISLNK, "a link"),
        (stat.S_ISFIFO, "a FIFO"),
        (stat.S_ISSOCK, "a socket"),
        (stat.S_ISCHR, "a device"),
        (stat.S_ISBLK, "a device"),
    ):
        if known(mode):
            return name
    return "a regular file"
