"""What Linux's control groups allow this process, both versions. Standard library only.

A group is limited by its own limit and by those of all groups around it: systemd sets a quota on
the slice or the service, containers on a group above the one that they show.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

__all__ = ["cpu_quota", "groups"]

ROOT = Path("/")


def groups(controller: str, root: Path = ROOT) -> Iterator[Path]:
    """Folders of the groups that this process is in, up to the outermost; some may not be there.

    Args:
        controller: "cpu" or "memory".
        root: where `proc` and `sys` are.
    """
    try:
        lines = (root / "proc/self/cgroup").read_text(errors="replace").splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, group = line.split(":", 2)
        if controllers and controller not in controllers.split(","):
            continue
        # Version 2 has one tree; version 1 one for each controller or for several together.
        for name in dict.fromkeys((controller, controllers) if controllers else ("",)):
            top = root / "sys/fs/cgroup" / name
            folder = top / group.lstrip("/")
            # A container may name the group as its host does: then only the top is there.
            yield from (folder, *folder.parents[: len(folder.parts) - len(top.parts)])


def cpu_quota(root: Path = ROOT) -> float | None:
    """Cores' worth of time that the narrowest group allows; None if none has a limit.

    Args:
        root: where `proc` and `sys` are.
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
