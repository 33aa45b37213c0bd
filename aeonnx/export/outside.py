"""Autoencoders from elsewhere: any module that names its parts."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from aeonnx.checkpoint import Checkpoint, latent_id
from aeonnx.errors import UsageError
from aeonnx.manifest import BATCH
from aeonnx.models import ModelConfig, Part

__all__ = ["from_module"]

_EXPECTED = (
    "an nn.Module with a method parts() -> dict[str, aeonnx.models.Part], among them an encoder "
    "x -> z and a decoder z -> image"
)


def from_module(target: str, name: str) -> Checkpoint:
    """Call a factory and take what it returns as a trained model.

    Args:
        target: "package.module:factory"; modules in the working directory are found too. The
            factory takes nothing and returns the module with its weights. Beside `parts()`, it may
            have `prior` ("standard-normal") and `classes` (names, for a part `classifier`).
        name: of the model in the manifest.

    Raises:
        UsageError: there is no such factory, or what it returns has no usable parts.
    """
    model = _call(target)
    parts = _parts(model, target)
    encoder, decoder = parts["encoder"], parts["decoder"]
    shape = tuple(int(size) for size in encoder.inputs[0].shape[1:] if size != BATCH)
    latent = decoder.inputs[0].shape
    if len(shape) != 3 or len(latent) != 2:
        raise UsageError(
            f"{target}: expected an encoder of images [batch, C, H, W] and a decoder of latents "
            f"[batch, size], got {list(encoder.inputs[0].shape)} and {list(latent)}"
        )
    classes = tuple(getattr(model, "classes", ()))
    channels, height, width = shape
    config = ModelConfig(
        name, type(model).__name__, (channels, height, width), (), int(latent[1]), classes
    )
    model.eval().requires_grad_(False)
    for module in (model, *(part.module for part in parts.values())):
        _detach(module)
    return Checkpoint(model, config, latent_id(config, model), None, None)


def _call(target: str) -> Any:
    module, _, factory = target.partition(":")
    if not (module and factory):
        raise UsageError(f"--from-module: expected package.module:factory, got {target!r}")
    with _working_directory_first():
        try:
            found = getattr(importlib.import_module(module), factory)
        except (ImportError, AttributeError) as error:
            raise UsageError(
                f"--from-module {target}: {error}. Run it from the folder that holds {module}, or "
                "install the package"
            ) from error
        return found()


def _parts(model: Any, target: str) -> Mapping[str, Part]:
    got = f"got a {type(model).__name__}"
    declare: Any = getattr(model, "parts", None)
    if not isinstance(model, nn.Module) or not callable(declare):
        raise UsageError(f"--from-module {target}: expected {_EXPECTED}; {got}")
    parts = declare()
    if not (isinstance(parts, Mapping) and all(isinstance(p, Part) for p in parts.values())):
        raise UsageError(f"--from-module {target}: expected {_EXPECTED}; {got} with other parts")
    missing = [name for name in ("encoder", "decoder") if name not in parts]
    if missing:
        raise UsageError(
            f"--from-module {target}: expected {_EXPECTED}; no {' and no '.join(missing)} among "
            f"{', '.join(parts) or 'none'}"
        )
    return parts


def _detach(module: nn.Module) -> None:
    """Make it a module that can be copied: old weight_norm keeps a weight with its history."""
    for child in module.modules():
        for key, value in vars(child).items():
            if isinstance(value, Tensor) and not value.is_leaf:
                vars(child)[key] = value.detach()


@contextmanager
def _working_directory_first() -> Iterator[None]:
    here = str(Path.cwd())
    sys.path.insert(0, here)
    try:
        yield
    finally:
        sys.path.remove(here)
