"""The machine that a benchmark ran on, in one line."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from aeonnx._util.machine import cpu_model, usable_cores

__all__ = ["describe"]


def describe(*packages: str) -> str:
    """Processor, usable cores, GPUs, Python and the versions of packages, in one line."""
    facts = [cpu_model(), f"{usable_cores()} cores", *_gpus()]
    facts += [f"Python {platform.python_version()}"]
    return ", ".join([*facts, *(f"{package} {_version(package)}" for package in packages)])


def _gpus() -> list[str]:
    files = sorted(Path("/proc/driver/nvidia/gpus").glob("*/information"))
    lines = [line for file in files for line in file.read_text().splitlines()]
    return [line.split(":")[1].strip() for line in lines if line.startswith("Model:")]


def _version(package: str) -> str:
    for name in (package, f"{package}-gpu"):
        try:
            return version(name)
        except PackageNotFoundError:
            continue
    return "none"
