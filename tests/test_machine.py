"""Cores, memory and processor, in made-up trees of `proc` and `sys`, and on this machine."""

from __future__ import annotations

import platform
import resource
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aeonnx._util import machine

V2 = "0::/system.slice/a.service"
V1 = "5:cpu,cpuacct:/docker/abc\n9:memory:/elsewhere\n0::/\n"


def tree(root: Path, files: dict[str, str]) -> Path:
    """A root with files of `proc` and `sys`."""
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def listed(listing: str) -> dict[str, str]:
    return {"proc/self/cgroup": listing}


def v2(**limits: str) -> dict[str, str]:
    places = {"top": "", "slice": "system.slice/", "service": "system.slice/a.service/"}
    return {f"sys/fs/cgroup/{places[name]}cpu.max": text for name, text in limits.items()}


def v1(folder: str, quota: str) -> dict[str, str]:
    place = f"sys/fs/cgroup/{folder}/cpu.cfs_"
    return {f"{place}quota_us": quota, f"{place}period_us": "100000\n"}


def memory(group: str, limit: str) -> dict[str, str]:
    """A group of version 2 that uses 3 MB, of which 0.4 MB are cached files."""
    place = f"sys/fs/cgroup/{group}memory"
    return {
        f"{place}.max": f"{limit}\n",
        f"{place}.current": "3000000\n",
        f"{place}.stat": "anon 7\ninactive_file 400000\n",
    }


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
        (V2, v2(service="150000 0\n"), None),
        (V2, v2(slice="200000 100000\n", service="damaged\n"), 2.0),
        (V2, {}, None),
        ("", {}, None),
        ("damaged", {}, None),
    ],
)
def test_the_lowest_quota_counts(
    tmp_path: Path, listing: str, files: dict[str, str], quota: float | None
) -> None:
    assert machine.cpu_quota(tree(tmp_path, listed(listing) | files)) == quota


@pytest.mark.parametrize(
    ("quota", "cores"), [("25", 1), ("150", 2), ("200", 2), ("6400", 4), ("max", 4)]
)
def test_threads_keep_to_the_quota(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, quota: str, cores: int
) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0, 1, 2, 3})
    root = tree(tmp_path, listed("0::/") | v2(top=f"{quota} 100\n"))
    assert machine.usable_cores(root) == cores


MEMINFO = {"proc/meminfo": "MemTotal:  9000 kB\nMemAvailable:    8000 kB\n"}
JOB = MEMINFO | listed("0::/job/step\n") | memory("job/step/", "max")
OLD = {
    "sys/fs/cgroup/memory/memory.limit_in_bytes": "700000\n",
    "sys/fs/cgroup/memory/memory.usage_in_bytes": "300000\n",
    "sys/fs/cgroup/memory/memory.stat": "inactive_file 1\ntotal_inactive_file 50000\n",
}


@pytest.mark.parametrize(
    ("files", "free"),
    [
        (MEMINFO, 8000 * 1024),
        (JOB, 8000 * 1024),
        (JOB | memory("job/", "5000000"), 2_400_000),
        (JOB | memory("job/", "2000000"), 0),
        (JOB | memory("job/", "damaged"), 8000 * 1024),
        (MEMINFO | listed("9:name=systemd:/a\n4:memory:/there\n") | OLD, 450_000),
        # Where the kernel does not say what is available, only groups limit it.
        ({"proc/meminfo": "MemTotal:  9000 kB\n"}, sys.maxsize),
        ({}, sys.maxsize),
    ],
)
def test_control_groups_limit_the_memory(tmp_path: Path, files: dict[str, str], free: int) -> None:
    assert machine.available_memory(tree(tmp_path, files)) == free


def test_a_group_without_statistics_limits_the_memory(tmp_path: Path) -> None:
    files = JOB | memory("job/", "5000000")
    del files["sys/fs/cgroup/job/memory.stat"]
    assert machine.available_memory(tree(tmp_path, files)) == 2_000_000


def test_the_processor_is_named(tmp_path: Path) -> None:
    assert machine.cpu_model(machine.cpu_facts(tmp_path)) == platform.machine()
    root = tree(tmp_path, {"proc/cpuinfo": "model name\t: AMD EPYC\n\nmodel name\t: another\n"})
    assert machine.cpu_model(machine.cpu_facts(root)) == "AMD EPYC"


def test_this_machine_has_memory_and_cores() -> None:
    assert 1 << 20 < machine.available_memory() < 1 << 60
    assert 1 <= machine.usable_cores() <= machine.machine_cores()
    assert machine.cpu_model()


def test_no_more_memory_is_taken_than_is_free(tmp_path: Path) -> None:
    """In a process of its own, since the limit is the process's."""
    script = f"""
import resource
from pathlib import Path
import numpy as np
from aeonnx._util.machine import limited_memory
root = Path({str(tmp_path)!r})
(root / "proc/self").mkdir(parents=True)
(root / "proc/meminfo").write_text("MemAvailable: 300000 kB")
(root / "proc/self/status").write_text(Path("/proc/self/status").read_text())
with limited_memory(root):
    np.ones(100 * 2**20, np.uint8)
    try:
        np.ones(400 * 2**20, np.uint8)
    except MemoryError:
        print("refused")
np.ones(400 * 2**20, np.uint8)
resource.setrlimit(resource.RLIMIT_DATA, (2**28, 2**29))
with limited_memory(root):
    print(resource.getrlimit(resource.RLIMIT_DATA)[0] <= 2**28)
"""
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["refused", "True"]


def test_a_system_without_such_files_has_no_limit(tmp_path: Path) -> None:
    before = resource.getrlimit(resource.RLIMIT_DATA)
    with machine.limited_memory(tmp_path):
        assert resource.getrlimit(resource.RLIMIT_DATA) == before


NAMES = (
    *("proc/self/cgroup", "proc/self/status", "proc/meminfo", "proc/cpuinfo"),
    *(f"sys/fs/cgroup/{name}" for name in ("cpu.max", "memory.max", "memory.current")),
    *(f"sys/fs/cgroup/{name}" for name in ("cpu/cpu.cfs_quota_us", "cpu/cpu.cfs_period_us")),
)
TEXTS = st.one_of(
    st.binary(max_size=30),
    st.lists(
        st.sampled_from(["0::/", "1:cpu:/a", "max", "-1", "0", "9" * 400, " ", "\n", "\0", ":"]),
        max_size=5,
    ).map(lambda words: "".join(words).encode()),
)


@given(st.dictionaries(st.sampled_from(NAMES), TEXTS))
def test_whatever_the_files_say_there_is_an_answer(files: dict[str, bytes]) -> None:
    with TemporaryDirectory() as folder:
        for name, data in files.items():
            path = Path(folder, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        assert machine.usable_cores(Path(folder)) >= 1
        assert machine.available_memory(Path(folder)) >= 0
        with machine.limited_memory(Path(folder)):
            pass
        assert machine.cpu_model(machine.cpu_facts(Path(folder)))
