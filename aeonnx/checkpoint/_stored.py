"""Files that another file names, with their digests."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from aeonnx._util import files
from aeonnx._util.serde import require
from aeonnx.checkpoint import _tensors as tensors

__all__ = ["Stored", "stored"]


@dataclass(frozen=True)
class Stored:
    """A file that another one names.

    Args:
        file: its name, in a folder that is known.
        sha256: of its content.
        bytes: that it has.
    """

    file: str
    sha256: str
    bytes: int

    def __post_init__(self) -> None:
        plain = Path(self.file).name == self.file and self.file.isprintable()
        require(plain and self.file, f"file: expected a plain name, got {self.file[:80]!r}")
        require(0 <= self.bytes <= tensors.MOST_BYTES, f"bytes: got {self.bytes}")


def stored(name: str, data: bytes) -> Stored:
    """What names `data`, in a file called `name` with its digest."""
    return Stored(files.named_by_content(name, data), hashlib.sha256(data).hexdigest(), len(data))
