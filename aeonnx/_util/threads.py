"""How many threads a session may use here. Standard library only."""

from __future__ import annotations

import math
import os

from aeonnx._util.cgroups import cpu_quota

__all__ = ["machine_cores", "usable_cores"]


def usable_cores() -> int:
    """Cores this process may use: its affinity, cut to the quota of its control groups.

    onnxruntime's own default is the number of cores of the host, which in a container is wrong.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else machine_cores()
    quota = cpu_quota()
    return max(1, min(cores, cores if quota is None else math.ceil(quota)))


def machine_cores() -> int:
    """Cores of the machine, hyper-threads counted."""
    return os.cpu_count() or 1
