"""How models are learned: data, corruption, losses, recipes, the loop. Ends in a checkpoint."""

from __future__ import annotations

from aeonnx.extras import require_modules

_NEEDED = ("torch", "torchvision", "safetensors", "mlxtend", "matplotlib")
require_modules(*_NEEDED, extra="train", purpose="training")

from aeonnx.train.data import DATA_SETS, DataSet, load_data
from aeonnx.train.fit import Trained, train
from aeonnx.train.history import Epoch
from aeonnx.train.listener import Listener
from aeonnx.train.options import TrainOptions, resolve_device
from aeonnx.train.recipes import Recipe

__all__ = [
    "DATA_SETS",
    "DataSet",
    "Epoch",
    "Listener",
    "Recipe",
    "TrainOptions",
    "Trained",
    "load_data",
    "resolve_device",
    "train",
]
