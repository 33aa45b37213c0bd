"""The state of a module between calls: fingerprints, counters, class attributes and globals."""

from __future__ import annotations

import copy
import hashlib
import itertools
import random
import sys
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

__all__ = ["GENERATOR", "Counters", "changes", "fingerprint", "restored_globals", "state_of"]

GENERATOR = ", a generator of random numbers"
"""Suffix of a generator's name in `state_of`."""

_DEPTH = 4  # most levels of nested containers and objects that are read
_OWN = frozenset(vars(nn.Module())) - {"training"}
_LIBRARIES = ("torch", "numpy", "aeonnx", "builtins", "abc", "typing")
_FAR = 10**6  # number of the call after counters are advanced
_LARGEST = 2**20  # most elements of a class attribute or global that is restored


@dataclass(frozen=True)
class _Item:
    """A value that a call may change.

    Args:
        name: for messages, such as "running_mean of decoder.1".
        owner: the module, class or Python file with this attribute.
        key: name of the attribute.
        value: its value.
    """

    name: str
    owner: Any
    key: str
    value: Any


def state_of(module: nn.Module) -> dict[str, object]:
    """Fingerprints of everything that a call may change, by name.

    These are the parameters, buffers and plain attributes of all submodules ("running_mean of
    decoder.1"), the attributes of their classes, and the globals of the files that define these.
    """
    return {
        item.name + (GENERATOR if isinstance(item.value, _GENERATORS) else ""): fingerprint(
            item.value
        )
        for item in (*_own(module), *_shared(module))
    }


def changes(before: Mapping[str, object], after: Mapping[str, object]) -> list[str]:
    """Names of items that were changed, added or removed."""
    names = [*after, *(name for name in before if name not in after)]
    return [name for name in names if before.get(name) != after.get(name)]


@contextmanager
def restored_globals(module: nn.Module) -> Iterator[None]:
    """Restore class attributes and globals afterwards: copies of a module share them.

    Tensors and arrays of more than 2^20 elements are not restored.
    """
    before = [(item, _copied(item.value)) for item in _shared(module)]
    try:
        yield
    finally:
        names = {item.name for item, _ in before}
        for item in [item for item in _shared(module) if item.name not in names]:
            delattr(item.owner, item.key)
        for item, value in before:
            _put_back(item, value)


class Counters:
    """Numbers of a module that every call changes by the same step.

    Args:
        module: its numbers are read now, and at each `note`.
    """

    def __init__(self, module: nn.Module) -> None:
        self._module = module
        self._noted = [_numbers(module)]

    def note(self) -> None:
        """Read the numbers; to be called after each call of the module."""
        self._noted.append(_numbers(self._module))

    def steps(self) -> dict[str, Any]:
        """The step of each counter, by name."""
        found = {}
        for name in self._noted[-1]:
            # The first call may have created it.
            values = [noted[name] for noted in self._noted if name in noted]
            moved = {round(b - a, 9) for a, b in itertools.pairwise(values)}
            if len(values) > 2 and len(moved) == 1 and moved != {0}:
                found[name] = moved.pop()
        return found

    def wind(self) -> None:
        """Set counters to their values after 999,999 calls.

        The next call then triggers effects such as those of "every 1000th call".
        """
        items = {item.name: item for item in (*_own(self._module), *_shared(self._module))}
        for name, step in self.steps().items():
            _assign(items[name], step * (_FAR - 1))


def fingerprint(value: object, depth: int = _DEPTH) -> object:
    """A value that is equal for bitwise equal values.

    Of modules, types, callables and what is nested deeper than `depth` it is the type's name.
    """
    if isinstance(value, nn.Module | type | ModuleType) or callable(value):
        return type(value).__name__
    if isinstance(value, Tensor):
        return _bits(value)
    if isinstance(value, np.ndarray):
        return value.dtype.str, value.shape, hashlib.blake2b(value.tobytes()).digest()
    if isinstance(value, bool | int | float | complex | str | bytes | np.generic | None):
        return type(value).__name__, repr(value)
    for kind, state in _STATES.items():
        if isinstance(value, kind):
            return fingerprint(state(value), depth)
    if depth == 0:
        return type(value).__name__
    return type(value).__name__, _contents(value, depth - 1)


_STATES: Mapping[type, Callable[[Any], object]] = {
    torch.Generator: lambda value: value.get_state(),
    np.random.Generator: lambda value: value.bit_generator.state,
    np.random.RandomState: lambda value: value.get_state(),
    random.Random: lambda value: repr(value.getstate()),
    itertools.count: repr,
    range: repr,
}
_GENERATORS = (torch.Generator, np.random.Generator, np.random.RandomState, random.Random)


def _contents(value: object, depth: int) -> object:
    if isinstance(value, Mapping):
        stored = _stored(value) if isinstance(value, dict) else value.items()
        return tuple((repr(key), fingerprint(item, depth)) for key, item in stored)
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


def _own(module: nn.Module) -> Iterator[_Item]:
    """Parameters, buffers and attributes of all submodules."""
    for name, child in module.named_modules():
        plain = {key: value for key, value in vars(child).items() if key not in _OWN}
        for key, value in {**child._parameters, **child._buffers, **plain}.items():
            yield _Item(f"{key} of {name or type(child).__name__}", child, key, value)


def _shared(module: nn.Module) -> Iterator[_Item]:
    """Globals of the files that define the submodules, and attributes of the classes in them."""
    kinds = dict.fromkeys(kind for child in module.modules() for kind in type(child).__mro__)
    written = [kind for kind in kinds if kind.__module__.partition(".")[0] not in _LIBRARIES]
    files = dict.fromkeys(kind.__module__ for kind in written)
    found = [sys.modules[name] for name in files if name in sys.modules]
    beside = [
        value
        for file in found
        for value in list(vars(file).values())
        if isinstance(value, type) and value.__module__ == file.__name__
    ]
    owners: list[tuple[str, Any]] = [
        (f"class {kind.__name__}", kind) for kind in dict.fromkeys([*written, *beside])
    ]
    owners += [(f"the file {file.__name__}", file) for file in found]
    for words, owner in owners:
        for key, value in list(vars(owner).items()):
            if not key.startswith("__") and not _code(value):
                yield _Item(f"{key} of {words}", owner, key, value)


def _code(value: object) -> bool:
    wrapped = isinstance(value, staticmethod | classmethod | property | ModuleType)
    return wrapped or (callable(value) and not isinstance(value, Tensor))


def _copied(value: Any) -> Any:
    """A copy of a value that can be changed in place; None for values that are not restored."""
    if isinstance(value, dict):
        return _stored(value)
    if isinstance(value, list | set):
        return copy.copy(value)
    if isinstance(value, Tensor):
        return value.detach().clone() if value.numel() <= _LARGEST else None
    if isinstance(value, np.ndarray):
        return value.copy() if value.size <= _LARGEST else None
    return None


def _stored(value: dict[Any, Any]) -> list[tuple[Any, Any]]:
    """What a dict holds, in order: not what a class of its own makes of it when it is asked."""
    return [(key, dict.__getitem__(value, key)) for key in _kind(value).__iter__(value)]


def _kind(value: dict[Any, Any]) -> type[dict[Any, Any]]:
    """The class of Python that keeps a dict's order."""
    return OrderedDict if isinstance(value, OrderedDict) else dict


def _put_back(item: _Item, content: Any) -> None:
    value = item.value
    if content is not None:
        if isinstance(value, dict):
            kind = _kind(value)
            kind.clear(value)
            for key, kept in content:
                kind.__setitem__(value, key, kept)
        elif isinstance(value, set):
            value.clear()
            value.update(content)
        elif isinstance(value, list):
            value[:] = content
        elif isinstance(value, Tensor):
            value.detach().copy_(content)
        else:
            value[...] = content
    if vars(item.owner).get(item.key) is not value:
        setattr(item.owner, item.key, value)


def _numbers(module: nn.Module) -> dict[str, Any]:
    return {
        item.name: item.value.item() if isinstance(item.value, Tensor) else item.value
        for item in (*_own(module), *_shared(module))
        if _is_number(item.value)
    }


def _is_number(value: object) -> bool:
    if isinstance(value, Tensor):
        return value.numel() == 1 and value.dtype in (torch.int64, torch.int32)
    return isinstance(value, int | float) and not isinstance(value, bool)


def _assign(item: _Item, number: Any) -> None:
    if isinstance(item.value, Tensor):
        item.value.fill_(number)
    else:
        setattr(item.owner, item.key, number)
