"""What a program or a bundle was made of, in one text: the same text, the same result."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

__all__ = ["digest"]


def digest(files: Iterable[Path], *texts: str) -> str:
    """64 hex digits of the names and contents of the regular files, and of the texts.

    Lock files, which package tools write beside the sources, are left out.
    """
    whole = hashlib.sha256()
    for path in sorted(path for path in files if path.is_file() and path.suffix != ".lock"):
        whole.update(f"{path} {path.stat().st_size}\n".encode() + path.read_bytes())
    whole.update("\0".join(texts).encode())
    return whole.hexdigest()
