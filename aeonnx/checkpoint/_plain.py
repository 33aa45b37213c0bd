"""A plain state_dict, from a file by anybody."""

from __future__ import annotations

import io
import warnings
from pathlib import Path

import torch
from torch import Tensor

from aeonnx import files
from aeonnx.checkpoint import _tensors as tensors
from aeonnx.errors import CheckpointError

__all__ = ["read_state_dict"]


def read_state_dict(path: Path) -> dict[str, Tensor]:
    accepted = (
        "Accepted are a folder by `aeonnx train`, a .safetensors file, and a plain state_dict: "
        "torch.save(model.state_dict(), ...), read with weights_only=True"
    )
    try:
        data = files.read_bytes(path, tensors.MOST_BYTES)
    except OSError as error:
        raise CheckpointError(f"cannot read {path}: {error.strerror}") from error
    if path.suffix == ".safetensors":
        try:
            return tensors.load(data)
        except ValueError as error:
            raise CheckpointError(f"{path}: {error}") from error
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about forms of tensors that are refused below
            value = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except Exception as error:  # torch.load raises whatever the damaged bytes lead it to
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise CheckpointError(
            f"cannot load {path} safely: {tensors.shown(reason)} {accepted}"
        ) from error
    if not isinstance(value, dict) or not all(
        isinstance(name, str) and isinstance(item, Tensor) for name, item in value.items()
    ):
        raise CheckpointError(f"{path} holds a {type(value).__name__} of other things. {accepted}")
    return {name: item.detach() for name, item in value.items()}
