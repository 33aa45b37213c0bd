"""The GPU libraries that onnxruntime's EPs need, located as the dynamic loader does."""

from __future__ import annotations

import os
import re
import subprocess
from importlib.util import find_spec
from pathlib import Path

from aeonnx._util.cuda_libraries import remedy
from aeonnx.tools.doctor._diagnosis import Library

__all__ = ["examine_libraries", "opened_later"]

_LINE = re.compile(r"\s*(lib(?:cu|nv)[\w.-]+) => (not found|\S+)")
_OPENED_LATER = {"libcudnn": "cuda"}
"""The CUDA EP is not linked with cuDNN: it opens the library at the first convolution."""


def examine_libraries() -> tuple[Library, ...]:
    """The libraries that `ldd` lists for each EP's file; none of them is loaded.

    Empty if there is no onnxruntime, no EP in a file of its own, or no `ldd`.
    """
    found = find_spec("onnxruntime")
    packages = [Path(place) for place in (found and found.submodule_search_locations) or []]
    paths: dict[str, str | None] = {}
    needed_by: dict[str, list[str]] = {}
    for package in packages:
        # `onnxruntime.preload_dlls` looks here first.
        wheels = [str(path) for path in sorted(package.parent.glob("nvidia/*/lib"))]
        for file in sorted(package.glob("capi/libonnxruntime_providers_*.so")):
            provider = file.stem.rpartition("_")[2]
            for name, path in _LINE.findall(_ldd(file, wheels)):
                paths[name] = None if path == "not found" else path
                needed_by.setdefault(name, []).append(provider)
    for name, eps in needed_by.items():
        later = _OPENED_LATER.get(name.partition(".")[0])
        if later and later not in eps:
            eps.insert(0, later)
    return tuple(
        Library(name, tuple(needed_by[name]), path, None if path else remedy(name))
        for name, path in sorted(paths.items())
    )


def opened_later(library: str) -> bool:
    """Whether an EP starts without a library, and fails when a graph needs it."""
    return library.partition(".")[0] in _OPENED_LATER


def _ldd(file: Path, folders: list[str]) -> str:
    search = [*folders, os.environ.get("LD_LIBRARY_PATH", "")]
    environment = {**os.environ, "LD_LIBRARY_PATH": os.pathsep.join(filter(None, search))}
    try:
        done = subprocess.run(
            ["ldd", str(file)],  # noqa: S607  # a part of every libc, wherever it is
            env=environment,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=60,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout
