"""The properties of the processor that affect the speed of a bundle."""

from __future__ import annotations

from pathlib import Path

from aeonnx._util import processor
from aeonnx._util.machine import cpu_quota
from aeonnx._util.threads import machine_cores, usable_cores
from aeonnx.tools.doctor._diagnosis import Cpu

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


def examine_cpu(description: Path = processor.CPUINFO) -> Cpu:
    """The processor of this machine.

    Args:
        description: the kernel's description of it, such as /proc/cpuinfo.
    """
    facts = processor.read_facts(description)
    flags = facts.get("flags", facts.get("Features", "")).split()
    return Cpu(
        model=processor.model(facts),
        features=tuple(name for name in _FEATURES if name in flags),
        cores=machine_cores(),
        usable=usable_cores(),
        quota=cpu_quota(),
    )
