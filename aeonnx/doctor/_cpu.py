"""The processor, as Linux describes it."""

from __future__ import annotations

import platform
from pathlib import Path

from aeonnx.doctor._diagnosis import Cpu
from aeonnx.threads import cgroup_quota, machine_cores, usable_cores

__all__ = ["examine_cpu"]

_FEATURES = (
    "avx2",
    "fma",
    "f16c",
    "avx512f",
    "avx512_vnni",
    "avx_vnni",
    "avx512_bf16",
    "amx_int8",
    "amx_bf16",
    "asimd",  # neon
    "asimdhp",
    "asimddp",
    "i8mm",
    "bf16",
    "sve",
)
"""As the kernel names them: x86, then Arm."""


def examine_cpu(description: Path = Path("/proc/cpuinfo")) -> Cpu:
    """The processor of this machine.

    Args:
        description: the kernel's text about it.
    """
    try:
        lines = description.read_text(errors="replace").splitlines()
    except OSError:
        lines = []
    facts: dict[str, str] = {}
    for line in lines:  # the first core speaks for all
        name, _, value = line.partition(":")
        facts.setdefault(name.strip(), value.strip())
    flags = facts.get("flags", facts.get("Features", "")).split()
    return Cpu(
        model=facts.get("model name") or platform.machine(),
        features=tuple(name for name in _FEATURES if name in flags),
        cores=machine_cores(),
        usable=usable_cores(),
        quota=cgroup_quota(),
    )
