"""Free memory of this process."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from aeonnx._util.machine import groups

__all__ = ["available", "fits"]


def fits(size: int) -> bool:
    """Whether `size` bytes are at most half of the free memory: splitting data needs them twice."""
    return size <= available() // 2


def available(root: Path = Path("/")) -> int:
    """Bytes that this process can still allocate: of the machine, or less within a control group.

    Args:
        root: folder that contains `proc` and `sys`.
    """
    meminfo = root / "proc/meminfo"
    machine = 1024 * _number(meminfo, "MemAvailable:") if meminfo.exists() else sys.maxsize
    left = [_left(group) for group in groups("memory", root)]
    return max(0, min([machine, *(size for size in left if size is not None)]))


def _left(group: Path) -> int | None:
    """Bytes that a control group may still allocate; None without a limit."""
    for limit, used, cache in (
        ("memory.max", "memory.current", "inactive_file"),
        ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
    ):
        try:
            most = (group / limit).read_text().strip()
            taken = int((group / used).read_text())
        except FileNotFoundError:
            continue
        # The kernel counts cached files as used, but releases that memory on demand.
        return None if most == "max" else int(most) - taken + _number(group / "memory.stat", cache)
    return None


def _number(path: Path, key: str) -> int:
    found = re.search(rf"^{key}\s+(\d+)", path.read_text(), re.MULTILINE)
    return int(found[1]) if found else 0
