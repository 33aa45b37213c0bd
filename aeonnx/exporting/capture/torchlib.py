"""torch's tables of operators, made once in a process instead of several times in an export."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest import mock

from torch._export import utils
from torch.onnx._internal.exporter._registration import ONNXRegistry

__all__ = ["build_tables_once"]


@contextmanager
def build_tables_once() -> Iterator[None]:
    """torch finds the tables of the first export; operators registered later are not in them.

    Without this, each export parses the sources of some 500 translations again, and torch looks
    up every operator of its dispatcher some hundred times (torch 2.15, onnxscript 0.7). A release
    of torch without these functions is left alone.
    """
    with ExitStack() as patches:
        for owner, name in ((ONNXRegistry, "from_torchlib"), (utils, "_materialize_cpp_cia_ops")):
            make = getattr(owner, name, None)
            if make is not None:
                once = staticmethod(functools.partial(_called_once, make))
                patches.enter_context(mock.patch.object(owner, name, once))
        yield


@functools.cache
def _called_once(make: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
    return make(*arguments, **options)
