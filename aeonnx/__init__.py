"""Autoencoders from PyTorch as ONNX graphs, verified against torch and run without it.

    aeonnx.train("vae", "runs/vae", epochs=20)
    aeonnx.export("vae", "dist/vae", checkpoint="runs/vae")
    bundle = aeonnx.load("dist/vae")
    images = bundle.generate(64, seed=7)      # float32 [64, 1, 28, 28] in [0, 1]

Verified: on test inputs, outputs differ from torch's by no more than a measured tolerance.

Importing aeonnx imports neither torch nor onnxruntime; `load` imports onnxruntime, `train` and
`export` import torch when they are called. What happens is logged to `logging.getLogger("aeonnx")`.
"""

from __future__ import annotations

import logging
from importlib import import_module
from typing import TYPE_CHECKING, Any

from aeonnx import errors
from aeonnx._util.optional import public_names

if TYPE_CHECKING:
    from aeonnx.exporting.keywords import export
    from aeonnx.runtime import Bundle, load
    from aeonnx.training.keywords import train

__version__ = "0.1.0"

__all__ = ["Bundle", "__version__", "errors", "export", "load", "train"]

logging.getLogger(__name__).addHandler(logging.NullHandler())

_HOMES = {
    "Bundle": "aeonnx.runtime",
    "export": "aeonnx.exporting.keywords",
    "load": "aeonnx.runtime",
    "train": "aeonnx.training.keywords",
}


def __getattr__(name: str) -> Any:
    # onnxruntime takes longer to import than `aeonnx --help` may take to answer.
    if name not in _HOMES:
        raise AttributeError(f"module 'aeonnx' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    """Public names, imported subpackages and special names, but not what this module imports."""
    return public_names(__name__, globals())
