"""From a checkpoint to a bundle whose every graph is proven equal to eager torch."""

from __future__ import annotations

from importlib.util import find_spec

from aeonnx.errors import MissingExtraError

for _module in ("torch", "onnx", "onnxscript", "safetensors"):
    if find_spec(_module) is None:
        raise MissingExtraError(_module, "train", "exporting")

from aeonnx.export.bundle import Exported, ExportOptions, Listener, export, verify_against  # noqa: E402

__all__ = ["ExportOptions", "Exported", "Listener", "export", "verify_against"]
