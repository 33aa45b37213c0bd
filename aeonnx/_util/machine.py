"""What this machine has, and how much of it this process may use: cores, memory, processor.

Linux control groups (v1 and v2) limit a process. The limits of a group and of all its ancestors
apply: systemd sets a quota on the slice or service, and container runtimes on an ancestor of the
group that is visible in the container. A file that is missing or cannot be read sets no limit.
Standard library only.
"""

from __future__ import annotations

import math
import os
import platform
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

__all__ = [
    "available_memory",
    "cpu_facts",
    "cpu_model",
    "cpu_quota",
    "fits_twice",
    "limited_memory",
    "machine_cores",
    "usable_cores",
]

ROOT = Path("/")

_SHARE = 0.95
"""Of the free memory that a process may take: the rest is for what others take meanwhile."""

Number = TypeVar("Number", int, float)


def machine_cores() -> int:
    """Number of logical cores of the machine."""
    return os.cpu_count() or 1


def usable_cores(root: Path = ROOT) -> int:
    """Number of cores in this process's affinity mask, limited by its control groups' CPU quota.

    It is the default number of threads: onnxruntime's is the number of cores of the host, which is
    wrong in a container.

    Args:
        root: folder that contains `proc` and `sys`.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else machine_cores()
    quota = cpu_quota(root)
    return max(1, min(cores, cores if quota is None else math.ceil(quota)))


def cpu_quota(root: Path = ROOT) -> float | None:
    """Number of cores that the lowest CPU quota allows; None if no group has a quota.

    Args:
        root: folder that contains `proc` and `sys`.
    """
    return _lowest(_quota, "cpu", root)


def available_memory(root: Path = ROOT) -> int:
    """Bytes that this process can still allocate: of the machine, or less within a control group.

    Args:
        root: folder that contains `proc` and `sys`.
    """
    kib = _number(root / "proc/meminfo", "MemAvailable:")
    machine = sys.maxsize if kib is None else 1024 * kib
    group = _lowest(_left, "memory", root)
    return max(0, machine if group is None else min(machine, group))


@contextmanager
def limited_memory(root: Path = ROOT) -> Iterator[None]:
    """Let this process take no more memory than is free now, for a while.

    Linux promises memory that it does not have, and kills a process when it is used. With the
    limit, an allocation fails instead, and the program can say why. Does nothing on other systems.

    Args:
        root: folder that contains `proc` and `sys`.
    """
    used = _number(root / "proc/self/status", "VmData:")
    if used is None:
        yield
        return
    import resource

    before, most = resource.getrlimit(resource.RLIMIT_DATA)
    limit = 1024 * used + int(_SHARE * available_memory(root))
    allowed = [given for given in (before, most) if given != resource.RLIM_INFINITY]
    resource.setrlimit(resource.RLIMIT_DATA, (min(limit, *allowed, sys.maxsize), most))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, (before, most))


def fits_twice(size: int) -> bool:
    """Whether `size` bytes fit in the available memory two times, such as data and a copy of it."""
    return size <= available_memory() // 2


def cpu_facts(root: Path = ROOT) -> dict[str, str]:
    """Fields of /proc/cpuinfo for the first core; empty if the file cannot be read.

    Args:
        root: folder that contains `proc`.
    """
    facts: dict[str, str] = {}
    for line in _text(root / "proc/cpuinfo").splitlines():
        name, _, value = line.partition(":")
        facts.setdefault(name.strip(), value.strip())
    return facts


def cpu_model(facts: Mapping[str, str] | None = None) -> str:
    """Model name of the processor, or its architecture if there is none.

    Args:
        facts: what `cpu_facts` returned; None to call it.
    """
    return (cpu_facts() if facts is None else facts).get("model name") or platform.machine()


def _lowest(
    limit_of: Callable[[Path], Number | None], controller: str, root: Path
) -> Number | None:
    """The lowest limit of this process's groups; None if no group has one."""
    found: list[Number] = []
    for group in _groups(controller, root):
        with suppress(ValueError, ArithmeticError):  # missing, or not what the kernel writes
            limit = limit_of(group)
            if limit is not None:
                found.append(limit)
    return min(found, default=None)


def _groups(controller: str, root: Path) -> Iterator[Path]:
    """Folders of this process's groups and their ancestors; some may not exist."""
    for line in _text(root / "proc/self/cgroup").splitlines():
        controllers, _, group = line.partition(":")[2].partition(":")
        if controllers and controller not in controllers.split(","):
            continue
        # Version 2 has one tree; version 1 has one per controller or set of controllers.
        for name in dict.fromkeys((controller, controllers) if controllers else ("",)):
            top = root / "sys/fs/cgroup" / name
            folder = top / group.lstrip("/")
            # In a container the path may be the host's: then only the top folder exists.
            yield from (folder, *folder.parents[: len(folder.parts) - len(top.parts)])


def _quota(group: Path) -> float | None:
    """Cores that a group may use; None without a limit."""
    if both := _text(group / "cpu.max"):
        limit, period = both.split()
        return None if limit == "max" else int(limit) / int(period)
    quota = int(_text(group / "cpu.cfs_quota_us"))
    return quota / int(_text(group / "cpu.cfs_period_us")) if quota > 0 else None


def _left(group: Path) -> int | None:
    """Bytes that a group may still allocate; None without a limit."""
    for limit, used, cache in (
        ("memory.max", "memory.current", "inactive_file"),
        ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
    ):
        if most := _text(group / limit).strip():
            if most == "max":
                return None
            # The kernel counts cached files as used, but releases that memory on demand.
            cached = _number(group / "memory.stat", cache) or 0
            return int(most) - int(_text(group / used)) + cached
    return None


def _number(path: Path, key: str) -> int | None:
    found = re.search(rf"^{key}\s+(\d+)", _text(path), re.MULTILINE)
    return int(found[1]) if found else None


def _text(path: Path) -> str:
    """Contents of a file; empty if it cannot be read."""
    try:
        return path.read_text(errors="replace")
    except (OSError, ValueError):  # ValueError: a NUL in the path
        return ""
