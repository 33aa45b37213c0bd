"""What a benchmark ran on, for the head of its table."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

__all__ = ["describe"]


def describe(*packages: str) -> str:
    """Processor, cores, Python and the versions of packages, in one line."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    name = next((line.split(":")[1].strip() for line in lines if "model name" in line), "CPU")
    cores = len(os.sched_getaffinity(0))
    versions = ", ".join(f"{package} {_version(package)}" for package in packages)
    return f"{name}, {cores} cores, Python {platform.python_version()}, {versions}"


def _version(package: str) -> str:
    for name in (package, f"{package}-gpu"):
        try:
            return version(name)
        except PackageNotFoundError:
            continue
    return "none"
