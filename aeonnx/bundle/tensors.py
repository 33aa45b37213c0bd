"""Specs of a graph's tensors and of stored arrays."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field

from aeonnx._util.serde import OPTIONAL, require
from aeonnx.bundle.axes import Shape, is_size
from aeonnx.bundle.scaling import Scaling

__all__ = [
    "KINDS",
    "NAME",
    "Golden",
    "GoldenTensor",
    "TensorSpec",
    "require_digest",
    "require_file",
    "require_sizes",
]

NAME = re.compile(r"[a-z][a-z0-9_]*")
LARGEST = 2**31
"""Largest size of a file in bytes: the limit of protobuf, and so of a graph."""
_MOST = 2**50  # values: 8 bytes each, so the size in bytes is exact even in JavaScript
_WIDTHS = {
    **{"float32": 4, "float16": 2, "float64": 8},
    **{"uint8": 1, "int32": 4, "int64": 8, "bool": 1},
}
_DTYPES = (*_WIDTHS,)
_DIGEST = re.compile(r"[0-9a-f]{64}")


KINDS = (
    *("image", "latent", "codes", "vector", "signal", "volume"),
    *("label", "score", "seed", "index", "canvas", "mask", "other"),
)
"""What a tensor is, so that programs know what to do with it."""


@dataclass(frozen=True)
class TensorSpec:
    """An input or output of a part.

    Args:
        name: the name in torch code, graph, manifest and clients, such as "x" or "z".
        shape: sizes, such as ("batch", 3, "height", "width"). A size is a number, the name of a
            dynamic axis, or an axis scaled by a whole number, such as "height/8" or "320*frames".
            Only the first can be "batch", the axis of rows.
        dtype: numpy's name of the element type.
        range: lowest and highest value, both included; None if unbounded.
        description: one phrase for readers.
        kind: one of `KINDS`: "image" [batch, channels, height, width], "volume" [batch, channels,
            depth, height, width], "signal" [batch, channels, time], "vector" [batch, columns],
            "latent" and "codes" (whole numbers) are what an encoder makes, "label" is a whole
            number that names a class, "score" one number per row, "mask" 0 or 1; "seed",
            "index" and "canvas" (whose size is that of the images) are a sampler's.
        names: of the channels of an image or a signal, such as "red", or the columns of a vector;
            () if they have none.
        units: of the columns of a vector or the channels of a signal, such as "°C"; as many as
            `names`, or ().
        rate: samples per second of a signal, in Hz; None if unknown.
        scaling: of a latent, for a diffusion model; None if there is none.
        missing: whether NaN stands for a missing value, which the graph fills in; otherwise inputs
            must be finite.
    """

    name: str
    shape: Shape
    dtype: str = "float32"
    range: tuple[float, float] | None = None
    description: str = ""
    kind: str = "other"
    names: tuple[str, ...] = ()
    units: tuple[str, ...] = ()
    rate: float | None = None
    scaling: Scaling | None = field(default=None, metadata=OPTIONAL)
    missing: bool = field(default=False, metadata=OPTIONAL)

    def __post_init__(self) -> None:
        require(
            isinstance(self.name, str) and NAME.fullmatch(self.name),
            "name: expected lower-case letters, digits and _, beginning with a letter, got "
            f"{self.name!r}",
        )
        require(self.dtype in _DTYPES, f"dtype: expected one of {_DTYPES}, got {self.dtype!r}")
        require(self.shape, "shape: expected the batch axis at least, got []")
        for place, size in enumerate(self.shape):
            require(
                is_size(size, place),
                'shape: expected sizes above 0, "batch" for the first, or axes such as "height" '
                f'and "height/8", got {size!r}',
            )
        require_sizes(tuple(size for size in self.shape if isinstance(size, int)), "shape")
        self._require_kind()

    def _require_kind(self) -> None:
        require(self.kind in KINDS, f"kind: expected one of {KINDS}, got {self.kind!r}")
        axes = _RANKS.get(self.kind, len(self.shape))
        require(
            len(self.shape) == axes,
            f"kind: expected {axes} axes of a tensor of the kind {self.kind}, got "
            f"{list(self.shape)}",
        )
        wide = self.shape[1] if len(self.shape) > 1 else 1
        for listed, given in (("names", self.names), ("units", self.units)):
            require(
                not given or len(given) == wide,
                f"{listed}: expected {wide}, one for each place of the second axis, got "
                f"{len(given)}",
            )
        require(
            not self.missing or self.dtype.startswith("float"),
            f"missing: expected floats, which have NaN, got {self.dtype}",
        )
        require(self.rate is None or self.rate > 0, f"rate: expected above 0 Hz, got {self.rate}")
        if self.scaling is not None:
            require(self.kind == "latent", f"scaling: expected none of the kind {self.kind}")
            self.scaling.require_channels(wide if isinstance(wide, int) else 1)


_RANKS = {
    "image": 4,
    "volume": 5,
    "signal": 3,
    "vector": 2,
    "score": 1,
    "seed": 1,
    "index": 1,
    "canvas": 3,
}
"""Number of axes of a tensor of some kinds, with that of rows."""


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
