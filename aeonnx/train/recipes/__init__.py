"""How each model is taught: its loss, its test metrics, the picture that shows what it learned.

Each module here without a leading underscore is one recipe, registered under its model's name.
"""

from __future__ import annotations

import importlib
import pkgutil

from aeonnx.train.recipes._registry import Picture, Recipe, make, register

__all__ = ["Picture", "Recipe", "make", "register"]

for _module in pkgutil.iter_modules(__path__):
    if not _module.name.startswith("_"):
        importlib.import_module(f"{__name__}.{_module.name}")
