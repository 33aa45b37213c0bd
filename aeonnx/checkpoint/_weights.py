"""Check weights against a configuration, and compute the checkpoint id."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from aeonnx.bundle import shape_at
from aeonnx.checkpoint import _tensors as tensors
from aeonnx.models import ExternalConfig, Model, ModelConfig

__all__ = ["checkpoint_id", "mismatch_message", "mismatches", "nonfinite_part", "odd"]


def mismatches(config: ModelConfig, weights: Mapping[str, Any], *, ours: bool) -> list[str]:
    """Why weights do not fit a configuration, one line per problem; empty if they fit.

    Args:
        config: configuration of the model.
        weights: values by name, of any origin.
        ours: the configuration comes from aeonnx, not from the file: its sizes are trusted.

    Raises:
        ValueError: the configuration needs more weights than there are, or cannot be built.
    """
    strange = [
        f"{tensors.shown(name)}: expected a plain array of numbers, got {kind}"
        for name, value in weights.items()
        if (kind := odd(value))
    ]
    if strange:
        return sorted(strange)
    entries = tensors.entries_of(weights)
    if not ours:
        tensors.require_room(config, entries)
    problems = tensors.mismatches(tensors.skeleton(config), entries)
    return problems or [
        f"{name}: NaN or infinite weights"
        for name, value in sorted(weights.items())
        if value.is_floating_point() and not bool(torch.isfinite(value).all())
    ]


def odd(value: object) -> str | None:
    """What a value is, if it is not a strided, unquantized tensor on the CPU; else None."""
    if not isinstance(value, Tensor):
        return f"a {type(value).__name__}"
    if value.is_quantized:
        return "a quantized one"
    if value.is_nested:
        return "a nested one"
    if value.layout != torch.strided:
        return f"one with the layout {value.layout}"
    if value.device.type != "cpu":
        return f"one on the device {value.device}"
    return None


def mismatch_message(path: Path, config: ModelConfig, problems: list[str]) -> str:
    """The message for weights that do not fit a configuration."""
    shown = "; ".join(problems[:6]) + ("; ..." if len(problems) > 6 else "")
    return (
        f"{path} does not fit {config.model} ({config.arch}, input {list(config.input_shape)}, "
        f"hidden {tensors.few(config.hidden)}, latent {config.latent_size}): {shown}"
    )


@torch.no_grad()
def nonfinite_part(model: Model) -> str | None:
    """Name of a part that outputs NaN or infinity for mid-range inputs; None if none does."""
    for name, part in model.parts().items():
        inputs = []
        smallest = {axis: sizes.min for axis, sizes in part.axes.items()}
        for spec in part.inputs:
            middle = 0.5 if spec.range is None else sum(spec.range) / 2
            values = torch.full(shape_at(spec.shape, smallest), middle)
            inputs.append(values.to(getattr(torch, spec.dtype)))
        outputs = part.module(*inputs)
        for output in outputs if isinstance(outputs, tuple) else (outputs,):
            if output.is_floating_point() and not bool(torch.isfinite(output).all()):
                return name
    return None


def checkpoint_id(config: ModelConfig | ExternalConfig, model: nn.Module) -> str:
    """SHA-256, 64 hex digits, of a configuration, the weights, and a module's extra state."""
    # Configurations of images have the digest that they had before there were columns.
    fields = {name: value for name, value in asdict(config).items() if value is not None}
    digest = hashlib.sha256(json.dumps(fields, sort_keys=True).encode())
    for name, value in sorted(model.state_dict().items()):
        if isinstance(value, Tensor):
            digest.update(f"{name} {value.dtype} {list(value.shape)}\n".encode())
            digest.update(_bytes(value))
        else:  # extra state, see `torch.nn.Module.get_extra_state`
            digest.update(f"{name} ".encode())
            _digest_plain(digest, value)
    return digest.hexdigest()


def _bytes(value: Tensor) -> bytes:
    numbers = value.detach().cpu().contiguous().reshape(-1)
    return numbers.view(torch.uint8).numpy().tobytes()  # numpy has no bfloat16


def _digest_plain(digest: hashlib._Hash, value: object) -> None:
    """Hash a value of any type; of a type that is not listed here, only the type's name."""
    digest.update(f"{type(value).__qualname__}(".encode())
    if isinstance(value, Tensor):
        digest.update(f"{value.dtype} {list(value.shape)}\n".encode() + _bytes(value))
    elif isinstance(value, np.ndarray) and value.dtype.kind in "biufcSU":
        digest.update(f"{value.dtype} {list(value.shape)}\n".encode() + value.tobytes())
    elif isinstance(value, io.BytesIO):
        digest.update(value.getvalue())
    elif isinstance(value, bytes | str | int | float | complex | bool | None):
        digest.update(repr(value).encode())
    elif isinstance(value, Mapping):
        for key, item in value.items():
            _digest_plain(digest, key)
            _digest_plain(digest, item)
    elif isinstance(value, list | tuple):
        for item in value:
            _digest_plain(digest, item)
    digest.update(b")")
