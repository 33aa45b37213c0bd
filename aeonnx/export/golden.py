"""Golden vectors: inputs with the outputs of eager torch, as raw files that any language reads."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from aeonnx.export.reference import Reference
from aeonnx.manifest import Golden, GoldenTensor
from aeonnx.runtime.session import Array

__all__ = ["write_golden"]


def write_golden(
    folder: Path,
    part: str,
    inputs: Mapping[str, Array],
    reference: Reference,
    tolerances: Mapping[str, float],
) -> Golden:
    """Write `golden/<part>/<tensor>.bin` for every input and output: little-endian, row-major.

    Args:
        folder: of the bundle.
        part: name of the part.
        inputs: arrays by name.
        reference: eager torch of the part.
        tolerances: by output name.
    """
    outputs = reference.single(inputs)
    return Golden(
        {name: _write(folder, part, name, value, None) for name, value in inputs.items()},
        {
            name: _write(folder, part, name, value, tolerances[name])
            for name, value in outputs.items()
        },
    )


def _write(
    folder: Path, part: str, name: str, value: Array, tolerance: float | None
) -> GoldenTensor:
    file = f"golden/{part}/{name}.bin"
    data = np.ascontiguousarray(value, dtype=value.dtype.newbyteorder("<")).tobytes()
    path = folder / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    digest = hashlib.sha256(data).hexdigest()
    return GoldenTensor(file, digest, str(value.dtype), value.shape, tolerance)
