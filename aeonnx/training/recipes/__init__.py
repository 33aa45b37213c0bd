"""Recipes: how each model is trained: stages, losses, test metrics and pictures.

Each module here without a leading underscore defines one recipe, registered under its model's name.
"""

from __future__ import annotations

import importlib
import pkgutil

from aeonnx.training.recipes._registry import (
    Batch,
    Picture,
    Recipe,
    Shape,
    Stage,
    make,
    register,
)

__all__ = ["Batch", "Picture", "Recipe", "Shape", "Stage", "make", "register"]

for _module in pkgutil.iter_modules(__path__):
    if not _module.name.startswith("_"):
        importlib.import_module(f"{__name__}.{_module.name}")
