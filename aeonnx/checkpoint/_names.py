"""Names, formats and digests of the files in a run's folder. Needs no torch."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

from aeonnx._util import files

__all__ = [
    "CHECKPOINT",
    "CONFIG",
    "METRICS",
    "MOST_CONFIG",
    "MOST_STATE_JSON",
    "STATE",
    "STATES",
    "STATE_JSON",
    "SUMS",
    "digest_of",
    "numbered",
    "read_state_json",
    "read_sums",
    "require_sum",
]

CONFIG, METRICS = "config.json", "metrics.jsonl"
STATES, STATE_JSON, SUMS = "state", "state.json", "SHA256SUMS"
CHECKPOINT, STATE = ("aeonnx-checkpoint", 1), ("aeonnx-state", 1)
"""Format names and versions of config.json and state.json."""
MOST_CONFIG, MOST_STATE_JSON, _MOST_SUMS = 1 << 20, 64 << 20, 4096
"""Bytes."""


def numbered(base: Path) -> list[Path]:
    """Folders of states, newest first."""
    try:
        found = [path for path in base.iterdir() if path.name.isascii() and path.name.isdecimal()]
    except OSError:
        return []
    return sorted(found, key=lambda path: int(path.name[-18:]), reverse=True)


def read_sums(path: Path) -> dict[str, str]:
    """The digests in SHA256SUMS of a state's folder, by file name."""
    text = files.read_bytes(path / SUMS, _MOST_SUMS).decode(errors="replace")
    return dict(line.partition("  ")[::-2] for line in text.splitlines())


def read_state_json(path: Path, sums: Mapping[str, str]) -> bytes:
    """The text of state.json in a state's folder.

    Raises:
        OSError: it cannot be read.
        ValueError: its digest is not the one in `sums`.
    """
    text = files.read_bytes(path / STATE_JSON, MOST_STATE_JSON)
    require_sum(STATE_JSON, text, sums)
    return text


def require_sum(name: str, data: bytes, sums: Mapping[str, str]) -> None:
    """Raise `ValueError` unless the digest of a file is the one in `sums`."""
    if sums.get(name) != digest_of(data):
        raise ValueError(f"{name}: its sha256 is not the one in {SUMS}")


def digest_of(data: bytes) -> str:
    """SHA-256, 64 hex digits."""
    return hashlib.sha256(data).hexdigest()
