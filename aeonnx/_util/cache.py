"""What was measured on this machine, kept in the user's cache directory. Standard library only.

Everything here can be measured again: a folder that cannot be written to, a file that is damaged,
and what others could have put there is as if nothing had been kept.
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
"""Bytes of a record: one has about 500."""


def folder() -> Path:
    """AEONNX_CACHE, or aeonnx in XDG_CACHE_HOME, or ~/.cache/aeonnx."""
    if chosen := os.environ.get("AEONNX_CACHE"):
        return Path(chosen)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "aeonnx"


def read(key: dict[str, Any]) -> Any:
    """The JSON value kept under a key; None if there is none, or it may be another user's."""
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
    """Keep a JSON value under a key, if the folder is the user's and can be written to."""
    text = json.dumps({"key": key, "value": value}, indent=2)
    with suppress(OSError, ValueError, RuntimeError, OutputError):
        path = _path(key)
        path.parent.mkdir(0o700, parents=True, exist_ok=True)
        regular = not os.path.lexists(path) or stat.S_ISREG(path.lstat().st_mode)
        if regular and _is_own(path.parent.stat()):
            files.write_atomic(path, f"{text}\n".encode())
            path.chmod(0o600)


def _is_own(found: os.stat_result) -> bool:
    """Whether nobody else but the administrator can have written it."""
    if not hasattr(os, "geteuid"):
        return True
    return found.st_uid == os.geteuid() and not found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


def _path(key: dict[str, Any]) -> Path:
    digest = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()
    return folder() / f"{digest[:32]}.json"
