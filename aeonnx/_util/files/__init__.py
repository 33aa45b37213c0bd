"""Files of the user's machine, read and written without harm. Standard library only.

Reading: regular files alone, of a size that was looked at first. Writing: whole or not at all,
through links and into devices, one writer of a folder at a time. A folder of several files (a
bundle, a checkpoint) has one that names the others, whose names carry their digests: it is written
last, so that every state of the disk is the old one or the new one.
"""

from __future__ import annotations

from aeonnx._util.files._commit import (
    commit,
    holds_only_leftovers,
    named_by_content,
    publish,
    remove_unnamed,
)
from aeonnx._util.files._errors import output_errors
from aeonnx._util.files._lock import locked
from aeonnx._util.files._reading import open_regular, read_bytes, read_verified
from aeonnx._util.files._staging import abandon, holds_nothing, new_folder, staging, sweep
from aeonnx._util.files._writing import add, new_file, refuse_existing, write, write_atomic

__all__ = [
    "abandon",
    "add",
    "commit",
    "holds_nothing",
    "holds_only_leftovers",
    "locked",
    "named_by_content",
    "new_file",
    "new_folder",
    "open_regular",
    "output_errors",
    "publish",
    "read_bytes",
    "read_verified",
    "refuse_existing",
    "remove_unnamed",
    "staging",
    "sweep",
    "write",
    "write_atomic",
]
