"""The properties of the processor that affect the speed of a bundle."""

from __future__ import annotations

from pathlib import Path

from aeonnx._util import machine
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


def examine_cpu(root: Path = machine.ROOT) -> Cpu:
    """The processor of this machine.

    Args:
        root: folder that contains `proc` and `sys`.
    """
    facts = machine.cpu_facts(root)
    flags = facts.get("flags", facts.get("Features", "")).split()
    return Cpu(
        model=machine.cpu_model(facts),
        features=tuple(name for name in _FEATURES if name in flags),
        cores=machine.machine_cores(),
        usable=machine.usable_cores(root),
        quota=machine.cpu_quota(root),
    )
