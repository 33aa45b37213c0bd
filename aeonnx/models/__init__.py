"""What is learned: `nn.Module`s that name their parts. Knows nothing of training, ONNX or files.

Each module here without a leading underscore is one model: it registers a builder under its name,
and that is all that the rest of aeonnx needs (see docs/extending.md).
"""

from __future__ import annotations

import importlib
import pkgutil

from aeonnx._util.optional import require_modules

require_modules("torch", extra="train", purpose="building a model")

from aeonnx.models._model import Model, Part
from aeonnx.models._parts import Decoder, EncodeDecode, image, latent, primary_output, scorer
from aeonnx.models._registry import (
    ModelConfig,
    Widths,
    archs,
    build,
    classifies,
    configure,
    names,
    register,
)

__all__ = [
    "Decoder",
    "EncodeDecode",
    "Model",
    "ModelConfig",
    "Part",
    "Widths",
    "archs",
    "build",
    "classifies",
    "configure",
    "image",
    "latent",
    "names",
    "primary_output",
    "register",
    "scorer",
]

for _module in pkgutil.iter_modules(__path__):
    if not _module.name.startswith("_"):
        importlib.import_module(f"{__name__}.{_module.name}")
