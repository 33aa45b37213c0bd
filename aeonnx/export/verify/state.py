"""What a module keeps between calls: fingerprints of it, and counters wound forward."""

from __future__ import annotations

import hashlib
import itertools
import random
import sys
from collections.abc import Iterator, Mapping, MutableMapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

__all__ = ["changes", "fingerprint", "state_of"]

_DEPTH = 4  # of containers and plain objects in an attribute
_OWN = frozenset(vars(nn.Module())) - {"training"}
_LIBRARIES = ("torch", "numpy", "aeonnx", "builtins")


def state_of(module: nn.Module) -> dict[str, object]:
    """Fingerprints of all that a call may change, by name.

    These are the parameters, buffers and plain attributes of all submodules ("running_mean of
    decoder.1"), the attributes of their classes, and the globals of the files that define these.
    """
    return {label: fingerprint(value) for label, value in _kept(module)}


def changes(before: Mapping[str, object], after: Mapping[str, object]) -> list[str]:
    """Names of what is not as it was."""
    names = [*after, *(name for name in before if name not in after)]
    return [name for name in names if before.get(name) != after.get(name)]


def fingerprint(value: object, depth: int = _DEPTH) -> object:
    """Something that is equal for equal values, bit by bit; constant for what cannot be read."""
    if isinstance(value, Tensor):
        return _bits(value)
    if isinstance(value, np.ndarray):
        return value.dtype.str, value.shape, hashlib.blake2b(value.tobytes()).digest()
    if isinstance(value, bool | int | float | complex | str | bytes | np.generic | None):
        return type(value).__name__, repr(value)
    if isinstance(value, torch.Generator):
        return _bits(value.get_state())
    if isinstance(value, np.random.Generator):
        return fingerprint(value.bit_generator.state)
    if isinstance(value, np.random.RandomState):
        return fingerprint(value.get_state())
    if isinstance(value, random.Random):
        return hash(value.getstate())
    if isinstance(value, itertools.count | range | torch.dtype | torch.device):
        return repr(value)
    if depth == 0 or isinstance(value, nn.Module | type):
        return type(value).__name__
    return type(value).__name__, _contents(value, depth - 1)


def _contents(value: object, depth: int) -> object:
    if isinstance(value, Mapping):
        return tuple((repr(key), fingerprint(item, depth)) for key, item in value.items())
    if isinstance(value, list | tuple):
        return tuple(fingerprint(item, depth) for item in value)
    if isinstance(value, set | frozenset):
        return frozenset(fingerprint(item, depth) for item in value)
    return fingerprint(getattr(value, "__dict__", None), depth)


def _bits(tensor: Tensor) -> object:
    shape = tuple(tensor.shape)
    if tensor.layout != torch.strided or tensor.is_meta or tensor.is_quantized:
        return str(tensor.dtype), shape
    plain = tensor.detach().cpu().resolve_conj().resolve_neg().contiguous().reshape(-1)
    data = plain.view(torch.uint8).numpy().tobytes()
    return str(tensor.dtype), shape, hashlib.blake2b(data).digest()


def _kept(module: nn.Module) -> Iterator[tuple[str, object]]:
    for owner, items in _owners(module):
        for key, value in items.items():
            yield f"{key} of {owner}", value


def _owners(module: nn.Module) -> Iterator[tuple[str, MutableMapping[str, Any]]]:
    kinds: dict[type, None] = {}
    for name, child in module.named_modules():
        owner = name or type(child).__name__
        yield owner, child._parameters
        yield owner, child._buffers
        yield owner, {key: value for key, value in vars(child).items() if key not in _OWN}
        kinds.update(dict.fromkeys(type(child).__mro__))
    written = [kind for kind in kinds if kind.__module__.partition(".")[0] not in _LIBRARIES]
    for kind in written:
        values = {key: value for key, value in vars(kind).items() if not key.startswith("__")}
        yield f"class {kind.__name__}", values
    for name in dict.fromkeys(kind.__module__ for kind in written):
        if name in sys.modules:
            values = {k: v for k, v in vars(sys.modules[name]).items() if not k.startswith("__")}
            yield f"the file {name.rpartition('.')[2]}.py", values
