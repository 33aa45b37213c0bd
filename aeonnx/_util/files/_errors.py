"""Turns errors of the operating system into readable messages."""

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
"""Names of temporary hidden files and folders, see `staging`."""


@contextmanager
def output_errors(path: Path) -> Iterator[None]:
    """Turn an `OSError` in the block into an `OutputError` about `path`.

    For a path inside a hidden folder, the message names the final path.
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
    """The kind of a file from its mode, such as "a FIFO"."""
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
