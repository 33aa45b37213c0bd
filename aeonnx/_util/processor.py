"""The processor, as Linux describes it. Standard library only."""

from __future__ import annotations

import platform
from pathlib import Path

__all__ = ["CPUINFO", "model", "read_facts"]

CPUINFO = Path("/proc/cpuinfo")


def read_facts(description: Path = CPUINFO) -> dict[str, str]:
    """What the kernel says of the first core, which speaks for all; empty where it says nothing."""
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
    """Its name; of a processor without one, its architecture."""
    return (read_facts() if facts is None else facts).get("model name") or platform.machine()
