"""onnxscript's table of translations, made once in a process instead of once in an export."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

from torch.onnx._internal.exporter import _registration

__all__ = ["build_table_once"]


@contextmanager
def build_table_once() -> Iterator[None]:
    """torch.onnx finds the table of the first export; what is registered later is not in it.

    Without this, each export parses the sources of some 500 functions again (torch 2.15,
    onnxscript 0.7). A release of torch that has no such table is left alone.
    """
    apis: Any = vars(_registration).get("onnxscript_apis")
    if not hasattr(apis, "get_torchlib_ops"):
        yield
        return
    made_once = functools.partial(_called_once, apis.get_torchlib_ops)
    with mock.patch.object(apis, "get_torchlib_ops", made_once):
        yield


@functools.cache
def _called_once(make: Callable[[], list[Any]]) -> list[Any]:
    return make()
