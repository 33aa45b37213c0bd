"""A folder for files that libraries write and read on the way."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from json import JSONDecodeError
from pathlib import Path

from google.protobuf.message import DecodeError

from aeonnx.errors import OutputError

__all__ = ["temporary_folder"]


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """A folder for files that libraries write and read on the way.

    Raises:
        OutputError: there is no room for them.
    """
    try:
        with tempfile.TemporaryDirectory() as folder:
            yield Path(folder)
    except (OSError, DecodeError, JSONDecodeError) as error:  # a full disk cuts files off
        raise OutputError(
            f"there is no room for temporary files in {tempfile.gettempdir()} ({error}): free "
            "some, or set TMPDIR to a folder on another disk. Nothing was changed."
        ) from error
