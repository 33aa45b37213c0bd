"""`dir` of packages whose names are imported at first access."""

from __future__ import annotations

import subprocess
import sys

PACKAGES = ("aeonnx.training", "aeonnx.exporting", "aeonnx.checkpoint")
PROBE = """
import importlib, sys
packages = list(map(importlib.import_module, sys.argv[1:]))
shown = {package: dir(package) for package in packages}
assert not {"torch", "onnx"} & sys.modules.keys(), "listing names imports nothing"
for package, names in shown.items():
    assert names == sorted(names)
    public = {name for name in names if not name.startswith("_")}
    assert set(package.__all__) <= public, set(package.__all__) - public
    for name in public - set(package.__all__):
        assert getattr(package, name).__name__ == f"{package.__name__}.{name}", name
    for name in names:
        getattr(package, name)
"""


def test_dir_shows_the_public_names() -> None:
    """All of `__all__`, and beside it only submodules; each of them can be accessed."""
    done = subprocess.run(
        [sys.executable, "-c", PROBE, *PACKAGES], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
