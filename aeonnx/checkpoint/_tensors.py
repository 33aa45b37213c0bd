"""Read tensors from untrusted files: headers are checked before any tensor is allocated.

A safetensors file begins with a JSON header of names, dtypes, shapes and offsets. It is parsed here
strictly and compared with the model of the configuration, which is built on torch's meta device,
without storage: no size in the configuration or the header causes an allocation before both agree
with the number of bytes in the file.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor

from aeonnx._util import files
from aeonnx._util.text import printable
from aeonnx.models import ModelConfig, build

__all__ = [
    "MOST_BYTES",
    "Entry",
    "dump",
    "entries_of",
    "few",
    "header_of",
    "load",
    "mismatches",
    "read_header",
    "require_room",
    "shown",
    "skeleton",
]

MOST_BYTES = 8 << 30
"""Largest file of weights in bytes: a graph may have 2 GiB, a saved state four or five times it."""
_MOST_HEADER = 16 << 20
_DTYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}
_SHOWN = 6  # problems, and 80 characters of a name


@dataclass(frozen=True)
class Entry:
    """Dtype and shape of a tensor."""

    dtype: torch.dtype
    shape: tuple[int, ...]

    def __str__(self) -> str:
        return f"{str(self.dtype).removeprefix('torch.')} {list(self.shape)}"


def dump(tensors: Mapping[str, Tensor]) -> bytes:
    """Serialise tensors, on any device, to the bytes of a safetensors file."""
    # Clones, because safetensors refuses tensors that share memory.
    return save_tensors({k: v.detach().cpu().contiguous().clone() for k, v in tensors.items()})


def load(data: bytes) -> dict[str, Tensor]:
    """Parse the bytes of a safetensors file to tensors on the CPU.

    Raises:
        ValueError: the bytes are not a valid safetensors file; the message says why.
    """
    header_of(data, len(data))
    try:
        return load_tensors(data)
    except (SafetensorError, RuntimeError, ValueError, TypeError, KeyError) as error:
        raise ValueError(f"it is not a whole safetensors file: {_line(error)}") from error


def read_header(path: Path) -> dict[str, Entry]:
    """Read only the header of a safetensors file.

    Raises:
        ValueError: it is not a valid safetensors file; the message says why.
        OSError: it is not a regular file, or cannot be read.
    """
    with files.open_regular(path) as stream:
        size = stream.seek(0, 2)
        stream.seek(0)
        return header_of(stream.read(min(size, 8 + _MOST_HEADER)), size)


def header_of(data: bytes, size: int) -> dict[str, Entry]:
    """Dtypes and shapes by name.

    Args:
        data: the beginning of a safetensors file, with at least the whole header.
        size: size of the whole file in bytes.

    Raises:
        ValueError: it is not a valid safetensors file, or it is truncated.
    """
    if size < 8:
        _refuse(f"it has {size} bytes")
    length = int.from_bytes(data[:8], "little")
    if length > min(_MOST_HEADER, size - 8):
        _refuse(f"its header says that it has {length:,} bytes, and the file has {size:,}")
    try:
        header = json.loads(data[8 : 8 + length], object_pairs_hook=_unique)
    except (ValueError, RecursionError) as error:
        _refuse(f"its header is not JSON: {_line(error)}")
    if not isinstance(header, dict):
        _refuse("its header is not a JSON object")
    header.pop("__metadata__", None)
    found, places = {}, []
    for name, item in header.items():
        found[name], place = _entry(name, item)
        places.append(place)
    end = 0
    for first, last in sorted(places):
        if first != end:
            _refuse(f"its tensors overlap or leave a gap at byte {first:,}")
        end = last
    if end != size - 8 - length:
        _refuse(f"its tensors have {end:,} bytes, and the file has room for {size - 8 - length:,}")
    return found


def _entry(name: str, item: Any) -> tuple[Entry, tuple[int, int]]:
    if not isinstance(item, dict) or item.keys() != {"dtype", "shape", "data_offsets"}:
        _refuse(f"{shown(name)}: expected dtype, shape and data_offsets")
    dtype = _DTYPES.get(item["dtype"]) if isinstance(item["dtype"], str) else None
    if dtype is None:
        _refuse(f"{shown(name)}: unknown type {shown(str(item['dtype']))}")
    for key in ("shape", "data_offsets"):
        if not isinstance(item[key], list) or not all(_is_size(size) for size in item[key]):
            _refuse(f"{shown(name)}: {key}: expected whole numbers, 0 or more")
    offsets = item["data_offsets"]
    wanted = math.prod(item["shape"]) * dtype.itemsize
    if len(offsets) != 2 or offsets[1] - offsets[0] != wanted:
        _refuse(f"{shown(name)}: its shape needs {wanted:,} bytes, got data_offsets {few(offsets)}")
    return Entry(dtype, tuple(item["shape"])), (offsets[0], offsets[1])


def _is_size(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**53


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name appears twice")
    return found


def _refuse(reason: str) -> NoReturn:
    raise ValueError(f"it is not a whole safetensors file: {reason}")


def require_room(config: ModelConfig, there: Mapping[str, Entry]) -> None:
    """Check that the sizes of a configuration are plausible for the weights in a file.

    Raises:
        ValueError: a size exceeds the total number of weights, or there are more layers than
            arrays.
    """
    most = sum(math.prod(entry.shape) for entry in there.values())
    sizes = (*config.hidden, config.latent_size, len(config.classes))
    if max(sizes) > most or len(sizes) > len(there) + 2:
        raise ValueError(
            f"the configuration asks for more than its {len(there)} arrays with {most:,} weights: "
            f"hidden {few(config.hidden)}, latent {config.latent_size}"
        )


def skeleton(config: ModelConfig) -> dict[str, Entry]:
    """Dtypes and shapes of the weights of a configuration, found without allocating them.

    Raises:
        ValueError: the model cannot be built.
    """
    try:
        with torch.device("meta"):
            model = build(config)
    except (RuntimeError, ValueError, TypeError, ArithmeticError) as error:
        raise ValueError(f"the configuration cannot be built: {_line(error)}") from error
    return entries_of(model.state_dict())


def entries_of(tensors: Mapping[str, Tensor]) -> dict[str, Entry]:
    """Dtypes and shapes of tensors."""
    return {name: Entry(value.dtype, tuple(value.shape)) for name, value in tensors.items()}


def mismatches(expected: Mapping[str, Entry], found: Mapping[str, Entry]) -> list[str]:
    """Differences in names, shapes and dtypes: one line each, sorted."""
    lines = [f"{name}: missing" for name in expected if name not in found]
    lines += [f"{shown(name)}: not in this model" for name in found if name not in expected]
    for name in expected.keys() & found.keys():
        want, got = expected[name], found[name]
        if want.shape != got.shape:
            lines.append(f"{name}: expected shape {list(want.shape)}, got {few(got.shape)}")
        elif want.dtype != got.dtype:
            lines.append(f"{name}: expected {want.dtype}, got {got.dtype}")
    return sorted(lines)


def shown(text: str) -> str:
    """A text from an untrusted file, shortened and safe to print."""
    return printable(text if len(text) <= 80 else f"{text[:80]}...")


def few(sizes: Sequence[int]) -> str:
    """The sizes for a message, shortened after the eighth."""
    return str(list(sizes)) if len(sizes) <= 8 else f"{list(sizes[:8])} and {len(sizes) - 8} more"


def _line(error: BaseException) -> str:
    return shown((str(error).splitlines() or [type(error).__name__])[0])
