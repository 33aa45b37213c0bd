"""Golden vectors: inputs with the outputs of eager torch, as raw files that any language reads."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from aeonnx._util import files
from aeonnx.bundle import Golden, GoldenTensor
from aeonnx.export.verify.runs import Truth
from aeonnx.runtime import Check
from aeonnx.runtime.session import Array

__all__ = ["store", "with_tolerances", "write_golden"]


def write_golden(folder: Path, where: str, inputs: Mapping[str, Array], reference: Truth) -> Golden:
    """Write `golden/<where>/<tensor>.<digest>.bin` for every input and output.

    They are little-endian and row-major.

    Args:
        folder: of the bundle.
        where: name of the part, or of the part's file for inputs of its own.
        inputs: arrays by name.
        reference: what gives the outputs.

    Returns:
        The tensors, whose outputs have no tolerance yet.
    """
    written = (
        {name: store(folder, f"golden/{where}/{name}.bin", value) for name, value in arrays.items()}
        for arrays in (inputs, reference.single(inputs))
    )
    return Golden(*written)


def with_tolerances(golden: Golden, checks: Sequence[Check], kinds: Sequence[str]) -> Golden:
    """The same tensors with a tolerance for each row: that of the check on inputs of its kind."""
    tolerances = {(check.output, check.inputs): check.tolerance for check in checks}
    outputs = {
        name: replace(tensor, tolerance=tuple(tolerances[name, kind] for kind in kinds))
        for name, tensor in golden.outputs.items()
    }
    return replace(golden, outputs=outputs)


def store(folder: Path, file: str, value: Array) -> GoldenTensor:
    """Write an array as a raw file of the bundle, whose name gets the digest."""
    data = np.ascontiguousarray(value, dtype=value.dtype.newbyteorder("<")).tobytes()
    file = files.named_by_content(file, data)
    files.write(folder / file, data)
    digest = hashlib.sha256(data).hexdigest()
    return GoldenTensor(file, digest, str(value.dtype), value.shape, None)
