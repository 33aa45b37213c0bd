"""How many threads a session may use here. Standard library only."""

from __future__ import annotations

import math
import os
from pathlib import Path

__all__ = ["cgroup_quota", "machine_cores", "usable_cores"]


def usable_cores() -> int:
    """Cores this process may use: its affinity, cut to the quota of its control group.

    onnxruntime's own default is the number of cores of the host, which in a container is wrong.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else machine_cores()
    quota = cgroup_quota()
    return max(1, min(cores, math.ceil(quota) if quota else cores))


def machine_cores() -> int:
    """Cores of the machine, hyper-threads counted."""
    return os.cpu_count() or 1


def cgroup_quota() -> float | None:
    """Cores' worth of time that the control group may use; None if it has no limit."""
    root = Path("/sys/fs/cgroup")
    try:
        limit, period = (root / "cpu.max").read_text().split()
        return None if limit == "max" else int(limit) / int(period)
    except (OSError, ValueError):
        pass
    try:
        limit = (root / "cpu/cpu.cfs_quota_us").read_text()
        period = (root / "cpu/cpu.cfs_period_us").read_text()
        return int(limit) / int(period) if int(limit) > 0 else None
    except (OSError, ValueError):
        return None
