"""Specs of a graph's tensors and of stored arrays."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from aeonnx._util.serde import require

__all__ = [
    "BATCH",
    "NAME",
    "Golden",
    "GoldenTensor",
    "TensorSpec",
    "require_digest",
    "require_file",
    "require_sizes",
]

BATCH = "batch"
"""Name of the one dynamic axis."""

NAME = re.compile(r"[a-z][a-z0-9_]*")
LARGEST = 2**31
"""Largest size of a file in bytes: the limit of protobuf, and so of a graph."""
_MOST = 2**50  # values: 8 bytes each, so the size in bytes is exact even in JavaScript
_WIDTHS = {"float32": 4, "float16": 2, "float64": 8, "uint8": 1, "int64": 8}
_DTYPES = (*_WIDTHS,)
_DIGEST = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class TensorSpec:
    """An input or output of a part.

    Args:
        name: the name in torch code, graph, manifest and clients, such as "x" or "z".
        shape: sizes, with "batch" for the dynamic axis, such as ("batch", 1, 28, 28).
        dtype: numpy's name of the element type.
        range: lowest and highest value, both included; None if unbounded.
        description: one phrase for readers.
    """

    name: str
    shape: tuple[int | str, ...]
    dtype: str = "float32"
    range: tuple[float, float] | None = None
    description: str = ""

    def __post_init__(self) -> None:
        require(
            isinstance(self.name, str) and NAME.fullmatch(self.name),
            "name: expected lower-case letters, digits and _, beginning with a letter, got "
            f"{self.name!r}",
        )
        require(self.dtype in _DTYPES, f"dtype: expected one of {_DTYPES}, got {self.dtype!r}")
        require(self.shape, "shape: expected the batch axis at least, got []")
        for axis, size in enumerate(self.shape):
            good = size == BATCH and axis == 0 if isinstance(size, str) else size > 0
            require(
                good, f'shape: expected sizes above 0, or "{BATCH}" for the first, got {size!r}'
            )
        require_sizes(tuple(size for size in self.shape if isinstance(size, int)), "shape")


@dataclass(frozen=True)
class GoldenTensor:
    """One stored array: raw, little-endian, row-major.

    Args:
        file: path inside the bundle.
        sha256: digest of the file.
        dtype: numpy's name of the element type.
        shape: sizes, including the batch.
        tolerance: per row, the largest |difference| that counts as equal; None for an input.
    """

    file: str
    sha256: str
    dtype: str
    shape: tuple[int, ...]
    tolerance: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        require_file(self.file)
        require_digest(self.sha256)
        require_sizes(self.shape, "shape")
        require(self.dtype in _DTYPES, f"dtype: expected one of {_DTYPES}, got {self.dtype!r}")
        require(
            self.bytes <= LARGEST,
            f"shape: expected at most 2**31 bytes, got {self.bytes} of {list(self.shape)}",
        )

    @property
    def bytes(self) -> int:
        """Size of the file."""
        return math.prod(self.shape) * _WIDTHS[self.dtype]


@dataclass(frozen=True)
class Golden:
    """Stored inputs and the outputs of eager torch for them, by tensor name."""

    inputs: dict[str, GoldenTensor]
    outputs: dict[str, GoldenTensor]


def require_digest(digest: str, field: str = "sha256") -> None:
    require(_DIGEST.fullmatch(digest), f"{field}: expected 64 hex digits, got {digest!r}")


def require_sizes(sizes: tuple[int, ...], field: str) -> None:
    require(all(size > 0 for size in sizes), f"{field}: expected sizes above 0, got {sizes}")
    require(math.prod(sizes) < _MOST, f"{field}: expected fewer than 2**50 values, got {sizes}")


def require_file(file: str) -> None:
    steps = file.split("/")  # the first is empty for an absolute path
    inside = "\\" not in file and not {"", ".", ".."} & set(steps)
    require(inside, f"file: expected a path inside the bundle, got {file!r}")
