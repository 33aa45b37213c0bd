"""The bundle contract: frozen dataclasses <-> manifest.json. Standard library only.

The dataclasses define the format: `serde` checks a document against their type hints, and
`__post_init__` checks the rules that types cannot express. `schema.json` defines the same format
for other languages; docs/bundle.md explains it.
"""

from __future__ import annotations

from aeonnx.bundle.axes import (
    BATCH,
    Axis,
    ScaledAxis,
    Shape,
    axes_of,
    nearest,
    scaled,
    shape_at,
    solve,
)
from aeonnx.bundle.blending import Blending
from aeonnx.bundle.manifest import (
    FILE_NAME,
    FORMAT,
    FORMAT_VERSION,
    Manifest,
    Prior,
    contents,
    file_names,
    latents,
    parse,
    read,
    serialize,
)
from aeonnx.bundle.normal import QUANTILES, NormalScores, least_rows, rank_of
from aeonnx.bundle.rows import Interface, batch_of, has_rows, shape_of_rows, solve_rows
from aeonnx.bundle.scaling import Scaling
from aeonnx.bundle.tensors import KINDS, NAME, Golden, GoldenTensor, TensorSpec
from aeonnx.bundle.training import Training, TrainingStage
from aeonnx.bundle.variant import (
    PRECISIONS,
    ActivationCoverage,
    Conversion,
    OutputParity,
    Quality,
    Variant,
)

__all__ = [
    "BATCH",
    "FILE_NAME",
    "FORMAT",
    "FORMAT_VERSION",
    "KINDS",
    "NAME",
    "PRECISIONS",
    "QUANTILES",
    "ActivationCoverage",
    "Axis",
    "Blending",
    "Conversion",
    "Golden",
    "GoldenTensor",
    "Interface",
    "Manifest",
    "NormalScores",
    "OutputParity",
    "Prior",
    "Quality",
    "ScaledAxis",
    "Scaling",
    "Shape",
    "TensorSpec",
    "Training",
    "TrainingStage",
    "Variant",
    "axes_of",
    "batch_of",
    "contents",
    "file_names",
    "has_rows",
    "latents",
    "least_rows",
    "nearest",
    "parse",
    "rank_of",
    "read",
    "scaled",
    "serialize",
    "shape_at",
    "shape_of_rows",
    "solve",
    "solve_rows",
]
