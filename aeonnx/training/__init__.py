"""Train models and save checkpoints: data, corruption, losses, recipes and the training loop.

`TrainOptions` and `check` need no torch; the other names import it on first access.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from aeonnx._util.optional import lazily
from aeonnx.checkpoint.history import Epoch
from aeonnx.training.options import TrainOptions, check

if TYPE_CHECKING:
    from aeonnx.training.api import Trained, train
    from aeonnx.training.data import DATA_SETS, DataSet, load_data
    from aeonnx.training.engine.callbacks import Listener
    from aeonnx.training.engine.device import resolve_device
    from aeonnx.training.recipes import Recipe

__all__ = [
    "DATA_SETS",
    "DataSet",
    "Epoch",
    "Listener",
    "Recipe",
    "TrainOptions",
    "Trained",
    "check",
    "load_data",
    "resolve_device",
    "train",
]

_NEEDED = ("torch", "torchvision", "safetensors", "mlxtend", "matplotlib")
_HOMES = {
    "DATA_SETS": "data",
    "DataSet": "data",
    "Listener": "engine.callbacks",
    "Recipe": "recipes",
    "Trained": "api",
    "load_data": "data",
    "resolve_device": "engine.device",
    "train": "api",
}

__getattr__ = lazily(__name__, _HOMES, *_NEEDED, extra="train", purpose="training")
