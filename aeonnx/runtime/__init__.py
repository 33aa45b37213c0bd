"""Runs the graphs of a bundle with numpy and onnxruntime, without torch.

onnxruntime is checked and imported here first, so that one clear error reports a missing or a
double installation.
"""

from __future__ import annotations

import os
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aeonnx._util.optional import public_names, require_modules
from aeonnx.errors import SetupError

# Official builds since 1.29 send usage data unless this is set before the import.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")


def require_one_onnxruntime() -> None:
    """Import onnxruntime, if exactly one wheel is installed: two overwrite each other's files.

    Raises:
        SetupError: both wheels are installed, or the installed one cannot be imported.
        MissingExtraError: no wheel is installed.
    """
    require_modules("onnxruntime", extra="cpu", purpose="running a bundle")
    found = find_spec("onnxruntime")
    # Not importlib.metadata: importing it takes longer than looking for the folders.
    places = [Path(place).parent for place in (found and found.submodule_search_locations) or []]
    wheels = {
        path.name.split("-")[0] for site in places for path in site.glob("onnxruntime*.dist-info")
    }
    if {"onnxruntime", "onnxruntime_gpu"} <= wheels:
        raise SetupError(
            "both onnxruntime and onnxruntime-gpu are installed, and each breaks the other: "
            "pip uninstall -y onnxruntime onnxruntime-gpu && pip install 'aeonnx[gpu]' "
            "(or 'aeonnx[cpu]')"
        )
    try:
        import_module("onnxruntime")
    except Exception as error:  # missing files raise errors of many types
        raise SetupError(
            f"onnxruntime cannot be imported ({error}), install it again: "
            "pip install --force-reinstall 'aeonnx[cpu]' (or 'aeonnx[gpu]')"
        ) from error


require_one_onnxruntime()

from aeonnx.runtime.bundle import Bundle
from aeonnx.runtime.loading import load
from aeonnx.runtime.scored import Scored
from aeonnx.runtime.session import Session

if TYPE_CHECKING:
    from aeonnx.runtime.compare import Check, Report
    from aeonnx.runtime.verification import verify

__all__ = [
    "Bundle",
    "Check",
    "Report",
    "Scored",
    "Session",
    "load",
    "require_one_onnxruntime",
    "verify",
]


def __getattr__(name: str) -> Any:
    # Inference does not need these modules, and they would slow down the import.
    if name in ("Check", "Report"):
        return getattr(import_module("aeonnx.runtime.compare"), name)
    if name == "verify":
        return import_module("aeonnx.runtime.verification").verify
    raise AttributeError(f"module 'aeonnx.runtime' has no attribute {name!r}")


def __dir__() -> list[str]:
    return public_names(__name__, globals())
