"""How models are learned: data, corruption, losses, recipes, the loop. Ends in a checkpoint."""

from __future__ import annotations

from importlib.util import find_spec

from aeonnx.errors import MissingExtraError

# Found, not imported: most of them are slow to import, and some runs do without.
for _module in ("torch", "torchvision", "safetensors", "mlxtend", "matplotlib"):
    if find_spec(_module) is None:
        raise MissingExtraError(_module, "train", "training")

from aeonnx.train.data import DATA_SETS, DataSet, load_data  # noqa: E402
from aeonnx.train.fit import (  # noqa: E402
    Epoch,
    Listener,
    Trained,
    TrainOptions,
    resolve_device,
    train,
)
from aeonnx.train.recipes import Recipe  # noqa: E402

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
