"""Processes of aeonnx's own that run Python: the same modules as here. Standard library only."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from aeonnx.errors import SetupError

__all__ = ["run_module"]


def run_module(
    module: str, *arguments: str, timeout: float | None = None
) -> subprocess.CompletedProcess[str]:
    """Run `python -m MODULE ARGUMENTS`, whatever lies in the working directory.

    The child finds modules where this process does: what is installed, editable or not, and what
    PYTHONPATH names.

    Raises:
        SetupError: this is a frozen program, which holds no interpreter to start.
        TimeoutExpired: it did not end in so many seconds, and was stopped.
    """
    if getattr(sys, "frozen", False):
        raise SetupError(
            f"{module} needs a process of its own, and {Path(sys.executable).name} is a frozen "
            "program, which cannot start Python: run aeonnx where pip has installed it"
        )
    return subprocess.run(
        [sys.executable, "-P", "-m", module, *arguments],
        env={**os.environ, "PYTHONPATH": _search_path(), "PYTHONIOENCODING": "utf-8"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        timeout=timeout,
        check=False,
    )


def _search_path() -> str:
    places = [place for place in sys.path if place]
    own = str(Path(__file__).parents[2])
    # Last: beside the sources of a checkout may lie anything.
    return os.pathsep.join(dict.fromkeys([*places, own]))
