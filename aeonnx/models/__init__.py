"""The models: `nn.Module`s that list their parts. Independent of training, ONNX and files.

Each module here without a leading underscore defines one model and registers its builder under the
model's name; the rest of aeonnx needs no more (see docs/extending.md).
"""

from __future__ import annotations

import importlib
import pkgutil

from aeonnx._util.optional import require_modules

require_modules("torch", extra="train", purpose="building a model")

from aeonnx.models._columns import Columns, set_scale
from aeonnx.models._conditional import call
from aeonnx.models._model import Model, Part
from aeonnx.models._parts import Decoder, EncodeDecode, image, latent, primary_output, scorer
from aeonnx.models._registry import (
    ExternalConfig,
    ModelConfig,
    Widths,
    archs,
    build,
    classifies,
    conditional,
    configure,
    crop_of,
    names,
    register,
)

__all__ = [
    "Columns",
    "Decoder",
    "EncodeDecode",
    "ExternalConfig",
    "Model",
    "ModelConfig",
    "Part",
    "Widths",
    "archs",
    "build",
    "call",
    "classifies",
    "conditional",
    "configure",
    "crop_of",
    "image",
    "latent",
    "names",
    "primary_output",
    "register",
    "scorer",
    "set_scale",
]

for _module in pkgutil.iter_modules(__path__):
    if not _module.name.startswith("_"):
        importlib.import_module(f"{__name__}.{_module.name}")
