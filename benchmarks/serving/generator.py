"""Runs the generator of load with a fixed rate in a process and on a core of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from serving.sender import Plan
from serving.servers import CLIENT_CORE, ROOT, Running, pinned

__all__ = ["file_of", "generate"]


def file_of(work: Path, name: str, call: bytes) -> str:
    """Write a request to a file for a plan."""
    path = work / name
    path.write_bytes(call)
    return str(path)


def generate(running: Running, plan: Plan, work: Path) -> Mapping[str, Any]:
    """Carry out a plan against a server, and return what happened, see `open_loop.run`."""
    path = work / "plan.json"
    path.write_text(json.dumps(asdict(plan)))
    words = [sys.executable, "-m", "serving.open_loop", str(running.port), str(path)]
    done = subprocess.run(
        pinned(CLIENT_CORE, words), cwd=ROOT / "benchmarks", check=True, stdout=subprocess.PIPE
    )
    found: Mapping[str, Any] = json.loads(done.stdout)
    return found
