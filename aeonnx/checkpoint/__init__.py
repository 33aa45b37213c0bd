"""The checkpoint contract between training and export: a folder of safetensors and JSON.

    config.json                    model, training record, names and digests of the next two
    model.<digest>.safetensors     the weights
    examples.<digest>.safetensors  some test and training images, so that export needs no data set
    metrics.jsonl                  one line per epoch, for people and plots

config.json is written last, and the files that it names are never overwritten: a reader sees either
the old checkpoint or the new one, even while a run saves. No pickle is ever written; pickles are
read with `weights_only=True` only. `load_weights` loads state dicts of any origin into any module.
`history` needs no torch; the other names import it on first access.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from aeonnx._util.optional import lazily

if TYPE_CHECKING:
    from aeonnx.checkpoint._into import load_weights
    from aeonnx.checkpoint._load import Checkpoint, load
    from aeonnx.checkpoint._record import (
        CONFIG,
        Examples,
        dump_examples,
        files_of,
        save,
    )
    from aeonnx.checkpoint._stored import Stored, stored
    from aeonnx.checkpoint._weights import checkpoint_id

__all__ = [
    "CONFIG",
    "Checkpoint",
    "Examples",
    "Stored",
    "checkpoint_id",
    "dump_examples",
    "files_of",
    "load",
    "load_weights",
    "save",
    "stored",
]

_NEEDED = ("torch", "safetensors")
_HOMES = {
    "CONFIG": "_record",
    "Checkpoint": "_load",
    "Examples": "_record",
    "Stored": "_stored",
    "dump_examples": "_record",
    "files_of": "_record",
    "checkpoint_id": "_weights",
    "load": "_load",
    "load_weights": "_into",
    "save": "_record",
    "stored": "_stored",
}

__getattr__ = lazily(__name__, _HOMES, *_NEEDED, extra="train", purpose="reading a checkpoint")
