"""Writes the one file of a deployment, or prints it."""

from __future__ import annotations

import sys
from pathlib import Path

from aeonnx._util import files

__all__ = ["write_text"]


def write_text(output: str, text: str, *, force: bool) -> None:
    """Write a text.

    Args:
        output: path of a file, or "-" for stdout.
        text: its content.
        force: replace an existing file.

    Raises:
        OutputError: the file exists and `force` is not set, or cannot be written.
    """
    if output == "-":
        sys.stdout.write(text)
    else:
        files.refuse_existing(Path(output), force=force)
        files.write_atomic(Path(output), text.encode())
