"""Number of cores for the threads of a session. Standard library only."""

from __future__ import annotations

import math
import os

from aeonnx._util.machine import cpu_quota

__all__ = ["machine_cores", "usable_cores"]


def usable_cores() -> int:
    """Number of cores in this process's affinity mask, limited by its control groups' CPU quota.

    onnxruntime's default is the number of cores of the host, which is wrong in a container.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else machine_cores()
    quota = cpu_quota()
    return max(1, min(cores, cores if quota is None else math.ceil(quota)))


def machine_cores() -> int:
    """Number of logical cores of the machine."""
    return os.cpu_count() or 1
