"""From a checkpoint to a bundle whose every graph is proven equal to eager torch."""

from __future__ import annotations

from aeonnx.extras import require_modules

require_modules("torch", "onnx", "onnxscript", "safetensors", extra="train", purpose="exporting")

from aeonnx.export.against import verify_against
from aeonnx.export.bundle import Exported, Listener, export
from aeonnx.export.plan import ExportOptions

__all__ = ["ExportOptions", "Exported", "Listener", "export", "verify_against"]
