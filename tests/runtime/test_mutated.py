"""Bundles damaged at random give our errors: no crash, no hang, no foreign exception."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

Maker = Callable[..., Path]

WORKER = Path(__file__).with_name("mutate.py")
IN_ONE_PROCESS = 500


def survive(bundle: Path, seeds: range) -> None:
    """Try each seed; those of one process die together."""
    for first in range(seeds.start, seeds.stop, IN_ONE_PROCESS):
        count = min(IN_ONE_PROCESS, seeds.stop - first)
        command = [sys.executable, str(WORKER), str(bundle), str(first), str(count)]
        path = os.pathsep.join(filter(None, sys.path))
        done = subprocess.run(
            command,
            env={**os.environ, "PYTHONPATH": path},
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )
        tried = done.stdout.split()
        end = signal.Signals(-done.returncode).name if done.returncode < 0 else done.returncode
        assert not done.returncode, f"seed {tried[-1:]} ended with {end}:\n{done.stderr[-3000:]}"
        assert len(tried) == count


def test_100_damaged_bundles(bundle_of: Maker) -> None:
    survive(bundle_of(), range(100))


@pytest.mark.slow
@pytest.mark.parametrize("model", ["vae", "sdae"])
def test_10_000_damaged_bundles(bundle_of: Maker, model: str) -> None:
    survive(bundle_of(model), range(5_000))
