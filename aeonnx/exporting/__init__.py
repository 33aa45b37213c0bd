"""Export a checkpoint to a bundle of ONNX graphs, each verified against eager torch.

`ExportOptions` and `check` need no torch; every other name imports it on first access.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from aeonnx._util.optional import lazily
from aeonnx.catalog.adapters import SourceOptions
from aeonnx.catalog.source import Source
from aeonnx.exporting.options import ExportOptions, check

if TYPE_CHECKING:
    from aeonnx.exporting.pipeline import Exported, Listener, export
    from aeonnx.exporting.verify.checkpoint import verify_checkpoint

__all__ = [
    "ExportOptions",
    "Exported",
    "Listener",
    "Source",
    "SourceOptions",
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
