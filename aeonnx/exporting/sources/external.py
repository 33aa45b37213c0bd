"""Load models from elsewhere: any nn.Module that declares its parts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from aeonnx.catalog.adapters import SourceOptions, adapter_of
from aeonnx.catalog.source import Source
from aeonnx.checkpoint import Checkpoint, checkpoint_id
from aeonnx.exporting.sources.declarations import (
    declared,
    require_classes_and_prior,
    require_declared,
)
from aeonnx.exporting.sources.kinds import with_kinds
from aeonnx.exporting.sources.modules import require_exportable
from aeonnx.exporting.sources.user_code import user_code
from aeonnx.models import ExternalConfig, Part

__all__ = ["as_checkpoint", "from_source", "to_cpu"]


def from_source(source: Source, name: str) -> Checkpoint:
    """Load what `--from` names and use it as a trained model.

    Args:
        source: whose adapter returns an `nn.Module`. Besides `parts()`, the module may have `prior`
            ("standard-normal") and `classes` (names for the outputs of a part `classifier`).
        name: of the model in the manifest.

    Raises:
        UsageError: there is no such source, or what it returns has no usable parts.
        ModuleError: the adapter, or `parts()`, raises an error.
        GraphError: a part is TorchScript, or one of its tensors is lazy, on the meta device, not
            float32 or not dense.
        CheckpointError: weights do not fit the module, are missing or cannot be read safely.
        SetupError: the library of the source is not installed.
    """
    where = f"--from {source.from_source}"
    adapter = adapter_of(source.from_source or "")
    with user_code(where):
        load = adapter.entry.load()
        model = load(adapter.location, SourceOptions(source.weights, source.latents))
    parts = require_declared(where, model, declared(where, model))
    return as_checkpoint(where, model, parts, name)


def as_checkpoint(where: str, model: Any, parts: Mapping[str, Part], name: str) -> Checkpoint:
    """A model from elsewhere, checked and moved to the CPU, as a trained model.

    Args:
        where: what the user wrote, for messages.
        model: may have `prior` and `classes`, see `from_source`.
        parts: its parts.
        name: of the model in the manifest.

    Raises:
        UsageError, ModuleError, GraphError: see `from_source`.
    """
    parts = with_kinds(parts)
    classes = require_classes_and_prior(where, model, parts)
    config = ExternalConfig(name, type(model).__name__, classes)
    for part_name, part in parts.items():
        require_exportable(part_name, part.module)
    with user_code(f"{where}: moving its weights to the CPU"):
        for module in (model, *(part.module for part in parts.values())):
            to_cpu(module.eval().requires_grad_(False))
    model.parts = lambda: dict(parts)  # export the checked parts: parts() may build new ones
    with user_code(f"{where}: state_dict()"):
        identity = checkpoint_id(config, model)
    return Checkpoint(model, config, identity, None, None)


def to_cpu(module: nn.Module) -> None:
    """Move a module to the CPU, including tensors in plain attributes, which are detached.

    The old `torch.nn.utils.weight_norm` stores a weight that is not a leaf, which cannot be copied.
    """
    if not any(value.is_meta for value in (*module.parameters(), *module.buffers())):
        module.cpu()
    for child in module.modules():
        for key, value in vars(child).items():
            if isinstance(value, Tensor) and not value.is_meta and not _is_cpu_leaf(value):
                vars(child)[key] = value.detach().cpu()


def _is_cpu_leaf(value: Tensor) -> bool:
    return value.is_leaf and value.device.type == "cpu"
