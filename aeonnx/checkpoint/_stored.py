"""References to files by name, digest and size."""

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
    """A reference to a file in the same folder.

    Args:
        file: name of the file.
        sha256: SHA-256 of its content, 64 hex digits.
        bytes: its size in bytes.
    """

    file: str
    sha256: str
    bytes: int

    def __post_init__(self) -> None:
        plain = Path(self.file).name == self.file and self.file.isprintable()
        require(plain and self.file, f"file: expected a plain name, got {self.file[:80]!r}")
        require(0 <= self.bytes <= tensors.MOST_BYTES, f"bytes: got {self.bytes}")


def stored(name: str, data: bytes) -> Stored:
    """The reference to a file with content `data`, named `name` with the digest in it."""
    return Stored(files.named_by_content(name, data), hashlib.sha256(data).hexdigest(), len(data))
