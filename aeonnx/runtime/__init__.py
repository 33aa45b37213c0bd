"""From a bundle to answers: numpy and onnxruntime, no torch.

onnxruntime is imported here and nowhere before, so that a missing or doubly installed one is told
once and clearly.
"""

from __future__ import annotations

import os
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aeonnx._util.optional import require_modules
from aeonnx.errors import SetupError

# Official builds since 1.29 send usage data unless this is set before the import.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")


def require_one_onnxruntime() -> None:
    """Import onnxruntime, if it is one wheel and whole: two overwrite each other's files.

    Raises:
        SetupError: both wheels are installed, or what is installed cannot be imported.
        MissingExtraError: none is.
    """
    require_modules("onnxruntime", extra="cpu", purpose="running a bundle")
    found = find_spec("onnxruntime")
    # A look beside the package: importlib.metadata alone takes longer to import than this takes.
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
    except Exception as error:  # whatever a part that is missing leads to
        raise SetupError(
            f"onnxruntime cannot be imported ({error}), install it again: "
            "pip install --force-reinstall 'aeonnx[cpu]' (or 'aeonnx[gpu]')"
        ) from error


require_one_onnxruntime()

from aeonnx.runtime.bundle import Bundle, load
from aeonnx.runtime.session import Session

if TYPE_CHECKING:
    from aeonnx.runtime.compare import Check, Report
    from aeonnx.runtime.verification import verify

__all__ = ["Bundle", "Check", "Report", "Session", "load", "require_one_onnxruntime", "verify"]


def __getattr__(name: str) -> Any:
    # What compares is not needed for answers, and milliseconds count at the start.
    if name in ("Check", "Report"):
        return getattr(import_module("aeonnx.runtime.compare"), name)
    if name == "verify":
        return import_module("aeonnx.runtime.verification").verify
    raise AttributeError(f"module 'aeonnx.runtime' has no attribute {name!r}")
