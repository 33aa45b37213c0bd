"""The processor's model name and other facts from /proc/cpuinfo. Standard library only."""

from __future__ import annotations

import platform
from pathlib import Path

__all__ = ["CPUINFO", "model", "read_facts"]

CPUINFO = Path("/proc/cpuinfo")


def read_facts(description: Path = CPUINFO) -> dict[str, str]:
    """Fields of /proc/cpuinfo for the first core; empty if the file cannot be read."""
    try:
        lines = description.read_text(errors="replace").splitlines()
    except OSError:
        return {}
    facts: dict[str, str] = {}
    for line in lines:
        name, _, value = line.partition(":")
        facts.setdefault(name.strip(), value.strip())
    return facts


def model(facts: dict[str, str] | None = None) -> str:
    """Model name of the processor, or its architecture if there is none."""
    return (read_facts() if facts is None else facts).get("model name") or platform.machine()
