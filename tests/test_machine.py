"""Control groups of both versions, in made-up trees."""

from __future__ import annotations

from pathlib import Path

import pytest

from aeonnx._util import machine, threads

V2 = "0::/system.slice/a.service"
V1 = "5:cpu,cpuacct:/docker/abc\n9:memory:/elsewhere\n0::/\n"


def tree(root: Path, listing: str, files: dict[str, str]) -> Path:
    """A root with /proc/self/cgroup and files of the control groups."""
    for name, text in {"proc/self/cgroup": listing, **files}.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def v2(**limits: str) -> dict[str, str]:
    places = {"top": "", "slice": "system.slice/", "service": "system.slice/a.service/"}
    return {f"sys/fs/cgroup/{places[name]}cpu.max": text for name, text in limits.items()}


def v1(folder: str, quota: str) -> dict[str, str]:
    place = f"sys/fs/cgroup/{folder}/cpu.cfs_"
    return {f"{place}quota_us": quota, f"{place}period_us": "100000\n"}


@pytest.mark.parametrize(
    ("listing", "files", "quota"),
    [
        (V2, v2(top="max 100000\n", service="150000 100000\n"), 1.5),
        # systemd's CPUQuota= on a slice, over a service without one of its own
        (V2, v2(slice="200000 100000\n", service="max 100000\n"), 2.0),
        (V2, v2(slice="100000 100000\n", service="400000 100000\n"), 1.0),
        (V2, v2(slice="max 100000\n", service="max 100000\n"), None),
        # in a container's own namespace, and where it is named as the host names it
        ("0::/", v2(top="50000 100000\n"), 0.5),
        ("0::/kubepods/pod1/c1", v2(top="300000 100000\n"), 3.0),
        (V1, v1("cpu/docker/abc", "250000\n"), 2.5),
        (V1, v1("cpu,cpuacct/docker/abc", "250000\n"), 2.5),
        (V1, v1("cpu", "100000\n") | v1("cpu/docker/abc", "-1\n"), 1.0),
        (V1, v1("cpu/docker/abc", "-1\n"), None),
        (V2, v2(service="damaged\n"), None),
        (V2, {}, None),
        ("", {}, None),
    ],
)
def test_the_narrowest_quota_counts(
    tmp_path: Path, listing: str, files: dict[str, str], quota: float | None
) -> None:
    assert machine.cpu_quota(tree(tmp_path, listing, files)) == quota


def test_no_control_groups(tmp_path: Path) -> None:
    assert machine.cpu_quota(tmp_path) is None
    assert list(machine.groups("memory", tmp_path)) == []


@pytest.mark.parametrize(("quota", "cores"), [(0.25, 1), (1.5, 2), (2.0, 2), (64.0, 4), (None, 4)])
def test_threads_keep_to_the_quota(
    monkeypatch: pytest.MonkeyPatch, quota: float | None, cores: int
) -> None:
    monkeypatch.setattr(threads, "cpu_quota", lambda: quota)
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0, 1, 2, 3})
    assert threads.usable_cores() == cores
