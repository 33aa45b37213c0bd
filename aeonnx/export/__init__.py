"""From a checkpoint to a bundle whose every graph is proven equal to eager torch.

`ExportOptions` and their check need no torch; anything else here imports it when it is asked for.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from aeonnx.export.options import ExportOptions, check

if TYPE_CHECKING:
    from aeonnx.export.against import verify_against
    from aeonnx.export.bundle import Exported, Listener, export

__all__ = ["ExportOptions", "Exported", "Listener", "check", "export", "verify_against"]

_NEEDED = ("torch", "onnx", "onnxscript", "safetensors")
_HOMES = {
    "Exported": "bundle",
    "Listener": "bundle",
    "export": "bundle",
    "verify_against": "against",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'aeonnx.export' has no attribute {name!r}")
    from aeonnx.extras import require_modules

    require_modules(*_NEEDED, extra="train", purpose="exporting")
    return getattr(importlib.import_module(f"aeonnx.export.{_HOMES[name]}"), name)
