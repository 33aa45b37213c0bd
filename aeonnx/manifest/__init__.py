"""The bundle contract: frozen dataclasses <-> manifest.json. Standard library only.

The dataclasses are the format: `records` checks a document against their type hints and
`__post_init__` against the rules that types cannot say. `manifest.schema.json` states the same for
other languages. docs/bundle.md explains it.
"""

from __future__ import annotations

from aeonnx.manifest._bundle import (
    FILE_NAME,
    FORMAT,
    FORMAT_VERSION,
    Manifest,
    Prior,
    contents,
    file_names,
    parse,
    read,
    serialize,
)
from aeonnx.manifest._rows import Interface, batch_of, has_rows
from aeonnx.manifest._tensors import BATCH, NAME, Golden, GoldenTensor, TensorSpec
from aeonnx.manifest._training import Training, TrainingStage
from aeonnx.manifest._variant import ActivationCoverage, OutputParity, Quality, Variant

__all__ = [
    "BATCH",
    "FILE_NAME",
    "FORMAT",
    "FORMAT_VERSION",
    "NAME",
    "ActivationCoverage",
    "Golden",
    "GoldenTensor",
    "Interface",
    "Manifest",
    "OutputParity",
    "Prior",
    "Quality",
    "TensorSpec",
    "Training",
    "TrainingStage",
    "Variant",
    "batch_of",
    "contents",
    "file_names",
    "has_rows",
    "parse",
    "read",
    "serialize",
]
