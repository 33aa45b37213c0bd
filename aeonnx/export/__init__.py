"""From a checkpoint to a bundle whose every graph is proven equal to eager torch.

`ExportOptions` and their check need no torch; anything else here imports it when it is asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from aeonnx._util.optional import lazily
from aeonnx.catalog.source import Source
from aeonnx.export.options import ExportOptions, check

if TYPE_CHECKING:
    from aeonnx.export.pipeline import Exported, Listener, export
    from aeonnx.export.verify.checkpoint import verify_checkpoint

__all__ = [
    "ExportOptions",
    "Exported",
    "Listener",
    "Source",
    "check",
    "export",
    "verify_checkpoint",
]

_NEEDED = ("torch", "onnx", "onnxscript", "safetensors")
_HOMES = {
    "Exported": "pipeline",
    "Listener": "pipeline",
    "export": "pipeline",
    "verify_checkpoint": "verify.checkpoint",
}

__getattr__ = lazily(__name__, _HOMES, *_NEEDED, extra="train", purpose="exporting")
