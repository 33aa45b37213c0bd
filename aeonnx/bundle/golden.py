"""Reading a bundle's golden vectors. numpy only."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from aeonnx._util import files
from aeonnx.bundle import GoldenTensor
from aeonnx.errors import IntegrityError

__all__ = ["read", "read_all"]


def read_all(folder: Path, tensors: Mapping[str, GoldenTensor]) -> dict[str, npt.NDArray[Any]]:
    """`read`, of arrays by name."""
    return {name: read(folder, tensor) for name, tensor in tensors.items()}


def read(folder: Path, tensor: GoldenTensor) -> npt.NDArray[Any]:
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
