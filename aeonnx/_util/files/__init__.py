"""Safe reading and atomic writing of files. Standard library only.

Reading: only regular files, of a size that is checked first. Writing: atomically, through links and
to devices, with one writer per folder at a time. A folder of several files (a bundle, a checkpoint)
has an index file that names the others, whose names contain their digests. The index is written
last, so a reader always sees the complete old or the complete new state.
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
