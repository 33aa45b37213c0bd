"""Read state dicts of any origin from a file, bare or inside a trainer's checkpoint."""

from __future__ import annotations

import argparse
import io
import pathlib
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from aeonnx._util import files
from aeonnx.checkpoint import _tensors as tensors
from aeonnx.errors import CheckpointError

__all__ = ["EXTRA_STATE", "StateDict", "read_state_dicts"]

EXTRA_STATE = "_extra_state"
"""Suffix of the names of `get_extra_state` values, which need not be tensors."""

_ACCEPTED = (
    "Accepted are a .safetensors file, and a file by torch.save with a state_dict, bare or in a "
    "trainer's dict: torch.save(model.state_dict(), 'weights.pth'), read with weights_only=True"
)
_DEEPEST = 4  # levels of nested dicts that are searched
_MOST = 64  # state dicts that are collected
# Trainers save their options and best scores with the weights. Loading these types runs no code.
_HARMLESS = [
    argparse.Namespace,
    pathlib.PosixPath,
    pathlib.WindowsPath,
    np.dtype,
    *(type(np.dtype(name)) for name in ("bool", "int32", "int64", "float32", "float64")),
    (np.float64(0).__reduce__()[0], "numpy._core.multiarray.scalar"),
    (np.float64(0).__reduce__()[0], "numpy.core.multiarray.scalar"),
]


@dataclass(frozen=True)
class StateDict:
    """One state dict in a file.

    Args:
        entry: keys of the dicts around it, joined by dots; "" for a bare one.
        values: tensors on the CPU by name; under names that end in `EXTRA_STATE`, any plain value.
        devices: devices other than the CPU that the file's tensors were saved on.
    """

    entry: str
    values: Mapping[str, Any]
    devices: tuple[str, ...] = ()


def read_state_dicts(path: Path) -> list[StateDict]:
    """Read every dict of tensors in a file, the outermost first.

    Raises:
        CheckpointError: the file cannot be read without running code, or has no dict of tensors.
    """
    try:
        data = files.read_bytes(path, tensors.MOST_BYTES)
    except OSError as error:
        raise CheckpointError(f"cannot read {path}: {error.strerror}") from error
    if path.suffix == ".safetensors" or data[8:9] == b"{":  # the JSON header of safetensors
        try:
            return [StateDict("", tensors.load(data))]
        except ValueError as error:
            raise CheckpointError(f"{path}: {error}") from error
    devices: dict[str, None] = {}
    value = _unpickled(path, data, devices)
    found: list[StateDict] = []
    _collect(value, "", tuple(name for name in devices if name != "cpu"), found)
    if not found:
        raise CheckpointError(
            f"{path} holds a {type(value).__name__} without a state_dict. {_ACCEPTED}"
        )
    return found


def _unpickled(path: Path, data: bytes, devices: dict[str, None]) -> Any:
    def to_memory(storage: Any, location: str) -> Any:
        devices[location] = None
        return storage

    try:
        with warnings.catch_warnings(), torch.serialization.safe_globals(_HARMLESS):  # type: ignore[arg-type]  # pairs are allowed too
            warnings.simplefilter("ignore")  # about kinds of tensors that are rejected later
            return torch.load(io.BytesIO(data), map_location=to_memory, weights_only=True)
    except Exception as error:  # damaged bytes can make torch.load raise anything
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise CheckpointError(
            f"cannot load {path} safely: {tensors.shown(reason)} {_remedy(str(error))}{_ACCEPTED}"
        ) from error


def _remedy(reason: str) -> str:
    """How to save the weights alone, for a file that holds more than tensors; "" if unknown."""
    if "TorchScript" in reason:
        return (
            "It holds a TorchScript program. Save its weights alone: "
            "torch.save(torch.jit.load(path).state_dict(), 'weights.pth'). "
        )
    unsupported = reason.partition("GLOBAL ")[2].split(" ")[0].rstrip(".,")
    if not unsupported:
        return ""
    return (
        f"It holds Python objects ({tensors.shown(unsupported)}), and reading these runs code from "
        "the file. If you trust the file, save the weights alone: torch.save(torch.load(path, "
        "weights_only=False).state_dict(), 'weights.pth') for a whole module, "
        "[...]['state_dict'] instead of .state_dict() for a checkpoint. "
    )


def _collect(value: Any, entry: str, devices: tuple[str, ...], found: list[StateDict]) -> None:
    if not isinstance(value, Mapping) or entry.count(".") >= _DEEPEST or len(found) >= _MOST:
        return
    own = {
        name: item.detach() if isinstance(item, Tensor) else item
        for name, item in value.items()
        if isinstance(name, str) and (isinstance(item, Tensor) or name.endswith(EXTRA_STATE))
    }
    if own:
        found.append(StateDict(entry, own, devices))
    for name, item in value.items():
        if isinstance(name, str) and name not in own:
            _collect(item, f"{entry}.{name}" if entry else name, devices, found)
