"""`dir` of packages whose names are imported at first access."""

from __future__ import annotations

import subprocess
import sys

import pytest

PROBE = """
import importlib, sys
package = importlib.import_module(sys.argv[1])
assert not {"torch", "onnx"} & sys.modules.keys()
shown = dir(package)
assert not {"torch", "onnx"} & sys.modules.keys(), "listing names imports nothing"
public = [name for name in shown if not name.startswith("_")]
assert set(package.__all__) <= set(public), set(package.__all__) - set(public)
assert shown == sorted(shown)
for name in set(public) - set(package.__all__):
    assert getattr(package, name).__name__ == f"{package.__name__}.{name}", name
for name in shown:
    getattr(package, name)
"""


@pytest.mark.parametrize("name", ["aeonnx.training", "aeonnx.exporting", "aeonnx.checkpoint"])
def test_dir_shows_the_public_names(name: str) -> None:
    """All of `__all__`, and beside it only submodules; each of them can be accessed."""
    done = subprocess.run(
        [sys.executable, "-c", PROBE, name], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
