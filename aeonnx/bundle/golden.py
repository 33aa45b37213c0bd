"""Golden vectors: inputs and the outputs of eager torch, as raw files that any language can read.

Each file is one array, little-endian and row-major. numpy only.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from aeonnx._util import files
from aeonnx.bundle.tensors import Golden, GoldenTensor
from aeonnx.errors import IntegrityError

__all__ = ["read", "read_all", "write", "write_array"]

Array = npt.NDArray[Any]


def read_all(folder: Path, tensors: Mapping[str, GoldenTensor]) -> dict[str, Array]:
    """Read several arrays by name, see `read`."""
    return {name: read(folder, tensor) for name, tensor in tensors.items()}


def read(folder: Path, tensor: GoldenTensor) -> Array:
    """Read a golden array of the bundle in `folder`, with the shape and dtype in the manifest.

    Raises:
        IntegrityError: the file is missing or does not match the manifest.
    """
    path = folder / tensor.file
    data = files.read_verified(path, tensor.sha256, tensor.bytes)
    dtype = np.dtype(tensor.dtype).newbyteorder("<")
    try:
        return np.frombuffer(data, dtype).astype(tensor.dtype).reshape(tensor.shape)
    except MemoryError as error:
        raise IntegrityError(f"cannot read {path}: it does not fit in memory") from error


def write(
    folder: Path, where: str, inputs: Mapping[str, Array], outputs: Mapping[str, Array]
) -> Golden:
    """Write `golden/<where>/<tensor>.<digest>.bin` for every input and output.

    Args:
        folder: the bundle's folder.
        where: name of the part, or of the graph's file if its inputs are not those of the part.
        inputs, outputs: arrays by name; the outputs are torch's.

    Returns:
        Their manifest entries; outputs have no tolerance yet.
    """
    written = (
        {
            name: write_array(folder, f"golden/{where}/{name}.bin", value)
            for name, value in arrays.items()
        }
        for arrays in (inputs, outputs)
    )
    return Golden(*written)


def write_array(folder: Path, file: str, value: Array) -> GoldenTensor:
    """Write an array to a raw file of the bundle, with its digest in the file name."""
    data = np.ascontiguousarray(value, dtype=value.dtype.newbyteorder("<")).tobytes()
    file = files.named_by_content(file, data)
    files.write(folder / file, data)
    digest = hashlib.sha256(data).hexdigest()
    return GoldenTensor(file, digest, str(value.dtype), value.shape, None)
