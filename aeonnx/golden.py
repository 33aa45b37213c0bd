"""Reading a bundle's golden vectors. numpy only."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from aeonnx import files
from aeonnx.errors import IntegrityError
from aeonnx.manifest import GoldenTensor

__all__ = ["read"]


def read(folder: Path, tensor: GoldenTensor) -> npt.NDArray[Any]:
    """A golden array of the bundle in `folder`, of the shape and dtype that the manifest says.

    Raises:
        IntegrityError: the file is missing or is not the one that the manifest names.
    """
    path = files.verified(folder / tensor.file, tensor.sha256)
    dtype = np.dtype(tensor.dtype).newbyteorder("<")
    flat = np.fromfile(path, dtype=dtype).astype(tensor.dtype, copy=False)
    if flat.size != np.prod(tensor.shape, dtype=np.int64):
        raise IntegrityError(
            f"{path}: expected {list(tensor.shape)} of {tensor.dtype}, got {flat.size} values"
        )
    return flat.reshape(tensor.shape)
