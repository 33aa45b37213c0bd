"""What was measured on this machine, kept in the user's cache directory. Standard library only.

Everything here can be measured again: a folder that cannot be written to, or a file that is
damaged, is as if nothing had been kept.
"""

from __future__ import annotations

import hashlib
import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

from aeonnx import files
from aeonnx.errors import OutputError

__all__ = ["folder", "read", "write"]


def folder() -> Path:
    """AEONNX_CACHE, or aeonnx in XDG_CACHE_HOME, or ~/.cache/aeonnx."""
    if chosen := os.environ.get("AEONNX_CACHE"):
        return Path(chosen)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "aeonnx"


def read(key: dict[str, Any]) -> Any:
    """The JSON value kept under a key; None if there is none."""
    with suppress(OSError, ValueError, TypeError, KeyError):
        document = json.loads(_path(key).read_bytes())
        if document["key"] == key:
            return document["value"]
    return None


def write(key: dict[str, Any], value: Any) -> None:
    """Keep a JSON value under a key, if the folder can be written to."""
    text = json.dumps({"key": key, "value": value}, indent=2)
    with suppress(OSError, OutputError):
        files.write_atomic(_path(key), f"{text}\n".encode())


def _path(key: dict[str, Any]) -> Path:
    digest = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()
    return folder() / f"{digest[:32]}.json"
