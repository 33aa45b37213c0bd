"""Convert modules as users have them to modules that torch.export can capture."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy
from torch.nn.utils import parametrize, prune, remove_spectral_norm, remove_weight_norm
from torch.nn.utils.spectral_norm import SpectralNorm
from torch.nn.utils.weight_norm import WeightNorm

from aeonnx.bundle.tensors import LARGEST
from aeonnx.errors import GraphError

__all__ = ["is_wrapped", "plain", "require_exportable", "unwrapped"]

_WRAPPERS = {
    nn.DataParallel: "module",
    nn.parallel.DistributedDataParallel: "module",
    torch._dynamo.eval_frame.OptimizedModule: "_orig_mod",
}
"""Wrapper classes, and the attribute of each that has the wrapped module."""

_SLOTS = ("__dict__", "__weakref__")
_SHORT_FLOATS = (torch.bfloat16, torch.float16)


def unwrapped(module: nn.Module) -> nn.Module:
    """A copy without DataParallel, DistributedDataParallel and torch.compile, at any depth.

    Args:
        module: is not changed. Tensors that are not leaves, such as those that the old
            `torch.nn.utils.weight_norm` stores in forward, are detached in the copy, since
            `copy.deepcopy` fails on them.
    """
    memo: dict[int, Any] = {}
    for part in module.modules():
        for tensor in _tensors(vars(part)):
            if not tensor.is_leaf:
                memo[id(tensor)] = tensor.detach().clone()
    for part in reversed([*module.modules()]):  # the innermost wrapper first
        inside = _wrapped(part)
        if inside is not None:
            memo[id(part)] = copy.deepcopy(inside, memo)
    return copy.deepcopy(module, memo)


def is_wrapped(module: nn.Module) -> bool:
    """Whether DataParallel, DistributedDataParallel or torch.compile is anywhere in a module."""
    return any(_wrapped(part) is not None for part in module.modules())


def plain(module: nn.Module) -> nn.Module:
    """An unwrapped copy on the CPU in eval mode, without reparametrised weights.

    Weights computed from others (weight_norm, spectral_norm, pruning, `torch.nn.utils.parametrize`)
    become plain tensors with their values in eval mode.

    Args:
        module: is not changed.
    """
    module = unwrapped(module).cpu().eval().requires_grad_(False)
    for part in [*module.modules()]:
        for hook in [*part._forward_pre_hooks.values()]:
            if isinstance(hook, WeightNorm):
                remove_weight_norm(part, hook.name)
            elif isinstance(hook, SpectralNorm):
                remove_spectral_norm(part, hook.name)
            elif isinstance(hook, prune.BasePruningMethod):
                prune.remove(part, hook._tensor_name)  # type: ignore[no-untyped-call]
        if parametrize.is_parametrized(part):
            # Removal deletes properties of the class, which the original module shares.
            kind = type(part)
            own = {key: value for key, value in vars(kind).items() if key not in _SLOTS}
            part.__class__ = type(kind.__name__, kind.__bases__, own)
            for name in [*_parametrized(part)]:
                parametrize.remove_parametrizations(part, name)
    return module.requires_grad_(False)


def require_exportable(name: str, module: nn.Module) -> None:
    """Refuse TorchScript, and tensors that are uninitialised, not float32, not dense or too large.

    Args:
        name: of the part, for the message.
        module: of the part. Buffers in float64 or of an integer dtype are allowed.

    Raises:
        GraphError: the message names the tensor and how to fix it.
    """
    for path, part in module.named_modules():
        if isinstance(part, torch.jit.ScriptModule):
            raise GraphError(
                f"{name}: {path or 'the module'} is TorchScript, which torch.export cannot read: "
                "pass the nn.Module that it was made from"
            )
    for path, tensor in [*module.named_parameters(), *module.named_buffers()]:
        problem = _problem(tensor)
        if problem:
            raise GraphError(f"{name}: {path} {problem}")
    tensors = (*module.parameters(), *module.buffers())
    size = sum(tensor.numel() * tensor.element_size() for tensor in tensors)
    if size > LARGEST:
        raise GraphError(
            f"{name}: expected weights of at most 2 GB, the most that one ONNX file can hold, got "
            f"{size / 2**30:.1f} GB: divide it into several parts"
        )


def _problem(tensor: Tensor) -> str | None:
    if is_lazy(tensor):
        return (
            "has no shape yet (a Lazy module that never ran): call the module once on an input, "
            "or load its weights, before the export"
        )
    if tensor.is_meta:
        return (
            "is on the device meta, which holds no values: load the weights, with "
            "load_state_dict(..., assign=True), before the export"
        )
    wide = isinstance(tensor, nn.Parameter) and tensor.dtype == torch.float64
    if tensor.dtype in _SHORT_FLOATS or wide:
        return (
            f"is {tensor.dtype}, expected torch.float32: call .float() on the module before the "
            "export; --precision fp16 makes the graph smaller"
        )
    if tensor.layout != torch.strided:
        return f"is stored as {tensor.layout}: call .to_dense() on it before the export"
    return None


def _wrapped(module: nn.Module) -> nn.Module | None:
    for kind, attribute in _WRAPPERS.items():
        if isinstance(module, kind):
            inside: nn.Module = getattr(module, attribute)
            return inside
    return None


def _parametrized(module: nn.Module) -> Mapping[str, nn.Module]:
    found: Any = module.parametrizations
    return dict(found.items())


def _tensors(value: object) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _tensors(item)
    elif isinstance(value, list | tuple | set):
        for item in value:
            yield from _tensors(item)
