"""Record the operators of a module's call, with the line of user code that runs each."""

from __future__ import annotations

import linecache
import sys
import sysconfig
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

import aeonnx
from aeonnx.exporting.determinism.state import fingerprint

__all__ = ["Step", "Watch"]

Step = tuple[str, str, object]
"""An operator, the place that called it, and a fingerprint of its result."""

_BATCH_NORMS = ("native_batch_norm", "_native_batch_norm_legit", "_batch_norm_with_update")
_TRAINING = 5  # index of their argument `training`
_EMPTY = ("empty", "new_empty")

_LIBRARIES = tuple(str(Path(str(package.__file__)).parent) + "/" for package in (torch, np, aeonnx))
_STANDARD = sysconfig.get_path("stdlib") + "/"
_INSTALLED = tuple(sysconfig.get_path(kind) + "/" for kind in ("purelib", "platlib"))


class Watch(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch's own
    """Calls a module and records operators that a graph cannot reproduce.

    Args:
        module: the module to call.
        memory: contents of uninitialized memory; see `Surroundings`.
        keep: whether to record all operators in `steps`.
    """

    def __init__(self, module: nn.Module, *, memory: bool, keep: bool) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.random: dict[str, str] = {}  # what draws -> its name in torch.nn.functional, or ""
        self.batch: dict[str, None] = {}  # places that normalize by the statistics of the batch
        self.empty: dict[str, None] = {}  # places that use uninitialized memory
        self.steps: list[Step] = []
        self._module = module
        self._names = {id(child): name for name, child in module.named_modules()}
        self._memory = memory
        self._keep = keep

    def call(self, inputs: list[Tensor]) -> Any:
        """Call the module; returns its result."""
        with self:
            return self._module(*inputs)

    def place(self) -> str:
        """The innermost line of user code on the stack, as "file:number (text)"; "" without one."""
        for frame in self._frames():
            path = frame.f_code.co_filename
            if not _library(path):
                line = linecache.getline(path, frame.f_lineno).strip()
                return f"{_short(path)}:{frame.f_lineno}" + (f" ({line})" if line else "")
        return ""

    def where(self) -> str:
        """The innermost running submodule and line of user code: "in 0 (Conv2d), at ..."."""
        place = self.place()
        return f"in {self._child()}" + (f", at {place}" if place else "")

    def _frames(self) -> Iterator[FrameType]:
        frame: FrameType | None = sys._getframe(1)
        while frame and frame.f_code is not Watch.call.__code__:
            yield frame
            frame = frame.f_back

    def _child(self) -> str:
        for frame in self._frames():
            child = frame.f_locals.get("self")
            if isinstance(child, nn.Module) and id(child) in self._names:
                mode = " in training mode" if child.training else ""
                kind = type(child).__name__ + mode
                name = self._names[id(child)]
                return f"{name} ({kind})" if name else kind
        return type(self._module).__name__

    def _functional(self) -> str:
        """Name of the running function of torch.nn.functional; "" without one."""
        for frame in self._frames():
            if frame.f_code.co_filename.endswith("torch/nn/functional.py"):
                return frame.f_code.co_name
        return ""

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        del types
        kwargs = kwargs or {}
        packet = func._schema.name.partition("::")[2]
        if torch.Tag.nondeterministic_seeded in func.tags:
            result = self._drawn(func, packet, args, kwargs)
        else:
            result = func(*args, **kwargs)
        if packet.startswith(_EMPTY):
            self._fill(result)
            return result
        if packet in _BATCH_NORMS and args[_TRAINING] and self._functional() != "instance_norm":
            self.batch.setdefault(self.where())
        if self._keep:
            self.steps.append((packet, self.where(), fingerprint(result)))
        return result

    def _drawn(self, func: Any, packet: str, args: Any, kwargs: Mapping[str, Any]) -> Any:
        """Run an operator that may draw random numbers, and record it if it does.

        Attention without dropout, for example, is tagged as random and draws none.
        """
        given = [*args, *kwargs.values()]
        generators = [value for value in given if isinstance(value, torch.Generator)]
        generator = generators[0] if generators else torch.default_generator
        before = generator.get_state()
        result = func(*args, **kwargs)
        if not torch.equal(before, generator.get_state()):
            name = self._functional()
            owner = "F" if name else "torch.Tensor" if packet.endswith("_") else "torch"
            text = f"{owner}.{name or packet} draws random numbers {self.where()}"
            self.random.setdefault(text, name)
        return result

    def _fill(self, result: Tensor) -> None:
        if result.layout != torch.strided or result.is_meta or not result.numel():
            return
        self.empty.setdefault(f"torch.empty returns uninitialized memory {self.where()}")
        if not self._memory:
            result.zero_()
        elif result.dtype.is_floating_point or result.dtype.is_complex:
            result.fill_(float("nan"))
        elif result.dtype == torch.bool:
            result.fill_(True)
        else:
            result.fill_(torch.iinfo(result.dtype).max)


def _library(path: str) -> bool:
    """Whether a file belongs to torch, numpy, aeonnx or the standard library."""
    if path.startswith("<") or path.startswith(_LIBRARIES):
        return True
    return path.startswith(_STANDARD) and not path.startswith(_INSTALLED)


def _short(path: str) -> str:
    """The path, relative to the working directory if it is inside."""
    there, here = Path(path), Path.cwd()
    return str(there.relative_to(here) if there.is_relative_to(here) else there)
