"""Tables of results: a .csv, on stdout or in a file, or a .npy of their numbers."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from aeonnx.errors import UsageError
from aeonnx.io.formats import Target
from aeonnx.io.writers import open_writer, write_bytes
from aeonnx.runtime.session import Array

__all__ = ["table_target", "write_table"]


def table_target(name: Path | str, numbers: str) -> Target:
    """The target for a table's name.

    Args:
        name: path of a file; "-" for stdout.
        numbers: what a .npy holds, for the message.

    Raises:
        UsageError: it ends in neither .csv nor .npy.
    """
    if os.fspath(name) == "-":
        return Target(None, "csv")
    path = Path(name)
    suffix = path.suffix.lower()
    if suffix not in (".csv", ".npy"):
        raise UsageError(
            f"{path}: expected a name that ends in .csv or .npy (a table, or an array of {numbers})"
        )
    return Target(path, suffix[1:])


def write_table(
    target: Target,
    head: Sequence[str],
    rows: Iterable[Sequence[str]],
    numbers: Array,
    *,
    force: bool,
) -> None:
    """Write a table to a .csv or to stdout, or its numbers [n, ...] to a .npy.

    Raises:
        OutputError: see `open_writer`.
    """
    if target.form == "npy":
        with open_writer(target, len(numbers), force=force) as writer:
            writer.write(numbers)
        return
    text = io.StringIO()
    writer_of_lines = csv.writer(text, lineterminator="\n")
    writer_of_lines.writerow(head)
    writer_of_lines.writerows(rows)
    # File names may be any bytes: those that are not UTF-8 are written unchanged.
    write_bytes(target, text.getvalue().encode(errors="surrogateescape"), force=force)
