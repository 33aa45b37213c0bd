"""Caches measurements of this machine in the user's cache directory. Standard library only.

Everything here can be measured again: a folder that cannot be written to, a damaged file, and a
file that another user could have written all count as a cache miss.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
from contextlib import suppress
from pathlib import Path
from typing import Any

from aeonnx._util import files
from aeonnx.errors import OutputError

__all__ = ["folder", "read", "write"]

_MOST = 64 * 2**10
"""Largest size of a record in bytes; a typical one has about 500."""


def folder() -> Path:
    """The cache directory: $AEONNX_CACHE, $XDG_CACHE_HOME/aeonnx or ~/.cache/aeonnx."""
    if chosen := os.environ.get("AEONNX_CACHE"):
        return Path(chosen)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "aeonnx"


def read(key: dict[str, Any]) -> Any:
    """The cached JSON value of a key; None if there is none or another user may have written it."""
    with suppress(OSError, ValueError, TypeError, KeyError, RuntimeError):
        path = _path(key)
        if not _is_own(path.parent.stat()):
            return None
        with files.open_regular(path) as stream:
            if not _is_own(os.fstat(stream.fileno())):
                return None
            text = stream.read(_MOST + 1)
        document = json.loads(text) if len(text) <= _MOST else {}
        if document["key"] == key:
            return document["value"]
    return None


def write(key: dict[str, Any], value: Any) -> None:
    """Cache a JSON value under a key, if the folder is the user's own and writable."""
    text = json.dumps({"key": key, "value": value}, indent=2)
    with suppress(OSError, ValueError, RuntimeError, OutputError):
        path = _path(key)
        path.parent.mkdir(0o700, parents=True, exist_ok=True)
        regular = not os.path.lexists(path) or stat.S_ISREG(path.lstat().st_mode)
        if regular and _is_own(path.parent.stat()):
            files.write_atomic(path, f"{text}\n".encode())
            path.chmod(0o600)


def _is_own(found: os.stat_result) -> bool:
    """Whether only this user and the administrator can write the file or folder."""
    if not hasattr(os, "geteuid"):
        return True
    return found.st_uid == os.geteuid() and not found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


def _path(key: dict[str, Any]) -> Path:
    digest = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()
    return folder() / f"{digest[:32]}.json"
