"""Limits of Linux control groups (v1 and v2) for this process. Standard library only.

The limits of a group and of all its ancestors apply: systemd sets a quota on the slice or service,
and container runtimes on an ancestor of the group that is visible in the container.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

__all__ = ["cpu_quota", "groups"]

ROOT = Path("/")


def groups(controller: str, root: Path = ROOT) -> Iterator[Path]:
    """Folders of this process's groups and their ancestors; some may not exist.

    Args:
        controller: "cpu" or "memory".
        root: folder that contains `proc` and `sys`.
    """
    try:
        lines = (root / "proc/self/cgroup").read_text(errors="replace").splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, group = line.split(":", 2)
        if controllers and controller not in controllers.split(","):
            continue
        # Version 2 has one tree; version 1 has one per controller or set of controllers.
        for name in dict.fromkeys((controller, controllers) if controllers else ("",)):
            top = root / "sys/fs/cgroup" / name
            folder = top / group.lstrip("/")
            # In a container the path may be the host's: then only the top folder exists.
            yield from (folder, *folder.parents[: len(folder.parts) - len(top.parts)])


def cpu_quota(root: Path = ROOT) -> float | None:
    """Number of cores that the lowest CPU quota allows; None if no group has a quota.

    Args:
        root: folder that contains `proc` and `sys`.
    """
    found = (_quota(group) for group in groups("cpu", root))
    return min((quota for quota in found if quota is not None), default=None)


def _quota(group: Path) -> float | None:
    with suppress(OSError, ValueError):
        limit, period = (group / "cpu.max").read_text().split()
        return None if limit == "max" else int(limit) / int(period)
    with suppress(OSError, ValueError):
        limit = (group / "cpu.cfs_quota_us").read_text()
        period = (group / "cpu.cfs_period_us").read_text()
        return int(limit) / int(period) if int(limit) > 0 else None
    return None
