"""Autoencoders from PyTorch as ONNX graphs that are proven equal to torch and run without it.

Proven equal: on test inputs, outputs differ from torch's by no more than a measured tolerance.

    bundle = aeonnx.load("dist/vae")
    images = bundle.generate(64, seed=7)      # float32 [64, 1, 28, 28] in [0, 1]

Importing aeonnx imports neither torch nor onnxruntime; `load` imports onnxruntime.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aeonnx import errors

if TYPE_CHECKING:
    from aeonnx.runtime import Bundle, load

__version__ = "0.1.0"

__all__ = ["Bundle", "__version__", "errors", "load"]


def __getattr__(name: str) -> Any:
    # onnxruntime takes longer to import than `aeonnx --help` may take to answer.
    if name in ("Bundle", "load"):
        from aeonnx import runtime

        return getattr(runtime, name)
    raise AttributeError(f"module 'aeonnx' has no attribute {name!r}")
