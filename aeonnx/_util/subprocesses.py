"""Runs Python modules in child processes. Standard library only."""

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
    """Run `python -m MODULE ARGUMENTS`, ignoring modules in the working directory.

    The child searches modules where this process does: installed packages, editable or not, and
    PYTHONPATH.

    Args:
        module: name of the module.
        arguments: its command line arguments.
        timeout: in seconds; None for no limit.

    Raises:
        SetupError: this is a frozen program, which has no Python interpreter to start.
        subprocess.TimeoutExpired: the process did not finish in time, and was killed.
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
    # Last: a checkout may contain other modules next to the package.
    return os.pathsep.join(dict.fromkeys([*places, own]))
