"""Golden vectors: inputs with the outputs of eager torch, as raw files that any language reads.

A file holds one array, little-endian and row-major. numpy only.
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
    """`read`, of arrays by name."""
    return {name: read(folder, tensor) for name, tensor in tensors.items()}


def read(folder: Path, tensor: GoldenTensor) -> Array:
    """A golden array of the bundle in `folder`, of the shape and dtype that the manifest says.

    Raises:
        IntegrityError: the file is missing or is not the one that the manifest names.
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
        folder: of the bundle.
        where: name of the part, or of the part's file for inputs of its own.
        inputs, outputs: arrays by name; the outputs are torch's.

    Returns:
        The tensors, whose outputs have no tolerance yet.
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
    """Write an array as a raw file of the bundle, whose name gets the digest."""
    data = np.ascontiguousarray(value, dtype=value.dtype.newbyteorder("<")).tobytes()
    file = files.named_by_content(file, data)
    files.write(folder / file, data)
    digest = hashlib.sha256(data).hexdigest()
    return GoldenTensor(file, digest, str(value.dtype), value.shape, None)
